"""Runs shell commands side by side, each on a device of its own, until all have ended.

No scheduler: one machine, a list of jobs in order, as many at a time as there are slots.
"""

import collections
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


@dataclasses.dataclass
class _Running:
    job: Job
    process: subprocess.Popen
    started: float  # time.monotonic(), seconds


class Stopped(Exception):
    """A signal ended the queue; every process that it had started has ended."""

    def __init__(self, signal_number: int):
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number


# ------------------------------------------------------------------ devices


def make_slots(devices: Sequence[str], workers: int = 0) -> list[Slot]:
    """The slots that jobs share.

    Args:
        devices: `cpu:N` or `cpu:N-M` = cores, by `taskset` where the system has it, and no GPU;
            `gpu:N` or `gpu:N-M` = CUDA devices. Empty: nothing is pinned.
        workers: jobs at a time; 0 = one a device, or one. More than devices: they take turns.

    Raises:
        ValueError: a device that cannot be read or is not there, or one that would stay idle.
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
    return Slot(device, prefix, (("CUDA_VISIBLE_DEVICES", "-1"),))


# ------------------------------------------------------------------ the queue


def run_all(
    jobs: Sequence[Job],
    slots: Sequence[Slot],
    outcome: Callable[[Job, int], tuple[bool, str]],
    say: Callable[[str], None],
) -> list[str]:
    """Runs all jobs, in order, each in the first slot that is free; a failure stops no other.

    Args:
        jobs, slots: what runs, and where.
        outcome: (job, exit status) -> whether it succeeded, and words on it.
        say: takes a line of progress.

    Returns:
        Names of the jobs that failed.

    Raises:
        Stopped: SIGINT, SIGTERM or SIGHUP came. The processes were asked to end, and ended after
            STOP_SECONDS, or at once on a second signal.
    """
    waiting, running = collections.deque(jobs), {}
    progress = _Progress(len(jobs), len(slots), say)
    with _signals() as signals:
        try:
            while (waiting or running) and not signals:
                for number, slot in enumerate(slots):
                    if number in running and running[number].process.poll() is not None:
                        one = running.pop(number)
                        succeeded, words = outcome(one.job, one.process.returncode)
                        seconds = time.monotonic() - one.started
                        words += f" after {clock(seconds)} on {slot.device}"
                        if succeeded:
                            progress.seconds.append(seconds)
                        progress.ended(one.job, succeeded, words, running, len(waiting))
                    if number not in running and waiting:
                        job = waiting.popleft()
                        process = _start(job, slot)
                        if process is None:
                            words = "another process is at it; wait for its end"
                            progress.ended(job, False, words, running, len(waiting))
                            continue
                        running[number] = _Running(job, process, time.monotonic())
                time.sleep(POLL_SECONDS)
        finally:
            _stop([one.process for one in running.values()], signals)
        if signals:
            raise Stopped(signals[0])
    return progress.failed


@dataclasses.dataclass
class _Progress:
    """What has ended, and the lines that say so."""

    jobs: int
    slots: int
    say: Callable[[str], None]
    seconds: list = dataclasses.field(default_factory=list)  # of the jobs that succeeded
    failed: list = dataclasses.field(default_factory=list)  # names

    def ended(self, job, succeeded, words, running, waiting):
        ages = [time.monotonic() - one.started for one in running.values()]
        left = time_left(self.seconds, ages, waiting, self.slots)
        self.say(
            f"[{self.jobs - waiting - len(running)}/{self.jobs}] {job.name}: {words}; "
            f"{len(running)} running, {waiting} waiting"
            + (f", about {clock(left)} left" if left else "")
        )
        if not succeeded:
            self.failed.append(job.name)
            self.say(f"  the end of {job.log}:\n{tail(job.log)}")


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


def _stop(processes, signals):
    """Ends processes; a second signal ends them at once."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    while any(process.poll() is None for process in processes):
        if time.monotonic() > deadline or len(signals) > 1:
            for process in processes:
                process.kill()
            break
        time.sleep(POLL_SECONDS)
    for process in processes:
        process.wait()


@contextlib.contextmanager
def _signals():
    """A list that fills with the signals that come.

    They raise nothing: an exception between a process' start and its entry in a list would leave
    the process behind.
    """
    received = []
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    old = {
        getattr(signal, name): signal.signal(
            getattr(signal, name), lambda number, frame: received.append(number)
        )
        for name in names
    }
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


# ------------------------------------------------------------------ words


def time_left(seconds: Sequence[float], ages: Sequence[float], waiting: int, slots: int) -> float:
    """Seconds until all have ended, if each job takes the mean of those that have; 0: unknown.

    Args:
        seconds: durations of jobs that have ended.
        ages: for how long the running ones have run.
        waiting: how many have not begun.
        slots: how many run at a time.
    """
    if not seconds:
        return 0.0
    mean = sum(seconds) / len(seconds)
    return (waiting * mean + sum(max(mean - age, 0.0) for age in ages)) / slots


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    return str(datetime.timedelta(seconds=round(seconds)))


def tail(path: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a log as a terminal would show them: progress bars overwrite themselves."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 50_000))
        text = file.read().decode(errors="replace")
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join(f"  | {line}" for line in [line for line in shown if line.strip()][-lines:])
