"""The queue: slots, order, failures, locks and signals, with commands of a second at most."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from gala_tf.paper import job_queue

SLEEP = (sys.executable, "-S", "-c", "import time; time.sleep(60)")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(job_queue, "POLL_SECONDS", 0.01)


def python_job(tmp_path, name, code):
    return job_queue.Job(name, (sys.executable, "-S", "-c", code), str(tmp_path / name / "log"))


def by_status(job, status):
    return status == 0, "done" if status == 0 else f"failed with {status}"


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_slots():
    (plain,) = job_queue.make_slots([])
    assert (plain.prefix, plain.environment) == ((), ())
    assert len(job_queue.make_slots([], workers=3)) == 3
    one, two = job_queue.make_slots(["gpu:1", "gpu:2-4"])
    assert one.environment == (("CUDA_VISIBLE_DEVICES", "1"),)
    assert two.environment == (("CUDA_VISIBLE_DEVICES", "2,3,4"),)
    turns = job_queue.make_slots(["gpu:0", "gpu:1"], workers=5)
    assert [slot.device for slot in turns] == ["gpu:0", "gpu:1", "gpu:0", "gpu:1", "gpu:0"]


def test_cores_are_pinned_and_hide_the_gpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    one, two = job_queue.make_slots(["cpu:1", "cpu:0-2"])
    assert one.prefix == ("taskset", "-c", "1") and two.prefix == ("taskset", "-c", "0-2")
    assert dict(one.environment) == {"CUDA_VISIBLE_DEVICES": "-1"}
    with pytest.raises(ValueError, match="cpu:3 is not among the cores .*: 0, 1, 2"):
        job_queue.make_slots(["cpu:3"])
    monkeypatch.setattr(shutil, "which", lambda name: None)  # as on a Mac
    assert job_queue.make_slots(["cpu:3"])[0].prefix == ()


@pytest.mark.parametrize(
    "device", ["", "0", "cpu", "cpu:", "tpu:0", "gpu:2-1", "cpu:0,1", "gpu:-1"]
)
def test_no_device(device):
    with pytest.raises(ValueError, match="--devices: .* is none. Write cpu:N"):
        job_queue.make_slots([device])


@pytest.mark.parametrize("workers", [-1, 1])
def test_no_device_stays_idle(workers):
    with pytest.raises(ValueError, match=f"--workers={workers} must be at least .* 2"):
        job_queue.make_slots(["gpu:0", "gpu:1"], workers)


@pytest.mark.skipif(not shutil.which("taskset"), reason="no taskset")
def test_a_job_runs_on_its_core(tmp_path):
    core = min(os.sched_getaffinity(0))
    code = "import os; print('on', os.sched_getaffinity(0), os.environ['CUDA_VISIBLE_DEVICES'])"
    job = python_job(tmp_path, "a", code)
    assert job_queue.run_all([job], job_queue.make_slots([f"cpu:{core}"]), by_status, print) == []
    assert f"on {{{core}}} -1" in open(job.log).read()


def test_jobs_run_in_order_and_a_failure_stops_no_other(tmp_path):
    order = tmp_path / "order"
    code = "open({!r}, 'a').write({!r}); print('words of', {!r}); raise SystemExit({})"
    jobs = [
        python_job(tmp_path, name, code.format(str(order), name, name, 3 * (name == "b")))
        for name in "abc"
    ]
    said = []
    failed = job_queue.run_all(jobs, job_queue.make_slots([]), by_status, said.append)
    assert failed == ["b"]
    assert order.read_text() == "abc"
    assert said[0] == "[1/3] a: done on this machine; 0 running, 2 waiting"
    assert said[1].startswith("[2/3] b: failed with 3")
    assert "words of b" in said[2] and str(tmp_path / "b" / "log") in said[2]
    assert said[3].startswith("[3/3] c: done") and said[3].endswith("0 running, 0 waiting")


def test_two_slots_run_two_jobs_at_a_time(tmp_path):
    """Each of the two waits for the other's file, so one after the other would never end."""
    code = (
        "import os, time\n"
        "open({0!r}, 'w').close()\n"
        "deadline = time.time() + 20\n"
        "while not os.path.exists({1!r}) and time.time() < deadline: time.sleep(0.01)\n"
        "raise SystemExit(not os.path.exists({1!r}))"
    )
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    jobs = [
        python_job(tmp_path, "a", code.format(one, two)),
        python_job(tmp_path, "b", code.format(two, one)),
    ]
    slots = job_queue.make_slots([], workers=2)
    assert job_queue.run_all(jobs, slots, by_status, lambda line: None) == []


def test_a_log_is_appended_to_and_says_what_ran(tmp_path):
    job = python_job(tmp_path, "a", "print('hello')")
    for _ in range(2):
        job_queue.run_all([job], job_queue.make_slots([]), by_status, lambda line: None)
    lines = open(job.log).read().splitlines()
    assert lines[1] == lines[3] == "hello"
    assert lines[0].startswith("--- 2") and sys.executable in lines[0]


@pytest.mark.skipif(job_queue.fcntl is None, reason="no file locks")
def test_a_job_that_runs_already_is_not_started_again(tmp_path):
    """As after a kill -9 of the queue, which leaves its processes."""
    busy, free = (job_queue.Job(name, SLEEP, str(tmp_path / name)) for name in ("busy", "free"))
    process = job_queue._start(busy, job_queue.Slot("here"))
    try:
        said = []
        jobs = [busy, python_job(tmp_path, "other", "pass")]
        failed = job_queue.run_all(jobs, job_queue.make_slots([]), by_status, said.append)
        assert failed == ["busy"]
        assert said[0].startswith("[1/2] busy: another process is at it; wait for its end")
    finally:
        process.kill()
        process.wait()
    again = job_queue._start(free, job_queue.Slot("here"))  # the lock went with the process
    again.kill()
    again.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_processes(tmp_path, number):
    before = signal.getsignal(number)
    started = []

    def start(*arguments, real=subprocess.Popen, **named):
        started.append(real(*arguments, **named))
        return started[-1]

    jobs = [job_queue.Job(name, SLEEP, str(tmp_path / name)) for name in "abc"]

    def send():
        while len(started) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", start)
        threading.Thread(target=send).start()
        with pytest.raises(job_queue.Stopped, match=number.name) as caught:
            job_queue.run_all(jobs, job_queue.make_slots([], 2), by_status, lambda line: None)
    assert caught.value.signal_number == number
    assert len(started) == 2  # the third never began
    assert [process.returncode for process in started] == [-signal.SIGTERM] * 2
    assert signal.getsignal(number) == before


def test_a_process_that_does_not_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(job_queue, "STOP_SECONDS", 0.2)
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(60)"
    )
    job = python_job(tmp_path, "a", code)
    process = job_queue._start(job, job_queue.Slot("here"))
    while "\ndeaf" not in open(job.log).read():
        time.sleep(0.01)
    job_queue._stop([process])
    assert process.returncode == -signal.SIGKILL and not is_alive(process.pid)


def test_tail_shows_a_progress_bar_once(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"first\n" + b"10 %\r20 %\r100 %\n\nlast \xff\r\n")
    assert job_queue.tail(str(log)) == "  | first\n  | 100 %\n  | last \ufffd"
    assert job_queue.tail(str(log), lines=1) == "  | last \ufffd"
