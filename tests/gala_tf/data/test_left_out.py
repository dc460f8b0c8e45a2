"""Where a pipeline stands after bad records, by hand; lists on the disk; the command's flag.

Damage and its finding are in the campaign (`failing/in_records.py`).
"""

import dataclasses

import numpy as np
import pytest
import small_data
from run_weights import assert_same_weights, weights

from gala_tf.data import left_out, tfrecord_files
from gala_tf.data.bad_records import BadRecord, whole_records
from gala_tf.runs import checkpoints, logs
from gala_tf.training import loop


def test_position_without_bad_records():
    assert left_out.position(0, [10], []) == (0, 0)
    assert left_out.position(23, [10], []) == (2, 3)


def test_position_after_a_list():
    """After 13 of 10 an epoch, 2 are left out: 3 of the second epoch are taken, 5 remain."""
    assert left_out.position(13, [10, 8], [13]) == (1, 3)
    assert left_out.position(17, [10, 8], [13]) == (1, 7)
    assert left_out.position(18, [10, 8], [13]) == (2, 0)
    assert left_out.position(26, [10, 8], [13]) == (3, 0)


def test_position_after_two_lists():
    """At 18 the third epoch begins, and at 20, two into it, there are 7 an epoch."""
    assert left_out.position(20, [10, 8, 7], [13, 20]) == (2, 2)
    assert left_out.position(24, [10, 8, 7], [13, 20]) == (2, 6)
    assert left_out.position(25, [10, 8, 7], [13, 20]) == (3, 0)


def test_position_where_more_were_taken_than_are_left():
    """9 of 10 are taken, and 4 left out: that epoch is over."""
    assert left_out.position(9, [10, 6], [9]) == (1, 0)


def test_position_goes_on_one_by_one():
    counts, starts = [10, 8, 7], [13, 20]
    for start in range(20, 100):
        epoch, taken = left_out.position(start, counts, starts)
        following = left_out.position(start + 1, counts, starts)
        assert following == ((epoch, taken + 1) if taken < 6 else (epoch + 1, 0))


def test_lists_of_later_restarts_are_void(tmp_path):
    """A run that falls back to an older checkpoint finds the bad records again."""
    info = small_data.build(tmp_path, {"train": 40}, 8)
    one = [BadRecord(info.splits["train"].shards[0].file, 1, 0, "bad")]
    run = str(tmp_path / "run")
    for start in (8, 24, 16):
        left_out.leave_out(run, str(tmp_path), info, "train", one, start)
    assert [made.start_example for made in left_out.load(run)] == [8, 16]
    assert [left_out.count(left_out.load(run), n) for n in (7, 8, 99)] == [0, 1, 1]


def test_a_damaged_list_is_refused(tmp_path):
    (tmp_path / left_out.FILE).write_text('[{"start_example": 1}]')
    with pytest.raises(ValueError, match="bad_records.json is damaged .* cannot go on as it began"):
        left_out.load(str(tmp_path))


def test_no_run_leaves_nothing_out(tmp_path):
    assert left_out.load(str(tmp_path)) == () and left_out.count((), 5) == 0


@pytest.mark.slow
def test_training_skips_bad_records_and_resumes_bit_for_bit(tmp_path, capsys, monkeypatch):
    """A file is cut off after step 8, which shows when the next epoch opens it again."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    info = small_data.build(data_dir, {"train": 60, "validation": 12}, 12)
    shard = data_dir / info.splits["train"].shards[3].file
    sound = shard.read_bytes()
    spans, _, _ = whole_records(str(shard))
    damaged = sound[: spans[3].offset - tfrecord_files.HEADER.size + 5]  # inside the fourth of five
    changes = dict(epochs=6.0, checkpoint_every_steps=4, steps_per_loop=2, on_bad_record="skip")
    whole = small_data.small_config(data_dir, tmp_path / "whole", **changes)
    parts = dataclasses.replace(whole, model_dir=str(tmp_path / "parts"))

    save = loop.save

    def save_and_damage(run, guards, state):
        save(run, guards, state)
        if state.step == 8:
            shard.write_bytes(damaged)

    monkeypatch.setattr(loop, "save", save_and_damage)
    for cfg, stops in ((whole, (0,)), (parts, (26, 0))):
        shard.write_bytes(sound)
        for stop in stops:
            loop.train_and_evaluate(dataclasses.replace(cfg, stop_after_steps=stop))
    out = capsys.readouterr().out
    assert f"Record 3 of shard '{shard}' cannot be read: the file ends inside it; byte" in out
    assert "2 records that cannot be read were left out (bad_records.json)" in out
    (made,) = left_out.load(whole.model_dir)
    assert [(r.file, r.record) for r in made.records] == [(shard.name, 3), (shard.name, 4)]
    lines = [x for x in logs.read_metrics(parts.model_dir) if x["kind"] == "data"]
    assert lines and all(line["left_out_records"] == 2.0 for line in lines)
    assert_same_weights(weights(whole.model_dir), weights(parts.model_dir))
    steps = [facts["step"] for _, facts in checkpoints.complete(f"{whole.model_dir}/checkpoints")]
    assert steps[-1] == 45 and np.all(np.diff(steps) > 0)


@pytest.mark.slow
def test_a_bad_record_of_validation_ends_the_run(tmp_path):
    """Every image of it must be seen: --on_bad_record=skip is about training."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    info = small_data.build(data_dir, {"train": 40, "validation": 12}, 2)
    shard = data_dir / info.splits["validation"].shards[1].file
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    run_config = small_data.small_config(data_dir, tmp_path / "run", on_bad_record="skip")
    with pytest.raises(ValueError, match=rf"[Rr]ecord \d+ of shard '.*{shard.name}'"):
        loop.train_and_evaluate(run_config)
