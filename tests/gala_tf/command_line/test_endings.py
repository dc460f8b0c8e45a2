"""Paths as users write them, and commands that end in one line."""

import errno
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from absl import flags

from gala_tf import command
from gala_tf.command_line import endings, parsing


def test_home_is_understood(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert parsing.path_of_user("~/out", "x") == "/home/me/out"


@pytest.mark.parametrize("text", ["a\nb", "a\u2028b", " a", "a ", "\udce9", "~nobody-here/x"])
def test_what_is_no_path_is_refused_by_flag(text):
    with pytest.raises(ValueError, match="--model_dir="):
        parsing.path_of_user(text, "model_dir")


def test_an_error_of_files_is_one_line():
    with pytest.raises(SystemExit, match="^error: /nowhere: No such file"):
        with endings.one_line((), lambda: ""):
            open("/nowhere")
    with pytest.raises(ZeroDivisionError), endings.one_line((), lambda: ""):
        print(1 / 0)


@pytest.mark.parametrize(
    "files, said",
    [
        (["/home/me/out/b/c"], "--output_dir=out: /home/me/out/b/c"),
        (["/home/me/out/in/a"], "--maps_dir=out/in: /home/me/out/in/a"),
        (["/tmp/x", None, "/home/me/out/y"], "--output_dir=out: /home/me/out/y"),  # of a copy
        (["out"], "--output_dir=out"),
        (["/home/me/out.writing"], "--output_dir=out: /home/me/out.writing"),
        (["/home/me/output"], "/home/me/output"),
    ],
)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_takes_nothing_is_named_by_its_flag(monkeypatch, files, said, number):
    flag_values = flags.FlagValues()
    for name, value in (("output_dir", "out"), ("maps_dir", "out/in"), ("seed", "output")):
        flags.DEFINE_string(name, value, "", flag_values=flag_values)
    command.are_paths("output_dir", "maps_dir", flag_values=flag_values)
    flag_values(["x"])
    monkeypatch.setattr(os.path, "abspath", lambda path: os.path.join("/home/me", path))
    with pytest.raises(SystemExit) as end:
        with endings.one_line((), str, lambda path: parsing.flag_of(path, flag_values)):
            raise OSError(number, os.strerror(number), *files)
    assert str(end.value).startswith(f"error: {said}: {os.strerror(number)} (")


def test_an_interrupted_import_is_an_interruption(capfd, monkeypatch):
    monkeypatch.setattr(endings, "_leave", sys.exit)
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as end, endings.one_line((), lambda: "All is kept."):
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt as error:
                raise ImportError("half of a module") from error
    finally:
        signal.signal(signal.SIGINT, old)
    assert end.value.code == 130 and "interrupted. All is kept." in capfd.readouterr().err


def test_a_librarys_user_keeps_his_handler():
    """Also where `python -m` of another program imports ours before it runs."""
    # Not the handler of Python itself: whoever runs the tests may have it ignored.
    program = "import signal; own = signal.getsignal(2); import gala_tf"
    program += "; assert signal.getsignal(2) is own"
    words = [sys.executable, "-m", "timeit", "-n1", "-r1", program]
    subprocess.run(words, check=True, capture_output=True)


COMMAND = """
import atexit, os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv, sys.orig_argv = ["-m"], ["python", "-m", "gala_tf.train"]
from gala_tf.command_line import endings
sys.argv = ["train"]
def ctrl_c(*_): os.kill(os.getpid(), signal.SIGINT)
class Finalizer: __del__ = ctrl_c
"""
KEPT = "with endings.one_line((), lambda: 'All is kept.'):"


@pytest.mark.parametrize(
    "program, said",
    {
        "in a finalizer": (f"{KEPT}\n    Finalizer()\n    time.sleep(60)", "All is kept."),
        "in the inner of two": (
            f"{KEPT}\n  with endings.one_line((ValueError,), lambda: 'Two.'):\n"
            "    try: ctrl_c()\n    except KeyboardInterrupt: raise ValueError('half')",
            "Two.",
        ),
        "after the work": (f"{KEPT} pass\nctrl_c()", ""),
        "at exit": (f"atexit.register(ctrl_c)\n{KEPT} pass", ""),
        "where nobody sees it": (f"{KEPT} pass\nraise KeyboardInterrupt", ""),
    }.values(),
)  # fmt: skip
def test_ctrl_c_is_one_line_whenever_it_comes(program, said):
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND + program], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.strip() == f"interrupted. {said}".strip()


@pytest.mark.slow
@pytest.mark.parametrize("module", ["gala_tf", "gala_tf.train", "data_prep.build_tfrecords"])
def test_ctrl_c_while_modules_are_imported_is_one_line(module):
    words = [sys.executable, "-m", module, *(["--source=quickstart"] if "build" in module else [])]
    ended = 0
    for milliseconds in range(20, 400, 20):
        process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
        # Until the package's first line has run, a few milliseconds, Python is on its own.
        frames = re.findall(r'File "[^"]*/((?:gala_tf|data_prep)/[^"]*)"', said)
        if "Traceback" in said and all("/__init__" in f or "first_mom" in f for f in frames):
            continue
        assert "Traceback" not in said and "KeyboardInterrupt" not in said, said
        ended += process.returncode == 130
    assert ended
