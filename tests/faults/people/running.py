"""Runs a command as a person does: in this process where possible, or in one of its own."""

import contextlib
import io
import logging
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from absl import flags
from time_limit import HangError, limited

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 900  # more is a hang, also on a loaded machine


class Said(NamedTuple):
    """How a command ended, and all that it printed."""

    status: int
    text: str


def called(folder: Path, words: list[str]) -> Said:
    """Calls the module `words[0]` as `python -m` would, with `folder` as home and place."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logger = logging.getLogger("absl")
    with (
        mock.patch.object(sys, "argv", list(words)),
        mock.patch.dict(os.environ, {"HOME": str(folder)}),
        mock.patch("gala_tf.command_line.quiet.start"),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
        _own_flags(),
    ):
        logger.addHandler(handler)
        logger.propagate = False
        try:
            status = _call(words[0])
        finally:
            logger.removeHandler(handler)
            logger.propagate = True
    return Said(status, out.getvalue())


def _call(module):
    try:
        with limited(SECONDS):
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code)
        return 1 if isinstance(end.code, str) else int(end.code or 0)
    except (Exception, KeyboardInterrupt, HangError):
        print(traceback.format_exc())
        return 1
    return 0


@contextlib.contextmanager
def _own_flags():
    """Flags that the command declares go away with it; those of absl get their defaults back."""
    before = set(flags.FLAGS)
    try:
        yield
    finally:
        for name in set(flags.FLAGS) - before:
            with contextlib.suppress(AttributeError):  # a short name, gone with the long one
                delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()
        for name in before:
            flags.FLAGS[name].unparse()
            flags.FLAGS[name].present = 0


def started(folder: Path, words: list[str], interrupt: str = "") -> Said:
    """Starts `python -m` in a process; sends it Ctrl-C once it has printed `interrupt`.

    `@3` stands for three seconds after the start.
    """
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": paths}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    text = b""
    try:
        if interrupt.startswith("@"):
            time.sleep(float(interrupt[1:]))
            os.killpg(process.pid, signal.SIGINT)
        elif interrupt:
            while interrupt.encode() not in text and (
                more := os.read(process.stdout.fileno(), 9999)
            ):
                text += more
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all of them
        rest, _ = process.communicate(timeout=SECONDS)
        text += rest
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text += b"HangError: no end\n" + process.communicate()[0]
    return Said(process.returncode, text.decode(errors="replace"))
