"""What the subcommands of `data_prep.psychophysics` do."""

import os
import statistics

import tqdm
from absl import flags

from data_prep.humans.psychophysics import serving
from data_prep.humans.psychophysics.settings import Input, Making, Settings
from gala_tf import command


def run(words: list[str], settings: Settings, flag_values: flags.FlagValues) -> None:
    """Runs `words`, for example ["stimuli"]; ValueError lists what there is."""
    subcommand = COMMANDS.get(words[0])
    if subcommand is None or len(words) > 1:
        raise ValueError(f"{' '.join(words)!r} is no subcommand; there are {', '.join(COMMANDS)}.")
    subcommand(settings, flag_values)


def _progress(works):
    return tqdm.tqdm(works, unit="image", disable=None)


def _serve(settings, flag_values):
    serving.serve(settings)


def _stimuli(settings, flag_values):
    # Late: its readers of maps import TensorFlow.
    from data_prep.humans.psychophysics import generate

    rows = generate.generate(
        command.from_flags(Input, flag_values),
        command.from_flags(Making, flag_values),
        settings.study.seed,
        os.cpu_count() or 1,
        _progress,
    )
    _print_shapes(rows)
    print(f"{len(rows)} stimuli in {flag_values.output_dir}; look at contact_sheet.png there")


def _print_shapes(rows):
    """How each fill came out, at 100 %: held importance, outline in circles', holes."""
    at_100 = [row for row in rows if row.level == "100"]
    print("image: source, share of the importance held, outline in circles' outlines, holes")
    for row in at_100:
        print(
            f"{row.image}: {row.source}, {row.capture:.1%}, {row.outline:.1f}, {row.holes:.1%}, "
            f"{row.pixels_at_100} pixels"
        )
    print(
        f"all: {statistics.median(row.capture for row in at_100):.1%} held in the median, "
        f"{min(row.capture for row in at_100):.1%} at worst"
    )


COMMANDS = {
    "serve": _serve,
    "stimuli": _stimuli,
}
