"""How commands start, help and fail: one TensorFlow, quietly; 80 columns; one line."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from gala_tf import config
from gala_tf.command_line import help_page, installation, kernels, quiet

ROOT = Path(__file__).resolve().parents[2]


def pretend_installed(monkeypatch, *names):
    def version(name):
        if name in names:
            return "2.20.0"
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


@pytest.mark.parametrize("build", installation.TENSORFLOW_BUILDS)
def test_one_build_is_fine(monkeypatch, build):
    pretend_installed(monkeypatch, build)
    installation.check()


def test_no_build_names_the_extras(monkeypatch):
    pretend_installed(monkeypatch)
    installation.check()  # a build of another name, such as a nightly one
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"found 0\. .*pip install -e '\.\[cpu\]'"):
        installation.check()


def test_two_builds_are_named(monkeypatch):
    pretend_installed(monkeypatch, "tensorflow", "tensorflow-tpu")
    with pytest.raises(ValueError, match="found tensorflow 2.20.0 and tensorflow-tpu 2.20.0"):
        installation.check()


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax: .* TensorFlow backend"):
        installation.check()
    assert os.environ["KERAS_BACKEND"] == "jax"


@pytest.mark.parametrize("variable", [None, ""])
def test_a_configured_backend_is_overridden_with_a_word(monkeypatch, tmp_path, capsys, variable):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", variable or "")
    if variable is None:
        monkeypatch.delenv("KERAS_BACKEND")
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    installation.check()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"note: {tmp_path / 'keras.json'} sets Keras to jax; this command runs")
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    installation.check()  # who set the variable knows
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", [None, '{"backend": "tensorflow"}', "{}", "[]", "{", "\xff"])
def test_nothing_is_said_of_tensorflow(monkeypatch, tmp_path, capsys, text):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if text is not None:
        (tmp_path / "keras.json").write_bytes(text.encode("latin-1"))
    installation.check()
    assert capsys.readouterr().err == ""
    monkeypatch.undo()


def test_a_command_says_which_backend_it_overrides(tmp_path):
    """In a process of its own: the line, the command's own error, and no traceback."""
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    given = {**os.environ, "KERAS_HOME": str(tmp_path)}
    for name in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL"):  # the latter as the tests set it
        given.pop(name, None)
    command = [sys.executable, "-m", "gala_tf.predict", "none.jpg", "--model=none.keras"]

    def said():
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=given)

    note, error = said().stderr.splitlines()
    assert "sets Keras to torch; this command runs on TensorFlow" in note
    assert error.startswith("error: none.jpg")
    given["KERAS_BACKEND"] = "torch"
    (error,) = said().stderr.splitlines()
    assert error.startswith("error: KERAS_BACKEND=torch: the commands need")


MODULES = [
    *(f"gala_tf.{name}" for name in importlib.import_module("gala_tf.__main__").COMMANDS),
    *(f"data_prep.{name}" for name in importlib.import_module("data_prep.__main__").COMMANDS),
]
# Whose help is looked at in the fast suite: the two that people begin with.
LIGHTEST = ("gala_tf.train", "data_prep.build_tfrecords")
# Some of each command's own flags, as its --help must show them.
SHOWN = {
    "gala_tf.train": ["--seed=0", "--flip=true", "--crop=paper|inception|center", "--model_dir"],
    "gala_tf.evaluate": ["--split=test", "--checkpoint=best|newest", "--model_dir"],
    "gala_tf.visualize": ["--num_images=12", "--split=test", "--model_dir (required)"],
    "gala_tf.export": ["--overwrite=false", "--output_dir (required)"],
    "gala_tf.figures": ["--samples=50", "--figure=4a|4b"],
    "gala_tf.sweep": ["--seeds=0,1,2", "--runs"],
    "gala_tf.report": ["--split", "--output_dir (required)"],
    "gala_tf.predict": ["--model (required)", "--batch_size=32"],
    "gala_tf.tpu_check": ["--topology=v3:2x2x1", "--find_batch=false"],
    "data_prep.build_tfrecords": ["--source", "--num_shards=8", "--coco_maps=masks|boxes"],
    "data_prep.verify": ["--blur_sample=16", "--sheets=true"],
    "data_prep.reliability": ["--bootstrap=2000", "--match=id|stem"],
    "data_prep.clickme_game": ["--port=8000", "--limit_ms=7000"],
    "data_prep.psychophysics": ["--stimulus_ms=400", "--blocks=5"],
    "data_prep.studies": ["--who", "--withdrawn_maps=delete|anonymise"],
}


def run(*arguments, **variables):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("package", ["gala_tf", "data_prep"])
def test_commands_are_listed_a_line_each(package):
    listed = {name.partition(".")[2] for name in MODULES if name.startswith(package)}
    commands = {
        path.stem
        for path in (ROOT / package).glob("*.py")
        if "\nif __name__ ==" in path.read_text() and path.stem != "__main__"
    }
    assert listed == commands
    result = run("-m", package)
    assert result.returncode == 0 and max(map(len, result.stdout.splitlines())) <= 80
    for name in listed:
        assert re.search(rf"^  {name}  +\w", result.stdout, re.M)


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(module, marks=[] if module in LIGHTEST else pytest.mark.slow)
        for module in MODULES
    ],
)
def test_help_is_light_and_narrow(module):
    """What would make it slow is importing TensorFlow."""
    result = run("-X", "importtime", "-m", module, "-h")
    assert result.returncode == 0, result.stderr[-1000:]
    imported = {line.split("|")[-1].strip() for line in result.stderr.splitlines()}
    assert not {"tensorflow", "keras", "matplotlib"} & imported
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert f"  python -m {module} " in result.stdout  # an example
    for flag in SHOWN[module]:
        assert re.search(rf"^  {re.escape(flag)}(?!\w)", result.stdout, re.M), flag
    entries = re.findall(r"^  --.*\n(?:      .*\n)*", result.stdout, re.M)
    assert max(entry.count("\n") for entry in entries) <= 3


@pytest.mark.parametrize("module", ["gala_tf.train", "gala_tf.sweep"])
@pytest.mark.slow
def test_helpfull_has_every_flag(module):
    result = run("-m", module, "--helpfull")
    assert result.returncode == 0 and max(map(len, result.stdout.splitlines())) <= 80
    for name in config.names():
        assert f"\n  --{name}" in result.stdout, name


def test_help_groups_flags_as_config_does():
    text = run("-m", "gala_tf.train", "--help").stdout
    titles = re.findall(r"^(\w[\w ]+):$", text, re.M)
    of_config = ["Data", "Click maps", "Network", "Optimisation", "Run", "Hardware"]
    assert titles == [*of_config, "All commands"]
    assert "--width_multiplier" not in text and "more flags" in text


def test_help_of_a_build_names_the_source_of_an_option():
    text = run("-m", "data_prep.build_tfrecords", "--help").stdout
    below = text.split("Only for --source=salicon:")[1]
    assert "--fixation_side=3" in below.split("\n\n")[0]


def test_a_long_help_text_is_cut_between_sentences():
    values = flags.FlagValues()
    text = "The gist (of a; b) first; then more. " + "Words without end " * 9 + "."
    flags.DEFINE_enum("kind", "b", ["a", "b"], text, flag_values=values)
    assert help_page.entry(values["kind"]) == "  --kind=b|a  The gist (of a; b) first; then more."
    assert "without end" in help_page.entry(values["kind"], full=True)


LEARNING_RATE = "error: flag --learning_rate_per_256=0,1: it must be a number, as 0.5 ("


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train", "data"], "error: unexpected arguments: data; write --name=value (--help"),
        (["train", "--sede=1"], "error: there is no flag --sede; did you mean --seed? (--help"),
        (["train", "--seed=x"], "error: flag --seed=x: it must be a whole number ("),
        (["train", "--learning_rate_per_256=0,1"], LEARNING_RATE),
        (["train", "--flip=ja"], "error: flag --flip=ja: it must be true or false ("),
        (["train", "–seed=1"], "error: –seed=1 begins with a long dash, as text programs make"),
        (["train", "--flagfile=/no/file"], "error: Unable to open flagfile /no/file: No such"),
        (["train", "--flagfile=/"], "error: Unable to open flagfile /: Is a directory ("),
        (["export", "--model_dir=x"], "error: --output_dir is missing (--help lists the flags)"),
    ],
)
def test_a_mistake_gets_one_line(arguments, line):
    name, *rest = arguments
    result = run("-m", f"gala_tf.{name}", *rest)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith(line) and result.stderr.count("\n") == 1


SCRIPT = """
import dataclasses
from gala_tf import command

@dataclasses.dataclass(frozen=True)
class Options:
    port: int = command.flag(80, "Where it listens.", group="network")
    words: tuple[str, ...] = command.flag(("a",), "Words.")
    rates: tuple[float, ...] = command.flag((), "Rates.")
    file: str | None = command.flag(None, "A file.")
    times: list[str] = command.flag([], "More than one.")

def serve():
    '''Serves the game.

        python game.py serve --port=3
    '''
    print(command.from_flags(Options))
    return 3

def calibrate():
    '''Calibrates the screen; takes no flag.'''
    raise ValueError("no screen")

command.run_one_of({
    "serve": command.Subcommand(
        serve, lambda: command.define_flags(Options), tensorflow=False, positional="file"
    ),
    "calibrate": command.Subcommand(calibrate, tensorflow=False),
})
"""


@pytest.fixture
def game(tmp_path):
    path = tmp_path / "game.py"
    path.write_text(f'"""A game."""\n{SCRIPT}')
    return lambda *arguments: run(str(path), *arguments, PYTHONPATH=str(ROOT))


def test_subcommands_are_listed(game):
    for arguments in ([], ["--help"]):
        result = game(*arguments)
        assert result.returncode == 0
        assert "A game.\n\n  serve      Serves the game\n  calibrate  Calib" in result.stdout
    result = game("serv")
    assert result.returncode == 1
    assert result.stderr.startswith("error: 'serv' is none of serve, calibrate; did you mean serve")


def test_a_subcommand_has_its_own_help_and_flags(game):
    text = game("serve", "--help").stdout
    assert text.startswith("Serves the game.\n\n  python game.py serve --port=3\n")
    assert "Network:\n  --port=80  Where it listens.\n" in text
    assert "--port" not in game("calibrate", "-h").stdout


def test_a_subcommand_reads_its_flags_and_ends_with_its_status(game):
    result = game("serve", "x.txt", "--port=7", "--words=b,c", "--rates=1,2.5", "--times=1")
    assert result.returncode == 3, result.stderr
    assert result.stdout == (
        "Options(port=7, words=('b', 'c'), rates=(1.0, 2.5), file='x.txt', times=['1'])\n"
    )
    result = game("calibrate")
    assert result.returncode == 1
    assert result.stderr == "error: no screen (--verbosity=1 shows where)\n"


def test_importing_changes_no_setting():
    code = (
        "import os, sys, absl.flags; before = dict(os.environ), list(sys.meta_path);"
        "import gala_tf, gala_tf.command, gala_tf.config;"
        "sys.exit(before != (dict(os.environ), sys.meta_path))"
    )
    assert run("-c", code).returncode == 0


def test_what_is_no_chatter_is_passed_on(capfd):
    chatter = (
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "I0000 00:00:1795959953.369659    8468 port.cc:153] oneDNN custom operations are on.\n"
    )
    kept = "F0000 00:00:1.1  1 x.cc:1] no memory\nTraceback\n"
    with quiet.without_chatter():
        os.write(2, (chatter + kept).encode())
    assert capfd.readouterr().err == kept


def test_a_level_that_the_user_has_set_is_kept(monkeypatch):
    monkeypatch.setenv(quiet.LEVEL, "0")
    quiet.start()
    assert os.environ[quiet.LEVEL] == "0" and not quiet.started()


def set_or_unset(monkeypatch, but):
    monkeypatch.setenv(kernels.VARIABLE, "to be put back")
    monkeypatch.delenv(kernels.VARIABLE)
    if but:
        monkeypatch.setenv(kernels.VARIABLE, but)


@pytest.mark.parametrize(
    ("machine", "user", "found"),
    [("x86_64", None, "1"), ("AMD64", None, "1"), ("x86_64", "0", "0"), ("aarch64", None, None)],
)
def test_onednn_is_preferred_where_it_is_and_the_user_said_nothing(
    monkeypatch, machine, user, found
):
    monkeypatch.setattr("platform.machine", lambda: machine)
    set_or_unset(monkeypatch, user)
    kernels.prefer_onednn()
    assert os.environ.get(kernels.VARIABLE) == found


ONEDNN = """
from gala_tf import command

def main():
    from tensorflow.python.util import _pywrap_util_port
    print(_pywrap_util_port.IsMklEnabled())

if __name__ == "__main__":
    command.run(main)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="TensorFlow's oneDNN is for x86-64")
@pytest.mark.parametrize(("user", "found"), [(None, "True\n"), ("0", "False\n")])
def test_tensorflow_uses_onednn(tmp_path, monkeypatch, user, found):
    set_or_unset(monkeypatch, user)
    (tmp_path / "onednn.py").write_text(ONEDNN)
    assert run(str(tmp_path / "onednn.py"), PYTHONPATH=str(ROOT)).stdout == found


QUIET = """
import sys
from data_prep.parallel import workers
from gala_tf import command

def main():
    import tensorflow as tf
    tf.constant(1)
    with workers.pool(1) as pool:
        pool.submit(exec, "import tensorflow").result()
    print("ours", file=sys.stderr)

if __name__ == "__main__":
    command.run(main)
"""


@pytest.mark.slow
def test_nothing_is_said_before_we_say_something(tmp_path, monkeypatch):
    """Neither by this process, nor by the worker processes of a build."""
    monkeypatch.delenv(quiet.LEVEL, raising=False)
    (tmp_path / "quiet.py").write_text(QUIET)
    result = run(str(tmp_path / "quiet.py"), PYTHONPATH=str(ROOT))
    assert (result.returncode, result.stderr) == (0, "ours\n")
