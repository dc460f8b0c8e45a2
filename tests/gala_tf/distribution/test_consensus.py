"""What workers agree on; with a stand-in for the exchange. Real processes: test_several_workers."""

import json

import pytest
import tensorflow as tf

from gala_tf.distribution import consensus

ONE = tf.distribute.OneDeviceStrategy("/cpu:0")
TF_CONFIG = json.dumps(
    {"cluster": {"worker": ["a:1", "b:2", "c:3"]}, "task": {"type": "worker", "index": 1}}
)


@pytest.fixture
def three(monkeypatch):
    """Pretends to be worker 1 of 3; returns the list of what the workers bring."""
    brought = []
    monkeypatch.setenv("TF_CONFIG", TF_CONFIG)
    monkeypatch.setattr(consensus, "exchange", lambda strategy, value: brought or [value] * 3)
    monkeypatch.setattr(consensus, "_group", lambda _: consensus.cluster.from_environment())
    return brought


def test_a_single_process_agrees_with_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", TF_CONFIG)  # evaluation inside a cluster's job
    assert consensus.exchange(ONE, {"a": 1}) == [{"a": 1}]
    assert consensus.is_chief(ONE)
    consensus.agree(ONE, {"a": 1}, "")
    consensus.agree_on_directory(ONE, str(tmp_path / "missing"))


def test_only_place_0_is_the_chief(three, monkeypatch):
    assert not consensus.is_chief(ONE)
    monkeypatch.setenv("TF_CONFIG", TF_CONFIG.replace('"index": 1', '"index": 0'))
    assert consensus.is_chief(ONE)


def test_what_differs_is_named_with_its_place(three):
    three[:] = [{"step": 8, "seed": 0}, {"step": 8, "seed": 0}, {"step": 8, "seed": 0}]
    consensus.agree(ONE, three[1], "")
    three[2] = {"step": 6, "seed": 0, "more": 1}
    with pytest.raises(ValueError) as error:
        consensus.agree(ONE, three[1], "Do this.")
    assert str(error.value) == (
        "The workers do not agree on more: None on worker 0 (a:1), None on worker 1 (b:2), 1 on "
        "worker 2 (c:3); step: 8 on worker 0 (a:1), 8 on worker 1 (b:2), 6 on worker 2 (c:3). "
        "Do this."
    )


def test_a_directory_that_is_not_shared_is_noticed(three, tmp_path, monkeypatch):
    path = tmp_path / "environment.json"
    path.write_text("of another run")
    answers = iter([["the chief's digest", None, None], [{"seeing": True}, {"seeing": False}]])
    monkeypatch.setattr(consensus, "exchange", lambda *_: next(answers))
    with pytest.raises(ValueError, match="seeing: True on .* False .* must be one directory for"):
        consensus.agree_on_directory(ONE, str(path), seconds=0.05)


def test_a_file_that_comes_late_is_waited_for(three, tmp_path, monkeypatch):
    path, brought = tmp_path / "environment.json", []
    (tmp_path / "there").write_text("this run")
    digest = consensus._digest(str(tmp_path / "there"))
    assert digest != consensus._digest(str(path)) is None

    def exchange(_, value):
        brought.append(value)
        return [digest, None, None] if value is None else [value] * 3

    monkeypatch.setattr(consensus, "exchange", exchange)
    monkeypatch.setattr(consensus.time, "sleep", lambda _: path.write_text("this run"))
    consensus.agree_on_directory(ONE, str(path), seconds=5)
    assert brought == [None, {f"seeing the chief's {path}": True}]


GONE = """Graph execution error:

Detected at node CollectiveReduceV2 defined at (most recent call last):
Collective ops is aborted by: The following tasks are unhealthy (stopped sending heartbeats):
/job:worker/replica:0/task:2
The tasks have crashed."""


@pytest.mark.parametrize(
    "text, who",
    [(GONE, r"worker 2 \(c:3\)"), ("Connection reset by peer", "another worker")],
)
def test_a_lost_worker_is_named(monkeypatch, text, who):
    monkeypatch.setenv("TF_CONFIG", TF_CONFIG)
    with pytest.raises(
        consensus.LostWorkerError,
        match=rf"{who} is lost, and worker 1 \(b:2\) cannot go on alone.* on all machines again",
    ) as error:
        with consensus.named_losses():
            raise tf.errors.UnavailableError(None, None, text)
    assert "Detected at node" not in str(error.value)


def test_other_errors_pass(monkeypatch):
    for name, kind in (("TF_CONFIG", tf.errors.InvalidArgumentError), ("X", None)):
        monkeypatch.setenv(name, TF_CONFIG)
        kind = kind or tf.errors.UnavailableError
        if name == "X":
            monkeypatch.delenv("TF_CONFIG")  # of one machine: its storage, say
        with pytest.raises(kind), consensus.named_losses():
            raise kind(None, None, "as it came")


def test_silent_takes_every_call():
    silent = consensus.Silent()
    assert silent.save(3, a=1) is None and silent.write("x") is None
