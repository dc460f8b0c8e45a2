"""The shares that experiments/benchmarks/host_time.py reads from a trace, made by hand."""

import importlib.util
import sys
from pathlib import Path

import pytest
from tensorflow.tsl.profiler.protobuf import xplane_pb2

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def host_time():
    path = ROOT / "experiments" / "benchmarks" / "host_time.py"
    spec = importlib.util.spec_from_file_location("host_time", path)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def add_line(plane, name, start_ms, events):
    """A line whose events are (name, start, end) in ms after `start_ms`."""
    line = plane.lines.add(name=name, timestamp_ns=start_ms * 10**6)
    for text, start, end in events:
        key = len(plane.event_metadata) + 1
        plane.event_metadata[key].name = text
        line.events.add(
            metadata_id=key,
            offset_ps=round(start * 10**9),
            duration_ps=round((end - start) * 10**9),
        )


def save(space, directory):
    path = directory / "x.xplane.pb"
    path.write_bytes(space.SerializeToString())
    return str(path)


CALLS = [  # of 6, 8 and 2 ms; gaps of 4 and 2 ms
    ("training steps#step_num=10#", 0, 6),
    ("training steps#step_num=12#", 10, 18),
    ("training steps#step_num=14#", 20, 22),
    ("AddV2:AddV2", 6.5, 9),  # Python's own arithmetic between the calls
]


def test_shares_of_a_cpu(host_time, tmp_path):
    space = xplane_pb2.XSpace()
    host = space.planes.add(name="/host:CPU")
    add_line(host, "python", 1000, CALLS)
    add_line(
        host,
        "tf_Compute/1",
        1000,
        [
            ("a/b/convolution:_MklNativeConv2D", 1, 3),
            ("a/MatMul:MatMul", 2, 5),  # together 1 to 5
            ("IteratorGetNext:IteratorGetNext", 5, 6),  # waits
            ("ExecutorState::Process", 0, 20),
            ("body/PartitionedCall:StatefulPartitionedCall", 0, 20),
            ("a/Relu:Relu", 17, 19),  # 17 to 18 inside the call
            ("a/Relu:Relu", 20, 22),  # after the window
        ],
    )
    add_line(host, "tf_Compute/2", 1005, [("a/Mul:Mul", 9, 11)])  # 14 to 16
    add_line(host, "tf_data_private_threadpool/1", 1000, [("DecodeJpeg:DecodeJpeg", 0, 20)])
    read = host_time.read_trace(save(space, tmp_path), 4)
    assert read == {
        "calls": 2,
        "wall_ms_a_step": pytest.approx(5.0),
        "host_ms_a_step": pytest.approx(1.5),
        "host_share": pytest.approx(0.3),
        "idle_share": pytest.approx(1 - 7 / 20),
        "device": "CPU threads",
    }


def test_a_device_of_its_own_may_work_between_the_calls(host_time, tmp_path):
    space = xplane_pb2.XSpace()
    add_line(space.planes.add(name="/host:CPU"), "python", 1000, CALLS)
    device = space.planes.add(name="/device:GPU:0")
    add_line(device, "Stream #7(Compute)", 1000, [("fusion", 1, 9), ("fusion", 10, 25)])
    add_line(device, "Steps", 1000, [("step", 0, 20)])
    read = host_time.read_trace(save(space, tmp_path), 4)
    assert read["device"] == "/device:GPU:0"
    assert read["idle_share"] == pytest.approx(1 - 18 / 20)
    assert read["host_share"] == pytest.approx(0.3)


def test_a_trace_without_calls_is_refused(host_time, tmp_path):
    space = xplane_pb2.XSpace()
    add_line(space.planes.add(name="/host:CPU"), "python", 0, CALLS[:1])
    with pytest.raises(ValueError, match="holds 1 calls; expected at least 2"):
        host_time.read_trace(save(space, tmp_path), 4)
