"""What a measurement of reliability leaves behind: a table, files, the ceiling in a data set."""

import dataclasses
import functools
import math

from data_prep.raters.estimators import Estimator, Reliability
from data_prep.raters.maps import View
from gala_tf import metrics

PUBLISHED_BETWEEN = 0.59  # ClickMe and Clicktionary, 10 images; Linsley et al. 2019, appendix


def full_name(estimator: Estimator, view: View) -> str:
    """As evaluation names its own ceilings (`gala_tf.evaluation.scores.find_ceilings`)."""
    frame = f"{view.grid}x{view.grid}" if view.grid else "every pixel"
    return f"{estimator.words}, {frame}, blur {view.blur}"


def as_json(reliability: Reliability, participants: int) -> dict:
    """Numbers without the arrays; JSON knows no NaN, so that becomes None."""
    numbers = reliability._asdict()
    del numbers["values"], numbers["null_values"]
    numbers["interval"] = [_defined(edge) for edge in reliability.interval]
    numbers = {name: _defined(number) for name, number in numbers.items()}
    return {**numbers, "participants": participants}


def _defined(number):
    return None if isinstance(number, float) and math.isnan(number) else number


def store(data_dir: str, results: dict, name: str) -> None:
    """Writes the result of an estimator into dataset_info.json as the human ceiling, atomically.

    Raises:
      ValueError: it is undefined.
    """
    from gala_tf.data import dataset_info

    one = results["estimators"][name]
    if one["value"] is None:
        raise ValueError(
            f"--store={name}: its value is undefined, all maps drawn being constant; nothing was "
            "stored."
        )
    settings = ("splits", "blur", "grid", "crop_fraction", "seed", "permutations")
    kept = ("value", "estimator", "interval", "null", "p", "images", "undefined", "participants")
    ceiling = {key: one[key] for key in kept[:2]}
    ceiling["source"] = f"this data set's participants: {results['command']}"
    ceiling |= {key: one[key] for key in kept[2:]} | {key: results[key] for key in settings}
    info = dataset_info.load_info(data_dir)  # as it is now, after what may have been an hour
    if info.human_ceiling:
        old = info.human_ceiling
        print(f"replaces the human ceiling {old.get('value')}: {old.get('estimator')}")
    dataset_info.save_info(data_dir, dataclasses.replace(info, human_ceiling=ceiling))
    print(f"stored {name} as the human ceiling in {dataset_info.INFO_FILE}")


def format_table(results: dict) -> str:
    """What was measured, for a screen."""
    lines = [
        f"{'estimator':<18}{'value':>7}   {'95 % interval':<16}{'null':>6}{'p':>8}{'images':>9}"
        f"{'undefined':>11}{'maps':>9}"
    ]
    cell = functools.partial(_cell, form=".3f")
    for name, one in results["estimators"].items():
        low, high = one["interval"]
        lines.append(
            f"{name:<18}{cell(one['value']):>7}   {cell(low) + ' - ' + cell(high):<16}"
            f"{cell(one['null']):>6}{_cell(one['p'], '.4f'):>8}{one['images']:>9,}"
            f"{one['undefined']:>11,}{one['participants']:>9,}"
        )
    lines += [f"  {name}: {one['estimator']}" for name, one in results["estimators"].items()]
    if "other" in results:
        lines.append(
            f"  published for ClickMe and Clicktionary: {PUBLISHED_BETWEEN} (10 images); names "
            f"shared by several images, left out: {results['ambiguous_names']}"
        )
    else:
        lines.append(
            f"  published for ClickMe, two_participants: {metrics.PAPER_HUMAN_CEILING}, null "
            f"{metrics.PAPER_NULL} (49x49 kernel; resolution not given)"
        )
    return "\n".join(lines)


def _cell(number, form):
    return "-" if number is None else format(number, form)
