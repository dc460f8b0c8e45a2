"""Paths as users write them, and commands that end in one line."""

import os
import signal
import sys

import pytest

from gala_tf.command_line import endings, path_names


def test_home_is_understood(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert path_names.of_user("~/out", "x") == "/home/me/out"


@pytest.mark.parametrize("text", ["a\nb", "a\u2028b", " a", "a ", "\udce9", "~nobody-here/x"])
def test_what_is_no_path_is_refused_by_flag(text):
    with pytest.raises(ValueError, match="--model_dir="):
        path_names.of_user(text, "model_dir")


def test_an_error_of_files_is_one_line():
    with pytest.raises(SystemExit, match="^error: /nowhere: No such file"):
        with endings.one_line((), lambda: ""):
            open("/nowhere")
    with pytest.raises(ZeroDivisionError), endings.one_line((), lambda: ""):
        print(1 / 0)


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
