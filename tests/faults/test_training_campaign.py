"""The campaign of faults while training (`training_campaign.py`): none crashes or passes unseen."""

import numpy as np
import pytest
from faults import training_campaign
from faults.failing import FAILURE, in_checkpoints, in_storage
from faults.training_campaign import AREAS, KINDS, Fault

from gala_tf.resilience import full_disk
from gala_tf.runs import checkpoints

# Quick ones, of every area; to go on without a record takes long, and is in the whole campaign.
QUICK = [
    "newest checkpoint: values a bit flips",
    "newest checkpoint: marker a bit flips",
    "best/: values a bit flips",
    "shard, fail: a bit of a length flips",
    "disk full for a while: rolling",
    "disk full: metrics.jsonl",
    "SIGTERM",
    "SIGINT while compiling",
    "SIGTERM twice, in a call that hangs",
    "notice of preemption",
    "stall: a shard does not answer",
    "loaded: .keras with a Lambda",
    "loaded: run.flags that is a pickle",
]


@pytest.fixture(scope="module", autouse=True)
def shared():
    yield
    training_campaign.forget()


@pytest.mark.parametrize("kind", QUICK)
def test_a_fault_comes_to_what_it_must(kind):
    verdict = training_campaign.judge(Fault(kind, 0))
    assert verdict.outcome != FAILURE, verdict.text


def test_the_judge_tells_a_marker_whose_checksum_is_not_looked_at(monkeypatch):
    """A digit of the step may flip to another: JSON all the same, and other facts."""
    monkeypatch.setattr(checkpoints, "_checksum", lambda facts: 0)
    faults = [Fault("newest checkpoint: marker a bit flips", seed) for seed in range(12)]
    assert any(training_campaign.judge(fault).outcome == FAILURE for fault in faults)


def test_the_judge_tells_a_fall_back_in_silence(monkeypatch):
    monkeypatch.setattr(in_checkpoints.logging, "error", lambda *_: None)
    monkeypatch.setattr(in_checkpoints, "_heard", lambda call: (call(), ""))
    verdict = training_campaign.judge(Fault("newest checkpoint: values cut off", 0))
    assert verdict.outcome == FAILURE and "silence" in verdict.text


def test_the_judge_tells_a_save_that_gives_up_at_once(monkeypatch):
    """Room comes half a second later; with no second try it comes too late."""

    def once(write, what, directory, patience=0.0, hurried=None, left=""):
        try:
            return write()
        except Exception as error:
            raise full_disk.StorageError(str(error)) from error

    monkeypatch.setattr(in_storage.full_disk, "keep_trying", once)
    verdict = training_campaign.judge(Fault("disk full for a while: rolling", 0))
    assert verdict.outcome == FAILURE


def test_an_exception_is_a_failure(monkeypatch):
    def broken(folder, rng):
        raise RuntimeError("not foreseen")

    kind = KINDS["disk full: run.flags"]._replace(make=broken)
    monkeypatch.setitem(KINDS, "disk full: run.flags", kind)
    verdict = training_campaign.judge(Fault("disk full: run.flags", 0))
    assert verdict.outcome == FAILURE and "not foreseen" in verdict.text


def test_faults_are_the_same_by_seed(tmp_path):
    seen = []

    def draw(folder, rng):
        seen.append(rng.integers(2**62))
        return FAILURE, ""

    kind = KINDS["disk full: run.flags"]._replace(make=draw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, "disk full: run.flags", kind)
        for seed in (0, 0, 1):
            training_campaign.judge(Fault("disk full: run.flags", seed))
    assert seen[0] == seen[1] != seen[2]


def test_the_campaign_has_sixty_faults_and_every_outcome():
    faults = training_campaign.campaign()
    assert len(faults) >= 60 and len(set(faults)) == len(faults)
    assert sum(len(area.FAULTS) for area in AREAS.values()) == len(KINDS)  # no name twice
    allowed = {outcome for kind in KINDS.values() for outcome in kind.allowed}
    assert allowed == set(training_campaign.OUTCOMES) - {FAILURE}
    assert np.all([kind.seeds >= 1 for kind in KINDS.values()])


@pytest.mark.slow
def test_the_campaign():
    """`python -m faults.training_campaign` prints the table; here with -s -n 0."""
    verdicts = [training_campaign.judge(fault) for fault in training_campaign.campaign()]
    print(training_campaign.table(verdicts))
    failures = [v for v in verdicts if v.outcome == FAILURE]
    assert not failures, "\n".join(map(training_campaign.line, failures))
