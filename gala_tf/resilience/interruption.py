"""SIGTERM, SIGINT and the notice of preemption: the run saves, says how to go on, and ends.

A call from the host to the device cannot be interrupted, so the run saves when it returns, and
calls are kept short (`Pace`). Python runs its signal handlers between two of its own instructions,
that is after such a call. A second signal must end a run that hangs in one: so signals are taken
by a thread, through the file descriptor that the operating system's handler writes to.

Google Compute Engine tells a machine 30 s ahead that it takes it away: it sends SIGTERM through
the shutdown of the operating system, and sets `instance/preempted` on its metadata server at once.
Processes in a container or in another user's session may never see the signal, so both are
watched. TensorFlow's own PreemptionCheckpointHandler does nothing on TPUs and CPUs there (TF 2.20,
`failure_handling.py`), wraps each single step, and keeps checkpoints without a marker of
wholeness.

The exit status is 128 + the signal's number, as a shell reports it: 143 for SIGTERM and for a
preemption (which is also what TensorFlow's handler exits with), 130 for SIGINT.
"""

import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Callable

CALL_SECONDS = 5.0  # of the 30 that a preempted machine has; the rest is for saving
POLL_SECONDS = 1.0  # between two questions to the metadata server
SIGNALS = (signal.SIGTERM, signal.SIGINT)
NOTICE_PATH = "/computeMetadata/v1/instance/preempted"
PRODUCT_NAME = "/sys/class/dmi/id/product_name"  # of the machine, without a network


class Interrupted(Exception):
    """The run was asked to end and has saved all; `status` is the exit status."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


class Watch:
    """While it lasts, a signal or notice asks for an end instead of making one.

    Until `begin` is called there is nothing to save, and a signal ends the process at once. Outside
    of the main thread, where Python allows no handlers, only the notice is watched: with `notice`
    `auto`, by the metadata server of Google Compute Engine.
    """

    def __init__(self, say: Callable[[str], None], notice: str = "auto"):
        self._say = say
        self._notice_url = metadata_url() if notice == "auto" else None
        self._begun = threading.Event()
        self._ended = threading.Event()
        self._asked: tuple[str, int] | None = None  # what asked, exit status
        self._threads: list[threading.Thread] = []
        self._takes_signals = threading.current_thread() is threading.main_thread()

    def __enter__(self):
        if self._takes_signals:
            self._take_signals()
        if self._notice_url:
            self._start(self._watch_notice)
        return self

    def __exit__(self, *_):
        self._ended.set()
        if self._takes_signals:
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._old_fd)
            os.close(self._write_end)  # the thread reads the end of the file, and ends
        for thread in self._threads:
            thread.join(timeout=5)  # none is left to meet the end of Python

    def begin(self) -> None:
        """From now on there is something to save."""
        self._begun.set()

    @property
    def asked(self) -> bool:
        """Whether the run shall save and end."""
        return self._asked is not None

    def check(self, where: str = "") -> None:
        """Raises Interrupted if the run shall end; `where` says what is saved."""
        if self._asked:
            what, status = self._asked
            raise Interrupted(f"{what}: {where}", status)

    def ask(self, what: str, status: int) -> None:
        """Asks for the end, as a signal does."""
        self._asked = self._asked or (what, status)

    def _take_signals(self):
        # A shell starts background jobs with SIGINT ignored, and means it.
        taken = [s for s in SIGNALS if signal.getsignal(s) is not signal.SIG_IGN]
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        # The C handler writes each signal's number there, also while Python is in a call.
        self._old_fd = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        # Without a handler in Python nothing would be written to the descriptor.
        self._old_handlers = {s: signal.signal(s, lambda *_: None) for s in taken}
        self._start(self._read_signals)

    def _read_signals(self):
        with os.fdopen(self._read_end, "rb", buffering=0) as pipe:
            while number := pipe.read(1):
                if number[0] in SIGNALS:
                    self._received(signal.Signals(number[0]))

    def _received(self, number):
        status = 128 + number
        if not self._begun.is_set():
            self._end_now(
                f"{number.name} before the first steps were done: nothing to save.", status
            )
        if self._asked:
            self._end_now(
                f"{number.name}: a second request. Ending at once; the newest whole checkpoint "
                "stays, and the same command goes on from it.",
                status,
            )
        self.ask(number.name, status)
        self._say(
            f"{number.name}: saving when the steps under way are done (some {CALL_SECONDS:.0f} s; "
            "a single step may take longer). Once more ends the run at once."
        )

    def _end_now(self, text, status):
        print(text, file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(status)  # the main thread may hang in a call that nothing interrupts

    def _watch_notice(self):
        while not self._ended.wait(POLL_SECONDS):
            if is_preempted(self._notice_url):
                self.ask("notice of preemption", 128 + signal.SIGTERM)
                self._say("This machine is being preempted: saving when the steps are done.")
                return

    def _start(self, target):
        thread = threading.Thread(target=target, name="gala_tf interruption", daemon=True)
        self._threads.append(thread)
        thread.start()


def metadata_url() -> str | None:
    """Where this machine's notice is; None if it is not one of Google Compute Engine.

    GCE_METADATA_HOST, the variable that Google's own libraries honour, names another server.
    """
    host = os.environ.get("GCE_METADATA_HOST")
    if not host:
        try:
            with open(PRODUCT_NAME) as file:
                if "Google" not in file.read():
                    return None
        except OSError:
            return None
        host = "metadata.google.internal"
    return f"http://{host}{NOTICE_PATH}"


def is_preempted(url: str) -> bool:
    """Whether the metadata server says TRUE; one that does not answer says nothing."""
    request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=2.0) as answer:
            return answer.read(16).strip() == b"TRUE"
    except OSError:
        return False


class Pace:
    """How many steps one call may take, so that it returns within CALL_SECONDS.

    The first call compiles, which says nothing about the pace; so it and the second, which is
    measured, take one step each.
    """

    def __init__(self):
        self.steps, self.calls = 1, 0

    def took(self, steps: int, seconds: float) -> None:
        """A call of so many steps took so long."""
        self.calls += 1
        if self.calls > 1:
            self.steps = max(1, int(CALL_SECONDS * steps / max(seconds, 1e-9)))
