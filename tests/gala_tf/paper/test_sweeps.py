"""The sweep: what it runs, skips, resumes and refuses; with a training that takes no time."""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_data
from absl import flags

from gala_tf import config, sweep
from gala_tf.paper import job_queue, sweeps
from gala_tf.paper.published import ROWS
from gala_tf.paper.report import build

ROOT = Path(__file__).resolve().parents[3]

# Leaves what training leaves, as far as a sweep reads it. Fails for rows that FAIL names, and ends
# early for those that STOP names.
FAKE_TRAIN = """
import json, os, shutil, sys
sys.path.insert(0, {root!r})
from gala_tf import config
run = config.from_arguments(sys.argv[1:], "fake")
print("fake training of", run.model_dir)
os.makedirs(run.model_dir, exist_ok=True)
row = run.model_dir.split("/")[-2]
if row in os.environ.get("FAIL", "").split(","):
    sys.exit("no luck with " + row)
shutil.copy(
    os.path.join(run.data_dir, "dataset_info.json"), os.path.join(run.model_dir, "trained_on.json")
)
def write(name, text):
    with open(os.path.join(run.model_dir, name), "w") as file:
        file.write(text)
write("run.flags", config.to_flagfile(run))
stopped = row in os.environ.get("STOP", "").split(",")
write("metrics.jsonl", json.dumps({{"step": 7 if stopped else 15, "kind": "train"}}))
if not stopped:
    write("results-test.json", json.dumps({{"split": "test", "top1": 0.75}}))
"""


@pytest.fixture
def base(data_dir, tmp_path):
    """40 images in batches of 8 for 3 epochs: 15 steps."""
    return small_data.small_config(data_dir, "", test_split="test")


@pytest.fixture(autouse=True)
def fake(tmp_path, monkeypatch):
    script = tmp_path / "fake_train.py"
    script.write_text(FAKE_TRAIN.format(root=str(ROOT)))
    monkeypatch.setattr(sweeps, "TRAIN", (str(script),))
    monkeypatch.setattr(job_queue, "POLL_SECONDS", 0.01)
    monkeypatch.delenv("FAIL", raising=False)
    monkeypatch.delenv("STOP", raising=False)


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "runs")


SLOTS = job_queue.make_slots([], workers=2)


def modified(root):
    return {path: path.stat().st_mtime_ns for path in Path(root).rglob("run.flags")}


def test_expand_goes_seed_by_seed(base):
    runs = sweeps.expand(base, ["resnet", "gala"], [], [3, 1], "root/")
    names = ["resnet/seed-3", "gala/seed-3", "resnet/seed-1", "gala/seed-1"]
    assert [run.name for run in runs] == names
    assert [run.config.model_dir for run in runs] == [f"root/{name}" for name in names]
    assert [run.config.seed for run in runs] == [3, 3, 1, 1]


@pytest.mark.parametrize("key", ROWS)
def test_a_row_changes_its_flags_alone(base, key):
    base = dataclasses.replace(base, map_loss_weight=2.5)
    (run,) = sweeps.expand(base, [key], [], [0], "root")
    expected = {"attention", "map_source", "map_target", "map_loss_weight"}
    assert set(config.changed_flags(base, run.config)) <= expected
    for name, value in ROWS[key].overrides(2.5).items():
        assert getattr(run.config, name) == value


def test_lambdas_that_are_rows_run_once(base):
    """Lambda 0 is `gala`, the base's 1 is `gala_clickmaps`; 0.3 and 6 are neither."""
    runs = sweeps.expand(base, list(ROWS), [0.0, 0.3, 1.0, 6.0], [0, 1], "root")
    names = [run.name for run in runs if run.config.seed == 0]
    assert names == [f"{name}/seed-0" for name in [*ROWS, "lambda-0.3", "lambda-6"]]
    assert len(runs) == 16
    weights = {run.name: run.config.map_loss_weight for run in runs}
    assert (weights["lambda-0.3/seed-1"], weights["lambda-6/seed-0"]) == (0.3, 6.0)


def test_lambdas_alone_have_directories_of_their_own(base):
    runs = sweeps.expand(base, [], [0.0, 1.0, 1e-5], [0], "root")
    assert [run.name for run in runs] == [f"lambda-{v}/seed-0" for v in ("0", "1", "1e-05")]
    assert all(run.config.attention == "gala" for run in runs)


def test_a_base_without_maps_does_for_rows_without(base):
    base = dataclasses.replace(base, map_loss_weight=0.0)
    assert len(sweeps.expand(base, ["resnet", "se", "gala"], [6.0], [0], "root")) == 4
    with pytest.raises(ValueError, match="--rows: gala_boxes need maps.*--map_loss_weight=0"):
        sweeps.expand(base, ["resnet", "gala_boxes"], [], [0], "root")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"root": ""}, "--runs is not set"),
        ({"rows": ["gala", "galaxy"]}, "--rows: no galaxy; there are resnet, se, gala"),
        ({"rows": ["gala", "gala"]}, "--rows has something twice: gala, gala"),
        ({"lambdas": [1.0, 1]}, "--lambdas has something twice"),
        ({"seeds": [0, 0]}, "--seeds has something twice: 0, 0"),
        ({"seeds": []}, "Nothing to run"),
        ({"rows": [], "lambdas": []}, "Nothing to run"),
        ({"lambdas": [-1.0]}, "--map_loss_weight must be not negative"),
        ({"test_split": ""}, "--test_split is not set"),
    ],
)
def test_expand_refuses(base, changes, message):
    asked = {"rows": ["gala"], "lambdas": [], "seeds": [0], "root": "root", **changes}
    base = dataclasses.replace(base, test_split=asked.get("test_split", "test"))
    with pytest.raises(ValueError, match=message):
        sweeps.expand(base, asked["rows"], asked["lambdas"], asked["seeds"], asked["root"])


def test_arguments_make_the_run_again(base):
    for run in sweeps.expand(base, list(ROWS), [0.3], [0, 5], "a root/with'quote"):
        arguments = sweeps.arguments(run.config)
        assert config.from_arguments(arguments, "test") == run.config
        assert sum(argument.startswith(sweeps.TOLD_APART_BY) for argument in arguments) == 5


def test_runs_all_and_then_skips_all(base, root, capsys):
    runs = sweeps.expand(base, ["resnet", "gala_boxes"], [0.3], [0, 1], root)
    sweeps.sweep(runs, SLOTS)
    said = capsys.readouterr().err
    assert "6 runs: 0 finished, 0 to resume, 6 to begin" in said
    assert "[6/6]" in said and said.count("test top-1 error 25.0 %") == 6
    for run in runs:
        assert (
            config.from_arguments(
                Path(run.config.model_dir, "run.flags").read_text().splitlines(), "test"
            )
            == run.config
        )
        assert "fake training" in Path(run.log).read_text()
    before = modified(root)
    sweeps.sweep(runs, SLOTS)
    assert "6 runs: 6 finished, 0 to resume, 0 to begin" in capsys.readouterr().err
    assert modified(root) == before and len(before) == 6


def test_more_seeds_run_only_those(base, root, capsys):
    sweeps.sweep(sweeps.expand(base, ["resnet"], [], [0], root), SLOTS)
    before = modified(root)
    sweeps.sweep(sweeps.expand(base, ["resnet"], [], [0, 1], root), SLOTS)
    assert "2 runs: 1 finished, 0 to resume, 1 to begin" in capsys.readouterr().err
    assert before.items() < modified(root).items()


def test_a_failed_run_is_reported_and_tried_again(base, root, capsys, monkeypatch):
    runs = sweeps.expand(base, ["resnet", "gala", "se"], [], [0], root)
    monkeypatch.setenv("FAIL", "gala")
    with pytest.raises(
        job_queue.FailedRunsError, match=r"1 of 3 runs failed[\s\S]*gala/seed-0: .*log"
    ):
        sweeps.sweep(runs, SLOTS)
    said = capsys.readouterr().err
    assert "gala/seed-0: FAILED with exit status 1" in said and "| no luck with gala" in said
    assert said.count("test top-1 error") == 2
    monkeypatch.delenv("FAIL")
    sweeps.sweep(runs, SLOTS)
    assert "3 runs: 2 finished, 0 to resume, 1 to begin" in capsys.readouterr().err


def test_a_run_that_ends_early_is_not_finished(base, root, capsys, monkeypatch):
    runs = sweeps.expand(base, ["resnet", "gala"], [], [0], root)
    monkeypatch.setenv("STOP", "gala")
    with pytest.raises(job_queue.FailedRunsError, match="1 of 2 runs failed"):
        sweeps.sweep(runs, SLOTS)
    assert "gala/seed-0: ENDED BEFORE ITS LAST STEP" in capsys.readouterr().err
    # Someone evaluates the run as it is: the same file, but no finished run.
    path = Path(root, "gala/seed-0/results-test.json")
    path.write_text(json.dumps({"split": "test", "top1": 0.1}))
    assert sweeps.results(runs[1]) is None
    monkeypatch.delenv("STOP")
    sweeps.sweep(runs, SLOTS)
    assert "2 runs: 1 finished, 1 to resume, 0 to begin" in capsys.readouterr().err
    assert sweeps.results(runs[1])["top1"] == 0.75


def test_results_of_a_copy_without_its_log_count(base, root):
    (run,) = runs = sweeps.expand(base, ["gala"], [], [0], root)
    sweeps.sweep(runs, SLOTS)
    os.remove(os.path.join(run.config.model_dir, "metrics.jsonl"))
    assert sweeps.results(run)["top1"] == 0.75
    os.remove(os.path.join(run.config.model_dir, "run.flags"))
    assert sweeps.results(run) is None  # results of nobody knows what


@pytest.mark.parametrize("allow", [False, True])
def test_other_flags_are_refused_before_anything_runs(base, root, allow):
    sweeps.sweep(sweeps.expand(base, ["resnet", "gala"], [], [0], root), SLOTS)
    before = modified(root)
    other = dataclasses.replace(base, momentum=0.8, epochs=4.0, allow_flag_changes=allow)
    with pytest.raises(ValueError) as caught:
        sweeps.sweep(sweeps.expand(other, ["resnet", "gala"], [], [0, 1], root), SLOTS)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("--runs has runs with other flags")
    assert f"  {root}/gala/seed-0: --momentum was 0.9, is 0.8" in lines
    assert f"  {root}/resnet/seed-0: --epochs was 3.0, is 4.0" in lines
    assert len(lines) == 5 and modified(root) == before


def test_flags_that_change_no_result_are_no_difference(base, root, capsys):
    sweeps.sweep(sweeps.expand(base, ["resnet"], [], [0], root), SLOTS)
    other = dataclasses.replace(base, steps_per_loop=77, eval_batch_size=3)
    sweeps.sweep(sweeps.expand(other, ["resnet"], [], [0], root), SLOTS)
    assert "1 runs: 1 finished" in capsys.readouterr().err


def test_another_data_set_is_refused(base, root, tmp_path):
    sweeps.sweep(sweeps.expand(base, ["resnet"], [], [0], root), SLOTS)
    (tmp_path / "other").mkdir()
    small_data.build(tmp_path / "other", shards=2)
    other = dataclasses.replace(base, data_dir=str(tmp_path / "other"))
    with pytest.raises(ValueError, match="holds another data set than the one that the run in"):
        sweeps.sweep(sweeps.expand(other, ["resnet"], [], [0, 1], root), SLOTS)


def test_no_data_set_is_an_error_before_anything_runs(base, root, tmp_path):
    nowhere = dataclasses.replace(base, data_dir=str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="nowhere"):
        sweeps.sweep(sweeps.expand(nowhere, ["resnet"], [], [0], root), SLOTS)
    assert not os.path.exists(root)


def test_the_data_set_is_built_once_before_the_runs(base, root, tmp_path, data_dir, monkeypatch):
    built, target = [], tmp_path / "built"

    def build(command):
        built.append(command[1:])
        target.symlink_to(data_dir)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", build)
    base = dataclasses.replace(base, data_dir=str(target), build_data_with="quickstart")
    sweeps.sweep(sweeps.expand(base, ["resnet", "gala_boxes", "se"], [], [0, 1], root), SLOTS)
    arguments = ["--source=quickstart", f"--output_dir={target}"]
    assert built == [["-m", "data_prep.build_tfrecords", *arguments]]
    assert len(modified(root)) == 6


def test_logs_of_remote_runs_are_local(base):
    (run,) = sweeps.expand(base, ["gala"], [], [0], "gs://bucket/runs")
    assert run.log == os.path.join("sweep_logs", "gala/seed-0", "train.log")


def test_commands_are_the_runs_left_and_run_as_they_are(base, tmp_path, capsys, monkeypatch):
    root = str(tmp_path / "the runs")  # a space needs quotes
    sweeps.sweep(sweeps.expand(base, ["resnet"], [], [0], root), SLOTS)
    runs = sweeps.expand(base, ["resnet", "gala"], [0.3], [0], root)
    path = tmp_path / "lists" / "commands.txt"
    sweeps.sweep(runs, [], str(path))
    lines = path.read_text().splitlines()
    assert "2 commands in" in capsys.readouterr().err
    assert [shlex.split(line)[:2] for line in lines] == [["python", sweeps.TRAIN[0]]] * 2
    assert len(modified(root)) == 1  # nothing ran
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    subprocess.run(["sh", str(path)], check=True, capture_output=True)
    assert all(sweeps.results(run) for run in runs)


def test_commands_do_not_build_data_but_say_how(base, root, capsys):
    base = dataclasses.replace(base, data_dir="data/new", build_data_with="quickstart")
    sweeps.sweep(sweeps.expand(base, ["resnet"], [], [0, 1], root), [], "-")
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and "build_data_with" not in out
    assert (
        "once: python -m data_prep.build_tfrecords --source=quickstart --output_dir=data/new" in err
    )


def test_commands_of_a_finished_sweep_are_none(base, root, capsys):
    runs = sweeps.expand(base, ["resnet"], [], [0], root)
    sweeps.sweep(runs, SLOTS)
    capsys.readouterr()
    sweeps.sweep(runs, [], "-")
    out, err = capsys.readouterr()
    assert out == "" and "0 commands in stdout" in err


def asked_for(monkeypatch, *arguments):
    """The command's flags, as if they had been given."""
    values = flags.FlagValues()
    sweep.config.define_flags(values)
    sweep.define_flags(values)
    values(["sweep", *arguments])
    monkeypatch.setattr(sweep.flags, "FLAGS", values)
    monkeypatch.setattr(sweep.config, "from_flags", config.Config)


@pytest.mark.parametrize(
    "argument, message",
    [
        (
            "--lambdas=1,much",
            "--lambdas must be a comma-separated list of numbers. Received: 1,much",
        ),
        ("--devices=0", "--devices: '0' is none. Write cpu:N"),
    ],
)
def test_mistakes_of_the_command_are_named(monkeypatch, argument, message):
    asked_for(monkeypatch, argument)
    with pytest.raises(ValueError, match=message):
        sweep.main()


@pytest.mark.slow
def test_a_real_sweep_survives_being_stopped(base, tmp_path):
    """SIGTERM in the middle of training; the same command ends the work, and the numbers are those
    of a run that nobody stopped."""
    root = tmp_path / "runs"
    base = dataclasses.replace(base, epochs=24.0, eval_every_epochs=6.0, checkpoint_every_steps=6)
    asked = [
        *small_data.flag_arguments(base),
        f"--runs={root}",
        "--rows=gala_clickmaps,resnet",
        "--seeds=0",
        "--workers=1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "gala_tf.sweep", *asked],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    stopped = root / "gala_clickmaps/seed-0"
    metrics = stopped / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text().count("\n") > 3):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert "stopped by SIGTERM; the same command resumes" in process.stderr.read()
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(root) not in left
    assert not list(root.rglob("results-test.json"))

    result = subprocess.run(
        [sys.executable, "-m", "gala_tf.sweep", *asked], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    assert "2 runs: 0 finished, 1 to resume, 1 to begin" in result.stderr
    assert "resumed at step" in (stopped / "train.log").read_text()

    (run,) = sweeps.expand(base, ["gala_clickmaps"], [], [0], str(tmp_path / "whole"))
    done = subprocess.run(
        [sys.executable, "-m", "gala_tf.train", *sweeps.arguments(run.config)],
        cwd=ROOT,
        capture_output=True,
    )
    assert done.returncode == 0
    whole = Path(run.config.model_dir, "results-test.json").read_text()
    assert (stopped / "results-test.json").read_text() == whole


def test_the_page_is_written_once_all_runs_are_finished(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(build, "build", lambda *arguments: made.append(arguments))
    asked_for(monkeypatch, f"--runs={tmp_path}", "--rows=resnet", f"--report_dir={tmp_path}/page")
    monkeypatch.setattr(sweeps, "expand", lambda *_: [])
    monkeypatch.setattr(sweeps, "sweep", lambda *_: None)
    sweep.main()
    assert made == [([str(tmp_path)], f"{tmp_path}/page")]

    def failed(*_):
        raise job_queue.FailedRunsError("one failed")

    monkeypatch.setattr(sweeps, "sweep", failed)
    with pytest.raises(job_queue.FailedRunsError):
        sweep.main()
    assert len(made) == 1
