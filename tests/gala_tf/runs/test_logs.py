"""metrics.jsonl and TensorBoard hold what was measured, once, whatever was killed when."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

from gala_tf.data import tfrecord_files
from gala_tf.runs import logs


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path)


def test_lines_are_what_was_written(directory, tmp_path):
    log = logs.MetricLog(directory, 0)
    assert logs.read_metrics(directory) == []
    log.write(3, "train", {"loss": 0.1 + 0.2, "top1": 0.5})
    log.write(3, "validation", {"top1": 1.0})
    assert logs.read_metrics(directory) == [
        {"step": 3, "kind": "train", "loss": 0.1 + 0.2, "top1": 0.5},
        {"step": 3, "kind": "validation", "top1": 1.0},
    ]
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 2


def test_no_run_has_no_metrics(directory):
    assert logs.read_metrics(directory) == []


def write_steps(directory, start, steps):
    log = logs.MetricLog(directory, start)
    for step in steps:
        log.write(step, "train", {"loss": float(step)})
    return log


@pytest.mark.parametrize("resumed_at, kept", [(0, []), (4, [2, 4]), (5, [2, 4]), (9, [2, 4, 6])])
def test_a_session_removes_lines_after_the_step_it_resumes_at(directory, resumed_at, kept):
    write_steps(directory, 0, [2, 4, 6])
    log = logs.MetricLog(directory, resumed_at)
    assert [line["step"] for line in logs.read_metrics(directory)] == kept
    log.write(10, "train", {"loss": -1.0})
    assert [line["step"] for line in logs.read_metrics(directory)] == [*kept, 10]


def shown_by_tensorboard(directory, tag="train/loss"):
    events = event_accumulator.EventAccumulator(directory, size_guidance={"tensors": 0})
    events.Reload()
    return [(e.step, tensor_util.make_ndarray(e.tensor_proto).item()) for e in events.Tensors(tag)]


@pytest.mark.parametrize("resumed_at, kept", [(0, []), (4, [2, 4]), (9, [2, 4, 6])])
def test_tensorboard_forgets_the_same_steps(directory, resumed_at, kept):
    write_steps(directory, 0, [2, 4, 6])
    log = logs.MetricLog(directory, resumed_at)
    for step in (10, 12):
        log.write(step, "train", {"loss": -float(step)})
    expected = [*((step, float(step)) for step in kept), (10, -10.0), (12, -12.0)]
    assert shown_by_tensorboard(directory) == expected
    lines = [(line["step"], line["loss"]) for line in logs.read_metrics(directory)]
    assert lines == expected


def test_a_validation_that_is_made_again_is_shown_once(directory):
    log = write_steps(directory, 0, [2, 4])
    log.write(4, "validation", {"top1": 0.25})
    log = logs.MetricLog(directory, 4, "validation")
    log.write(4, "validation", {"top1": 0.5})
    log.write(6, "train", {"loss": 6.0})
    assert shown_by_tensorboard(directory) == [(2, 2.0), (4, 4.0), (6, 6.0)]
    assert shown_by_tensorboard(directory, "validation/top1") == [(4, 0.5)]


def test_a_third_session_forgets_what_the_second_left(directory):
    write_steps(directory, 0, [2, 4, 6])
    write_steps(directory, 4, [6, 8])
    write_steps(directory, 2, [4])
    assert shown_by_tensorboard(directory) == [(2, 2.0), (4, 4.0)]


def test_a_watching_tensorboard_is_told(directory):
    """By the first event of a session that comes after its file's version."""
    write_steps(directory, 4, [6])
    (path,) = tf.io.gfile.glob(directory + "/events*")
    _, start, _ = [tf.compat.v1.Event.FromString(r) for r in tfrecord_files.records(path)]
    assert start.session_log.status == tf.compat.v1.SessionLog.START and start.step == 5


@pytest.mark.parametrize("sessions", [[(0, 9), (4, 9), (2, 6), (6, 8)], [(0, 3), (0, 8)]])
def test_sessions_that_died_one_after_the_other_leave_each_step_once(directory, tmp_path, sessions):
    (tmp_path / "events.out.tfevents.1").mkdir()  # nobody's file
    (tmp_path / "events.out.tfevents.0").touch()  # of a session that died at once
    for start, end in sessions:
        write_steps(directory, start, range(start + 1, end + 1))
    assert [line["step"] for line in logs.read_metrics(directory)] == [*range(1, 9)]
    found = [
        event.step
        for path in tf.io.gfile.glob(directory + "/events*")
        if not tf.io.gfile.isdir(path)
        for record in tfrecord_files.records(path)
        if (event := tf.compat.v1.Event.FromString(record)).HasField("summary")
    ]
    assert sorted(found) == [*range(1, 9)]


def test_an_event_file_that_a_kill_cut_short_keeps_its_whole_events(directory):
    write_steps(directory, 0, [2, 4])
    (path,) = tf.io.gfile.glob(directory + "/events*")
    content = open(path, "rb").read()
    with open(path, "wb") as file:
        file.write(content[:-5])
    logs.MetricLog(directory, 4)
    assert shown_by_tensorboard(directory) == [(2, 2.0)]


def test_every_way_to_cut_the_last_line_short(directory, tmp_path):
    write_steps(directory, 0, [2, 4])
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        expected = [step for step, end in ((2, first), (4, len(whole))) if length >= end - 1]
        assert [line["step"] for line in logs.read_metrics(directory)] == expected, length


def test_a_session_mends_a_line_cut_short(directory, tmp_path):
    write_steps(directory, 0, [2, 4])
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-4])
    write_steps(directory, 2, [4])
    lines = path.read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4]


def test_undefined_numbers_are_left_out(directory):
    logs.MetricLog(directory, 0).write(1, "validation", {"spearman": math.nan, "top1": 0.5})
    assert logs.read_metrics(directory) == [{"step": 1, "kind": "validation", "top1": 0.5}]


def test_tensorboard_reads_scalars_and_images(directory):
    log = write_steps(directory, 0, [2, 4])
    log.write(4, "validation", {"spearman/stage3_block6_gala": 0.25})
    log.write_image(4, "attention", np.full((6, 8, 3), 255, np.uint8))
    events = event_accumulator.EventAccumulator(directory)
    events.Reload()
    assert set(events.Tags()["tensors"]) == {
        "train/loss",
        "validation/spearman/stage3_block6_gala",
        "attention",
    }

    def scalars(tag):
        return [
            (e.step, tensor_util.make_ndarray(e.tensor_proto).item()) for e in events.Tensors(tag)
        ]

    assert scalars("train/loss") == [(2, 2.0), (4, 4.0)]
    assert scalars("validation/spearman/stage3_block6_gala") == [(4, 0.25)]
    (image,) = events.Tensors("attention")
    width, height, png = tensor_util.make_ndarray(image.tensor_proto)
    assert (width, height, png[1:4]) == (b"8", b"6", b"PNG")


def test_progress_shows_the_newest_numbers(capsys):
    progress = logs.Progress(start_step=10, total_steps=30)
    progress.advance(5, {"images_per_second": 123.4, "loss": 1.23456, "other": 9.0})
    progress.advance(5, {"images_per_second": 80.0, "validation_top1": 0.5, "map_loss": None})
    progress.say("half way")
    progress.close()
    output = capsys.readouterr()
    assert "20/30" in output.err and "80 images/s, val. top-1 0.500" in output.err
    assert "half way" in output.out + output.err and "other" not in output.err


@pytest.mark.parametrize("line", [b"\xff", b"[1]", b"{", b"7"])
def test_a_damaged_line_of_the_log_is_named(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line)  # the last one a kill may have cut short
    assert logs.read_metrics(str(tmp_path)) == [{"step": 1}]
    path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
    with pytest.raises(ValueError, match="metrics.jsonl, line 2, is damaged"):
        logs.read_metrics(str(tmp_path))
