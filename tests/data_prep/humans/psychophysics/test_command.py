"""Flagfiles, vendored files, exports, and simulated people through the real interface."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from experiment_world import small_set

from data_prep import psychophysics
from data_prep.humans.psychophysics import (
    analysis,
    commands,
    export,
    invariants,
    observed,
    serving,
    simulate,
)
from data_prep.humans.psychophysics.settings import (
    Choices,
    Exclusions,
    Planted,
    Settings,
    Trials,
)
from data_prep.humans.studies.invariants import violations
from data_prep.humans.studies.settings import StudySettings
from gala_tf.command_line import flagfiles

ROOT = Path(__file__).resolve().parents[4]
FLAGFILES = sorted((ROOT / "experiments").glob("psychophysics*.flags"))
VENDOR = ROOT / "data_prep/humans/psychophysics/pages/vendor"


def flag_values(*words):
    values = flags.FlagValues()
    psychophysics.define_flags(values)
    values(["psychophysics", *flagfiles.expand(list(words))])
    return values


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda path: path.stem)
def test_a_flagfile_says_what_it_is_and_how_it_is_used(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# The rapid-categorisation experiment")
    assert f"python -m data_prep.psychophysics --flagfile=experiments/{path.name}" in lines[1]
    settings = psychophysics.settings_of(flag_values(f"--flagfile={path}"))
    assert settings.demo == (path.stem == "psychophysics_demo")
    assert Settings.from_json(settings.as_json()) == settings


def test_the_printed_rules_are_the_defaults():
    assert psychophysics.settings_of(flag_values(f"--flagfile={FLAGFILES[0]}")).trials == Trials()


@pytest.mark.parametrize(
    "wrong", [{"fixation_ms": (1600, 1100)}, {"blocks": 0}, {"training_passes": 9}]
)
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=f"--{next(iter(wrong))}"):
        Trials(**wrong)


def test_an_unknown_subcommand_lists_what_there_is():
    with pytest.raises(ValueError, match="stimuli, simulate, export, analysis"):
        commands.run(["play"], Settings(), flag_values())
    with pytest.raises(ValueError, match="--stimuli is missing"):
        serving.prepare(Settings())
    with pytest.raises(ValueError, match="--output_dir is missing"):
        commands.run(["analysis"], Settings(), flag_values())


def test_vendored_files_are_the_published_ones_but_for_what_the_manifest_says():
    """The edits undone, the file has the checksum of the registry's."""
    listed = json.loads((VENDOR / "manifest.json").read_text())
    assert {one["file"] for one in listed} == {path.name for path in VENDOR.glob("*.js")}
    for one in listed:
        text = (VENDOR / one["file"]).read_text()
        assert hashlib.sha256(text.encode()).hexdigest() == one["sha256"]
        assert text.endswith(one["last_line_added"] + "\n")
        published = text.removesuffix(one["last_line_added"] + "\n") + one["last_line_cut"] + "\n"
        assert hashlib.sha256(published.encode()).hexdigest() == one["sha256_published"]
        assert "MIT" in (VENDOR / one["licence"]).read_text()
        assert "sourceMappingURL" not in text


def test_the_plugin_declares_what_the_server_takes():
    """`info.data` of the plugin against the message and the table."""
    from data_prep.humans.psychophysics.messages import TrialSent
    from data_prep.humans.psychophysics.tables import trials

    text = (VENDOR.parent / "rapid_trial.js").read_text()
    declared = text[text.index("data: {") : text.index("/** @param {JsPsych}")]
    names = set(re.findall(r"^      (\w+): \{", declared, re.M))
    sent = set(TrialSent.model_fields) - {"index", "lost", "sha256", "time_elapsed_ms"}
    assert names == sent and names <= set(trials.c.keys())


def test_our_pages_name_no_address_elsewhere():
    for path in VENDOR.parent.glob("*.*"):
        assert "://" not in path.read_text(), path


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Twenty-four people through the real server."""
    folder = tmp_path_factory.mktemp("simulated")
    study = StudySettings(study="rapid", database=str(folder / "study.db"))
    trials = Trials(training_passes=1, training_most=2)
    settings, database = serving.prepare(Settings(study, trials, str(small_set())))
    planted = Planted(observers=24, leave=0.1, cheat=0, slow_screen=0.1, threshold_b=400)
    ends = simulate.simulate(planted, settings, database)
    yield database, ends
    database.close()


@pytest.mark.slow
def test_simulated_people_leave_a_study_that_holds(simulated, tmp_path):
    database, ends = simulated
    assert sum(ends.values()) == 24 and ends["finished"] >= 18
    with database.read() as connection:
        assert not any(violations(connection, [invariants.EXPERIMENT]).values())
        about = export.write(connection, "rapid", tmp_path / "1")
        export.write(connection, "rapid", tmp_path / "2")
    files = [sorted(p for p in (tmp_path / n).rglob("*") if p.is_file()) for n in "12"]
    assert [one.read_bytes() for one in files[0]] == [one.read_bytes() for one in files[1]]
    assert about["people"] == about["simulated_people"] == 24
    seen = observed.read_csv(tmp_path / "1" / "trials.csv", tuple(about["stimuli"]["sources"]))
    assert abs(int(seen.in_b.sum()) - 12) <= 2
    found = analysis.analyse(
        seen, Exclusions(least_full=0.0), Choices(permutations=199, resamples=100), 0
    )
    a, b = found["thresholds"]["groups"]
    assert a["threshold"] < b["threshold"]
    stored = np.load(tmp_path / "1" / "harmonization.npz", allow_pickle=False)
    assert set(stored["correct"]) == {0, 1} and stored["Revelation"].max() == 200
    columns = (tmp_path / "1" / "trials_codebook.csv").read_text()
    assert all(f"\n{name}," in columns for name in export.CODE_BOOK)
    text = "".join(path.read_text() for path in files[0] if path.suffix == ".csv")
    assert "observer-" not in text  # the outside identities


@pytest.mark.slow
def test_a_study_that_is_not_there_is_named(simulated, tmp_path):
    with (
        simulated[0].read() as connection,
        pytest.raises(ValueError, match=r"there are \['rapid'\]"),
    ):
        export.write(connection, "other", tmp_path)
