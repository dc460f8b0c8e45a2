"""Runs commands side by side, each on a device of its own, until all have ended.

For one machine. It knows devices, and leaves nothing behind that would hinder the same command from
resuming; all else is left to schedulers (`sweep --commands`).
"""

import contextlib
import dataclasses
import datetime
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

try:
    import fcntl
except ImportError:  # not a Unix: then nothing tells that a job is running already
    fcntl = None

POLL_SECONDS = 0.2
STOP_SECONDS = 10.0  # between asking a process to end and ending it
TAIL_LINES = 15


@dataclasses.dataclass(frozen=True)
class Job:
    """A command; `name` for people; `log` the local file that its output is appended to."""

    name: str
    command: tuple[str, ...]
    log: str


@dataclasses.dataclass(frozen=True)
class Slot:
    """Where one job runs at a time: what is put before its command, and its environment."""

    device: str
    prefix: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


class FailedRunsError(RuntimeError):
    """Some runs failed; the message names them and their logs."""


class Stopped(Exception):
    """A signal ended the queue; every process that it had started has ended."""

    def __init__(self, signal_number: int):
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number


def make_slots(devices: Sequence[str], workers: int = 0) -> list[Slot]:
    """The slots that jobs share: one a device, or `workers`, which then take turns on the devices.

    A device is `cpu:N` or `cpu:N-M`, cores, pinned by `taskset` where the system has it, and no
    GPU; or `gpu:N` or `gpu:N-M`, CUDA devices. With none, nothing is pinned. ValueError: a device
    that cannot be read or is not there, or one that would stay idle.
    """
    if workers < 0 or 0 < workers < len(devices):
        raise ValueError(
            f"--workers={workers} must be at least the number of --devices, {len(devices)}, so "
            "that none stays idle; leave it away for one worker a device."
        )
    slots = [_slot(device) for device in devices] or [Slot("this machine")]
    return [slots[i % len(slots)] for i in range(workers or len(slots))]


def _slot(device):
    match = re.fullmatch(r"(cpu|gpu):(\d+)(?:-(\d+))?", device)
    first, last = (int(match[2]), int(match[3] or match[2])) if match else (1, 0)
    if last < first:
        raise ValueError(
            f"--devices: {device!r} is none. Write cpu:N or cpu:N-M for cores, gpu:N or gpu:N-M "
            "for CUDA devices."
        )
    numbers = range(first, last + 1)
    if match[1] == "gpu":
        return Slot(device, (), (("CUDA_VISIBLE_DEVICES", ",".join(map(str, numbers))),))
    prefix = ()
    if shutil.which("taskset"):
        allowed = os.sched_getaffinity(0)
        if not allowed.issuperset(numbers):
            raise ValueError(
                f"--devices: {device} is not among the cores that this process may use: "
                f"{', '.join(map(str, sorted(allowed)))}."
            )
        prefix = ("taskset", "-c", f"{first}-{last}" if last > first else str(first))
    return Slot(device, prefix, (("CUDA_VISIBLE_DEVICES", "-1"),))  # -1: none


def run_all(
    jobs: Sequence[Job],
    slots: Sequence[Slot],
    outcome: Callable[[Job, int], tuple[bool, str]],
    say: Callable[[str], None],
) -> list[str]:
    """Runs all jobs, in order, each in the first slot that is free; a failure stops no other.

    Args:
        outcome: (job, exit status) -> whether it succeeded, and words on it.
        say: takes a line of progress.

    Returns names of the jobs that failed. Stopped: SIGINT, SIGTERM or SIGHUP came. The processes
    were asked to end, and ended after STOP_SECONDS.
    """
    waiting, running, failed = list(jobs), {}, []  # running: {number of the slot: (job, process)}

    def ended(job, succeeded, words):
        done = len(jobs) - len(waiting) - len(running)
        say(
            f"[{done}/{len(jobs)}] {job.name}: {words}; {len(running)} running, "
            f"{len(waiting)} waiting"
        )
        if not succeeded:
            failed.append(job.name)
            say(f"  the end of {job.log}:\n{tail(job.log)}")

    with _signals() as signals:
        try:
            while (waiting or running) and not signals:
                # A slot whose job has ended takes the next one before others are looked at.
                for number, slot in enumerate(slots):
                    if number in running and running[number][1].poll() is not None:
                        job, process = running.pop(number)
                        succeeded, words = outcome(job, process.returncode)
                        ended(job, succeeded, f"{words} on {slot.device}")
                    if number not in running and waiting:
                        job = waiting.pop(0)
                        process = _start(job, slot)
                        if process:
                            running[number] = job, process
                        else:
                            ended(job, False, "another process is at it; wait for its end")
                time.sleep(POLL_SECONDS)
        finally:
            _stop([process for _, process in running.values()])
        if signals:
            raise Stopped(signals[0])
    return failed


def _start(job, slot):
    """The process of a job; None if the job's log is locked, since a process writes to it.

    The process inherits the locked file, so that the lock lasts as long as the process, also when
    this one was killed and could not end it.
    """
    os.makedirs(os.path.dirname(job.log) or ".", exist_ok=True)
    with open(job.log, "ab") as log:
        if fcntl is not None:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        log.write(f"--- {now}, {slot.device}: {' '.join(job.command)}\n".encode())
        log.flush()
        return subprocess.Popen(
            [*slot.prefix, *job.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **dict(slot.environment)},
            # Ctrl-C reaches this process alone, which then ends its own in order.
            start_new_session=True,
        )


def _stop(processes):
    """Asks all to end, so that they save what they have; ends those that do not."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _signals():
    """A list that fills with the signals that come.

    They raise nothing: an exception between a process' start and its entry in `running` would leave
    the process behind.
    """
    received = []
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # the last one is Unix's alone
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    old = {n: signal.signal(n, lambda number, frame: received.append(number)) for n in numbers}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def tail(path: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a log as a terminal would show them: progress bars overwrite themselves."""
    with open(path, "rb") as file:
        # A progress bar's line may be long, and all of a log too much.
        file.seek(max(0, os.path.getsize(path) - 50_000))
        text = file.read().decode(errors="replace")
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join(f"  | {line}" for line in [line for line in shown if line.strip()][-lines:])
