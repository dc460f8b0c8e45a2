"""Steps to profile: refused where they make no sense, cut out of the calls, traced once."""

import glob

import pytest
import small_data
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from gala_tf import config
from gala_tf.data import dataset_info
from gala_tf.training import loop, plan, profiling


@pytest.mark.parametrize("steps", [(5,), (1, 2, 3), (0, 4), (6, 5), (-3, -1)])
def test_steps_that_make_no_sense_are_refused(steps):
    with pytest.raises(ValueError, match="--profile_steps must be the first and the last step"):
        config.Config(profile_steps=steps)
    arguments = [f"--profile_steps={','.join(map(str, steps))}"]
    with pytest.raises(ValueError, match="as in 100,110"):
        config.from_arguments(arguments, "here")


def test_steps_after_the_end_are_refused(data_dir):
    info = dataset_info.load_info(str(data_dir))  # 40 images, 15 steps of 8
    length = plan.make_plan(small_data.small_config(data_dir, "", profile_steps=(9, 15)), info, 1)
    assert length.cuts == (8, 15)
    for changes in (dict(profile_steps=(9, 16)), dict(profile_steps=(9, 12), stop_after_steps=11)):
        end = changes.get("stop_after_steps", 15)
        with pytest.raises(ValueError, match=f"the session ends after step {end} already"):
            plan.make_plan(small_data.small_config(data_dir, "", **changes), info, 1)


def test_calls_end_where_the_profile_begins_and_ends():
    length = plan.Plan(5.0, 50, (40, 50), 0, cuts=(12, 17))
    stops, step = [], 0
    while step < 50:
        step = length.next_stop(step, 10)
        stops.append(step)
    assert stops == [10, 12, 17, 27, 37, 40, 50]


class FakeProfiler:
    """Stands for tf.profiler.experimental; keeps what it was asked for."""

    def __init__(self, monkeypatch):
        self.asked = []
        monkeypatch.setattr(tf.profiler.experimental, "start", lambda d: self.asked.append(d))
        monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: self.asked.append("stop"))


def test_a_profile_starts_before_its_first_step_and_stops_after_its_last(monkeypatch):
    profiler, said = FakeProfiler(monkeypatch), []
    profile = profiling.Profile("RUN", (4, 6), 0, said.append)
    for step in (0, 2):
        profile.at(step)
    assert profiler.asked == []
    profile.at(3)
    assert profiler.asked == ["RUN"]
    profile.at(5)
    assert profiler.asked == ["RUN"]
    profile.at(6)
    assert profiler.asked == ["RUN", "stop"] and "steps 4 to 6 are traced" in said[0]
    profile.at(7)
    profile.close()
    assert profiler.asked == ["RUN", "stop"]


def test_a_run_that_breaks_off_keeps_what_is_traced(monkeypatch):
    profiler = FakeProfiler(monkeypatch)
    profile = profiling.Profile("RUN", (1, 6), 0, print)
    profile.at(0)
    profile.close()
    assert profiler.asked == ["RUN", "stop"]


def test_nothing_is_traced_without_steps_or_past_them(monkeypatch):
    profiler, said = FakeProfiler(monkeypatch), []
    for steps, done in (((), 0), ((4, 6), 4), ((4, 6), 9)):
        profile = profiling.Profile("RUN", steps, done, said.append)
        for step in range(done, 12):
            profile.at(step)
    assert profiler.asked == []
    assert len(said) == 2 and "nothing is traced, because 4 steps are done" in said[0]


@pytest.mark.slow
def test_a_run_leaves_a_trace_of_those_steps_alone(data_dir, tmp_path):
    """And the same metrics and steps as without; calls are marked with the steps before them."""
    run_config = small_data.small_config(
        data_dir, tmp_path, steps_per_loop=3, profile_steps=(5, 9), stop_after_steps=12
    )
    loop.train_and_evaluate(run_config)
    (path,) = glob.glob(f"{tmp_path}/plugins/profile/*/*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(open(path, "rb").read())
    marks = {
        meta.name
        for plane in space.planes
        for meta in plane.event_metadata.values()
        if meta.name.startswith(profiling.CALL)
    }
    host = next(plane for plane in space.planes if plane.name == "/host:CPU")
    stats = {key: meta.name for key, meta in host.stat_metadata.items()}
    steps = sorted(
        stat.int64_value or stat.uint64_value
        for line in host.lines
        for event in line.events
        if host.event_metadata[event.metadata_id].name.startswith(profiling.CALL)
        for stat in event.stats
        if stats[stat.metadata_id] == "step_num"
    )
    assert marks and steps == [4, 5, 8]  # validation after step 5 cuts, too
