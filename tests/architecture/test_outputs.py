"""No command writes over what another program, or a person, has left at its output."""

import dataclasses

import fake_runs
import pytest
from absl import flags

from data_prep.building import build
from data_prep.building import flags as build_flags
from data_prep.merging import match_report
from data_prep.raters import report as raters_report
from data_prep.raters.flags import ReliabilityOptions
from data_prep.verification import dataset_checks
from gala_tf import command, config, figures
from gala_tf.evaluation import classifiers, evaluate_run, request
from gala_tf.explain import exporting
from gala_tf.paper import sweeps
from gala_tf.paper.report import build as paper_report


def _report(folder, data):
    runs = folder.parent / "runs"
    fake_runs.write_run(runs / "gala", "gala")
    paper_report.build([str(runs)], str(folder))


def _reliability(folder, data):
    values = flags.FlagValues()
    command.define_flags(ReliabilityOptions, values)
    values(["x", f"--data_dir={data}", f"--output_dir={folder}"])
    raters_report.run(values, "")


def _evaluate(folder, data):
    model = folder.parent / "net.keras"
    model.write_bytes(b"")  # it would be read later
    asked = {"model": str(model), "data_dir": str(data), "output_dir": str(folder)}
    classifiers.evaluate_classifier(request.Request(**asked))


def _figures(folder, data, monkeypatch):
    values = flags.FlagValues()
    figures.define_flags(values)
    values(["x", "--figure=4b", "--model_dir=none", f"--output={folder}/a.png"])
    monkeypatch.setattr(flags, "FLAGS", values)
    figures.main()


def _sweep(folder, data):
    base = dataclasses.replace(config.Config(), data_dir=str(data), test_split="test")
    planned = sweeps.expand(base, ["gala"], [], [0], str(folder.parent / "runs"))
    sweeps.sweep(planned, [], str(folder / "commands.txt"))


def _sweep_runs(folder, data):
    base = dataclasses.replace(config.Config(), data_dir=str(data), test_split="test")
    sweeps.sweep(sweeps.expand(base, ["gala"], [], [0], str(folder)), [])


def _build(folder, data):
    values = flags.FlagValues()
    build_flags.define(values)
    values(["x", "--source=quickstart", f"--output_dir={folder}", "--overwrite"])
    build.build(values, "")


CASES = {
    "report": ("report.html", _report, "--output_dir"),
    "verify": (
        "faults.csv",
        lambda folder, data: dataset_checks.verify(str(data), str(folder)),
        "--output_dir",
    ),
    "reliability": ("reliability.json", _reliability, "--output_dir"),
    "evaluate": ("results-test-net-gradient.json", _evaluate, "--output_dir"),
    "figures": ("a.png", _figures, "--output"),
    "visualize": (
        "a.png",
        lambda folder, data: evaluate_run.draw_run("none", "test", 1, output=f"{folder}/a.png"),
        "--output",
    ),
    "sweep, commands": ("commands.txt", _sweep, "--commands"),
    "sweep, runs": ("gala/seed-0/notes.txt", _sweep_runs, "--runs"),
    "export": (
        "model.keras",
        lambda folder, data: exporting.check_output(str(folder), True),
        "--output_dir",
    ),
    "build": ("notes.txt", _build, "--output_dir"),
    "match report": (
        "a.csv",
        lambda folder, data: match_report.check_output(f"{folder}/a.csv"),
        "--match_report",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_of_others_stays(tmp_path, data_dir, monkeypatch, name):
    file, write, flag = CASES[name]
    path = tmp_path / "there" / file
    path.parent.mkdir(parents=True)
    path.write_text("three years of work\n")
    more = (monkeypatch,) if write is _figures else ()
    with pytest.raises(ValueError, match=flag):
        write(tmp_path / "there", data_dir, *more)
    assert path.read_text() == "three years of work\n"
    assert [found for found in (tmp_path / "there").rglob("*") if found.is_file()] == [path]
