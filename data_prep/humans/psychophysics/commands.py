"""What the subcommands of `data_prep.psychophysics` do."""

import dataclasses
import os
import statistics
from pathlib import Path

import tqdm
from absl import flags

from data_prep.humans.psychophysics import export, manifest, observers, serving, simulate
from data_prep.humans.psychophysics.settings import (
    Choices,
    Exclusions,
    Input,
    Making,
    Planted,
    Settings,
)
from data_prep.humans.studies import participants as people
from data_prep.humans.studies.clocks import now_ms
from data_prep.humans.studies.database import open_existing
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


def _simulate(settings, flag_values):
    planted = command.from_flags(Planted, flag_values)

    def progress(works):
        return tqdm.tqdm(works, unit="observer", disable=None)

    with serving.prepared(settings) as (settings, database):
        ends = simulate.simulate(planted, settings, database, progress)
    points = [
        observers.population_point(planted, threshold)
        for threshold in (planted.threshold_a, planted.threshold_b)
    ]
    print(f"{ends['finished']} finished, {ends['left']} left, in {settings.study.database}")
    print(f"planted: accuracy is 75 % at {points[0]:.1f} % in group a, {points[1]:.1f} % in b")


def _export(settings, flag_values):
    folder = _output(flag_values)
    with open_existing(settings.study.database).read() as connection:
        about = export.write(connection, settings.study.study, folder)
    with open_existing(settings.study.database).write() as connection:
        # So that whoever withdraws later can be told which files still hold what they answered.
        people.log(connection, "export", str(folder.resolve()), "psychophysics", now_ms())
    print(f"{about['trials']} trials of {about['people']} people in {folder}")


def _output(flag_values):
    if not flag_values.output_dir:
        raise ValueError("--output_dir is missing: the folder to write.")
    return Path(flag_values.output_dir)


def _analysis(settings, flag_values):
    # Late: matplotlib, for this alone.
    from data_prep.humans.psychophysics import analysis, observed, page, power

    rules = command.from_flags(Exclusions, flag_values)
    choices = command.from_flags(Choices, flag_values)
    folder, groups, note = _output(flag_values), None, ""
    trials = flag_values.trials
    if not trials:
        with open_existing(settings.study.database).read() as connection:
            about = export.write(connection, settings.study.study, folder / "tables")
        groups, note = tuple(about["stimuli"]["sources"]), _stand_ins(about)
        trials = folder / "tables" / "trials.csv"
    found = analysis.analyse(
        observed.read_csv(Path(trials), groups), rules, choices, settings.study.seed
    )
    sizes = [int(word) for word in flag_values.power_people.split(",") if word]
    planted = command.from_flags(Planted, flag_values)
    powers = [
        power.run(
            dataclasses.replace(planted, observers=size),
            flag_values.power_experiments,
            999,
            settings.study.seed,
            lambda works, size=size: tqdm.tqdm(works, desc=f"power, {size} people", disable=None),
        )
        for size in sizes
    ]
    text = command.to_flagfile(rules) + command.to_flagfile(choices)
    about = {
        "study": settings.study.study,
        "choices": " ".join(text.split()),
        "hash of the choices": manifest.digest(text)[:16],
        "hash of the trials": manifest.digest(Path(trials).read_bytes())[:16],
    }
    for path in page.write(found, powers, about, note, folder):
        print(path)


def _stand_ins(about):
    """What is not of people: maps, or the people themselves; "" if all is."""
    simulated = about["simulated_people"]
    people = f"{simulated} of {about['people']} people are simulated" if simulated else ""
    return "; ".join(filter(None, (about["stimuli"]["stand_in"], people)))


COMMANDS = {
    "serve": _serve,
    "stimuli": _stimuli,
    "simulate": _simulate,
    "export": _export,
    "analysis": _analysis,
}
