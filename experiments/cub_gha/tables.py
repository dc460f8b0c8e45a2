"""Makes the tables and the figure of the comparison on human gaze from the rows of its runs.

    python experiments/cub_gha/tables.py

Reads results.jsonl and test_images.json beside this file, and writes TABLES.md and curves.png
there.
"""

import json
import math
from collections import defaultdict
from pathlib import Path

import curves
import numpy as np
import runs as planned
from absl import app, flags
from comparisons import POWER, Results, compare, errors, holm

from gala_tf.evaluation import significance

HERE = Path(__file__).parent
LABELS = {
    "resnet": "ResNet",
    "se": "SE-ResNet",
    "gala": "GALA no maps",
    "gala_attention": "GALA w/ gaze on its attention A",
    "gala_activity": "GALA w/ gaze on its output U'",
    "gala_shuffled": "GALA w/ other images' gaze on U'",
    "gala_parts": "GALA w/ part clicks on U'",
    "gala_center": "GALA w/ the centre prior on U'",
    "resnet_activity": "ResNet w/ gaze on its activity",
    "gala_residual": "residual gate, no maps",
    "gala_residual_gaze": "residual gate w/ gaze on its attention",
    "gala_activity_aligned": "on U', maps where the layer looks",
    "gala_activity_late": "on U', the last three units",
    "gala_activity_last": "on U', the last unit",
    "gala_attention_late": "on A, the last three units",
    "gala_long": "GALA no maps, 60 epochs",
    "gala_activity_long": "on U', 60 epochs",
    "gala_attention_long": "on A, 60 epochs",
}
MAIN = ("resnet", "gala", "gala_attention", "gala_activity", "resnet_activity", "gala_shuffled")
CONTROLS = ("se", "gala_parts", "gala_center", "gala_residual", "gala_residual_gaze")
# One network minus another that differs in one thing; (row, lambda) where lambda tells them apart.
MEAN_OVER_LAYERS = ("gala_activity", planned.MEAN_OVER_LAYERS)
CHANGES = (
    ("gala_activity", "gala_attention"),
    ("gala_activity", "gala_shuffled"),
    ("gala_activity", "gala_parts"),
    ("gala_activity", "gala_center"),
    ("gala_activity", "resnet_activity"),
    ("resnet_activity", "resnet"),
    ("gala_residual_gaze", "gala_residual"),
    (MEAN_OVER_LAYERS, "gala_activity"),
    ("gala_activity_aligned", "gala_activity"),
    ("gala_activity_late", "gala_activity"),
    ("gala_activity_last", "gala_activity"),
    ("gala_attention_late", "gala_attention"),
    ("gala_activity_long", "gala_long"),
    ("gala_attention_long", "gala_long"),
)
CONDITIONS = {
    "": "as they are",
    "gazed_blurred": "gazed quarter blurred",
    "rest_blurred": "all else blurred",
    "contrast": "half the contrast",
    "noise": "noise",
}


def interval(values, form=".1f") -> str:
    """A mean and its interval, as text; a dash for no values."""
    values = list(values)
    if not values:
        return "-"
    found = significance.mean_interval_over_seeds(values)
    if len(values) == 1:
        return f"{found.mean:{form}}"
    return f"{found.mean:{form}} [{found.low:{form}}, {found.high:{form}}]"


def table(heading: list[str], lines: list[list]) -> list[str]:
    """A table in Markdown."""
    rows = [heading, ["---"] * len(heading), *lines]
    return ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


def p_text(p: float) -> str:
    if math.isnan(p):
        return "-"
    return "<0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def points(interval_: significance.Interval, form="+.1f") -> str:
    """A difference and its interval, as text."""
    return f"{interval_.mean:{form}} [{interval_.low:{form}}, {interval_.high:{form}}]"


def tests(pairs: dict) -> dict[object, list[str]]:
    """{key: difference of errors, p over runs, over images, detectable} of {key: Pair or None}.

    p is corrected for the number of pairs; those that are None are left out.
    """
    found = {key: pair for key, pair in pairs.items() if pair}
    by_runs = holm([pair.p_runs for pair in found.values()])
    by_images = holm([pair.p_images for pair in found.values()])
    return {
        key: [points(pair.difference), p_text(runs), p_text(images), f"{pair.detectable:.1f}"]
        for (key, pair), runs, images in zip(found.items(), by_runs, by_images, strict=True)
    }


def main_table(results: Results, names) -> list[str]:
    """Errors and map scores, and each network against GALA without maps."""
    base = results.of("gala")
    found = {name: results.of(name) for name in names}
    pairs = {
        name: None if name == "gala" else compare(rows, base, results.images)
        for name, rows in found.items()
    }
    against = tests(pairs)
    lines = []
    for name, rows in found.items():
        ordered = rows.values()
        lines.append(
            [
                LABELS[name],
                len(rows),
                ", ".join(sorted({f"{r['map_loss_weight']:g}" for r in ordered})) or "-",
                interval(errors(rows, results.images).values()),
                *against.get(name, [""] * 4),
                interval([r["map_score"] for r in ordered], ".2f"),
                interval([100 * r["map_score"] / r["human_ceiling"] for r in ordered], ".0f"),
                interval([r["map_score_shuffled"] for r in ordered], ".2f"),
            ]
        )
    heading = [
        "network", "runs", "lambda", "test error, %", f"minus {LABELS['gala']}",
        "p, runs", "p, images", "detectable", "map score", "% of ceiling", "shuffled",
    ]  # fmt: skip
    return table(heading, lines)


def changes_table(results: Results) -> list[str]:
    """CHANGES: one network minus the other, in errors and in both map scores."""
    pairs = {}
    for names in CHANGES:
        keys = [name if isinstance(name, tuple) else (name, None) for name in names]
        one, other = (results.of(*key) for key in keys)
        words = [
            "on U', lambda 1/6: the mean over the layers"
            if name == MEAN_OVER_LAYERS
            else LABELS[name]
            for name in names
        ]
        pairs[tuple(words)] = compare(one, other, results.images)
    against = tests(pairs)
    lines = [
        [*words, "fewer than 2", *["-"] * 6] if pair is None else
        [
            *words, pair.runs, *against[words],
            points(pair.map_score, "+.2f"), points(pair.map_score_aligned, "+.2f"),
        ]
        for words, pair in pairs.items()
    ]  # fmt: skip
    heading = [
        "network", "minus", "runs", "test error, points", "p, runs", "p, images", "detectable",
        "map score", "where it looks",
    ]  # fmt: skip
    return table(heading, lines)


def criterion(results: Results) -> list[str]:
    """The two conditions of README.md, and what they say so far."""
    attention, activity = results.of("gala_attention"), results.of("gala_activity")
    first = compare(attention, activity, results.images)
    second = compare(activity, results.of("gala"), results.images)
    lines = []
    for words, pair, holds in (
        ("A minus U', above 0", first, first and first.difference.low > 0),
        ("U' minus GALA no maps, at most 1", second, second and second.difference.high <= 1),
    ):
        if pair is None:
            lines.append(f"- {words}: no two runs of both yet.")
            continue
        lines.append(
            f"- {words}: {points(pair.difference)} points over {pair.runs} runs; "
            f"p over runs {p_text(pair.p_runs)}, over images {p_text(pair.p_images)}: "
            f"{'holds' if holds else 'does not hold'}"
            f"{'' if pair.runs == len(planned.TEN) else ', NOT YET ALL RUNS'}."
        )
    return [*lines, ""]


def lambda_table(results: Results) -> list[str]:
    """Validation of each row and lambda on split 0; the chosen lambda is marked."""
    lines = []
    for row in planned.CHOOSE:
        for value in planned.LAMBDAS:
            found = results.groups.get((row, value), {})
            kept = [found[0, seed] for seed in planned.LAMBDA_SEEDS if (0, seed) in found]
            lines.append(
                [
                    LABELS[row],
                    f"{value:g}" + (" (chosen)" if value == results.chosen[row] else ""),
                    ", ".join(f"{100 * r['validation']['top1']:.1f}" for r in kept) or "-",
                    ", ".join(f"{r['validation']['cross_entropy']:.2f}" for r in kept) or "-",
                ]
            )
    return table(["network", "lambda", "validation top-1, %", "cross-entropy"], lines)


def harder_table(results: Results) -> list[str]:
    """Errors on harder pictures; in brackets the difference to GALA without maps, run by run."""
    lines = []
    for name in MAIN:
        rows, cells = results.of(name), []
        for condition in CONDITIONS:
            pair = name != "gala" and compare(rows, results.of("gala"), results.images, condition)
            values = list(errors(rows, results.images, condition).values())
            text = f"{np.mean(values):.1f}" if values else "-"
            if pair:
                text += f" ({points(pair.difference)})"
            cells.append(text)
        lines.append([LABELS[name], len(rows), *cells])
    return table(["network", "runs", *CONDITIONS.values()], lines)


def why_table(results: Results) -> list[str]:
    """How training ended, and how large attention is, of A against U'."""
    lines = []
    for name, label in LABELS.items():
        for (row, value), rows in sorted(results.groups.items()):
            if row != name:
                continue
            ordered = list(rows.values())
            sizes = [r["attention_size"] for r in ordered if r["attention_size"]]
            lines.append(
                [
                    label,
                    f"{value:g}",
                    len(ordered),
                    f"{np.mean([r['train']['top1'] for r in ordered]):.3f}",
                    f"{np.mean([r['train']['cross_entropy'] for r in ordered]):.2f}",
                    interval(errors(rows, results.images).values()),
                    f"{np.mean([r['map_score'] for r in ordered]):.2f}",
                    f"{np.mean([r['map_score_aligned'] for r in ordered]):.2f}",
                    ", ".join(f"{x:.2f}" for x in np.mean(sizes, 0)) if sizes else "-",
                ]
            )
    heading = [
        "network", "lambda", "runs", "training top-1", "cross-entropy", "test error, %",
        "map score", "where it looks", "mean of abs A, first to last unit",
    ]  # fmt: skip
    return table(heading, lines)


def curve_tables(results: Results) -> list[str]:
    """Errors by the share of images, and of maps, as `curves.png` draws them; then the gains."""
    lines, changes = [], []
    for title, group in curves.curves(results).items():
        for label, points_ in group.items():
            lines += [[title, label, s, len(e), interval(e)] for s, e in points_]
    for title, pairs in curves.gains(results).items():
        against = tests(dict(pairs))
        changes += [
            [title, s, pair.runs, *against[s]] if pair else [title, s, "fewer than 2", *["-"] * 4]
            for s, pair in pairs
        ]
    heading = [
        "curve", "%", "runs", "gaze on U' minus no maps", "p, runs", "p, images", "detectable",
    ]  # fmt: skip
    return [
        *table(["curve", "network", "%", "runs", "test error, %"], lines),
        *table(heading, changes),
    ]


# --------------------------------------------------------------------------- all


def document(results: Results) -> str:
    """TABLES.md."""
    done = results.planned - len(results.missing)
    all_rows = [row for rows in results.groups.values() for row in rows.values()]
    hours = sum(row["cpu_seconds"] for row in all_rows) / 3600
    unknown = [row for row, value in results.chosen.items() if value is None]
    text = [
        "# Tables of the comparison on human gaze",
        "",
        f"Made by `tables.py` from {len(all_rows)} runs, {hours:.1f} hours of CPU. "
        f"**{done} of {results.planned} planned runs are done**"
        + (
            f"; more will be planned once lambda is chosen for {', '.join(unknown)}."
            if unknown
            else "."
        ),
        "",
    ]
    if all_rows:
        ceilings, nulls, priors = (
            {row["split"]: row[name] for row in all_rows}.values()
            for name in ("human_ceiling", "human_null", "center_prior")
        )
        text += [
            "Of people's maps, mean over the splits tested so far: two runs of gaze on one image "
            f"agree by {np.mean(list(ceilings)):.2f}, on two images by {np.mean(list(nulls)):.2f}; "
            f"the centre prior scores {np.mean(list(priors)):.2f}.",
            "",
        ]
    text += ["## The criterion", "", *criterion(results)]
    text += ["## Lambda, by validation on split 0", "", *lambda_table(results)]
    text += [
        "## Networks", "",
        "p is corrected for the number of rows of its table (Holm). `detectable` is the difference "
        f"that as many runs find with a probability of {100 * POWER:.0f} %, in points.", "",
        *main_table(results, MAIN), *main_table(results, ("gala", *CONTROLS)),
        "## Where supervision pays", "", "![Errors and curves](curves.png)", "",
        *curve_tables(results),
        "## Harder pictures", "",
        "Error in %; in brackets minus GALA no maps, run by run.", "", *harder_table(results),
        "## One change each", "",
        "A network minus another, run by run; `map score` is their difference on the cells of the "
        "map, `where it looks` with the map laid where the layer looks.", "",
        *changes_table(results),
        "## How training ended", "", *why_table(results),
    ]  # fmt: skip
    if results.missing:
        text += ["## Missing", ""]
        counts = defaultdict(list)
        for run in results.missing:
            counts[run.row, run.map_loss_weight].append(f"{run.split}/{run.seed}")
        text += [
            f"- {row}, lambda {value:g}: split/seed {', '.join(which)}"
            for (row, value), which in counts.items()
        ]
        text.append("")
    return "\n".join(text)


def main(_):
    rows = planned.load(flags.FLAGS.results)
    images = json.loads((HERE / "test_images.json").read_text(encoding="utf-8"))
    results = Results(rows, {int(split): names for split, names in images.items()})
    output = Path(flags.FLAGS.output_dir)
    (output / "TABLES.md").write_text(document(results), encoding="utf-8")
    curves.draw(results, {row: LABELS[row] for row in MAIN}, output / "curves.png")
    print(output / "TABLES.md")


if __name__ == "__main__":
    flags.DEFINE_string("results", str(HERE / "results.jsonl"), "Rows of finished runs.")
    flags.DEFINE_string("output_dir", str(HERE), "Where TABLES.md and curves.png go.")
    app.run(main)
