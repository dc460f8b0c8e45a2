"""What the READMEs tell people to type is true: every command in them is parsed as it would be.

Shell blocks are run by bash with stand-ins for all programs, which note how they were called; so
loops, variables and quotes mean what they mean in a shell. A Python command is then started up to
the point where its flags are parsed, flagfiles and all, and no further.
"""

import ast
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    {Path("README.md"), Path("CONTRIBUTING.md")}
    | {
        path.relative_to(ROOT)
        for top in ("gala_tf", "data_prep", "experiments", "tests")
        for path in (ROOT / top).rglob("README.md")
        if "node_modules" not in path.parts
    }
)
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.M | re.S)
PROGRAMS = ["python", "python3", "pip", "pre-commit", "ruff", "codespell", "lint-imports", "mypy"]
PROGRAMS += ["tensorboard", "sbatch", ".venv/bin/pip", ".venv/bin/python", ".ci/run"]

# Notes the program and its arguments as one line of JSON.
STAND_IN = f"""#!{sys.executable}
import json, sys
with open({{record!r}}, "a") as file:
    print(json.dumps([{{name!r}}, *sys.argv[1:]]), file=file)
"""

# Each command line in a fork of its own: up to `app.run`, which parses and goes no further.
PARSE = """
import json, os, runpy, sys, traceback

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import numpy, PIL.Image  # every fork has them then
from absl import app, flags

def parse_only(main, argv=None, flags_parser=lambda words: flags.FLAGS(words), **_):
    left = flags_parser(argv or sys.argv)
    if len(left) > 1:
        raise ValueError(f"stray arguments: {left[1:]}")
    print("parsed", flush=True)
    os._exit(0)

app.run = parse_only
commands = json.load(sys.stdin)
if any(words[0] != "-m" for words in commands):
    import gala_tf.training.session  # scripts import at their top what commands import late
for words in commands:
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        try:
            if words[0] == "-m":
                sys.argv = words[1:]
                runpy.run_module(words[1], run_name="__main__", alter_sys=True)
            else:
                sys.argv = words
                sys.path.insert(0, os.path.dirname(words[0]))
                runpy.run_path(words[0], run_name="__main__")
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
    os.close(writer)
    with os.fdopen(reader, errors="replace") as file:
        print(json.dumps(file.read()[-3000:]), flush=True)
    os.wait()
"""


def blocks(page, *languages):
    text = (ROOT / page).read_text()
    return [code for _, language, code in BLOCK.findall(text) if language in languages]


def spans(page):
    """Commands in the running text or in tables: `python -m gala_tf.train --help`."""
    text = BLOCK.sub("", (ROOT / page).read_text())
    return [code for code in re.findall(r"`([^`\n]+)`", text) if code.split()[0] in PROGRAMS[:3]]


def calls(script, directory):
    """[program, argument, ...] of each program that the script starts."""
    bin_, record = directory / "bin", directory / "calls"
    for name in PROGRAMS:
        path = directory / name if "/" in name else bin_ / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN.format(record=str(record), name=name))
        path.chmod(0o755)
    (directory / ".venv/bin/activate").write_text("")
    record.write_text("")
    result = subprocess.run(
        ["/bin/bash", "-euc", script],
        cwd=directory,
        env={"PATH": str(bin_)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, f"{script}\n{result.stderr}"
    return [json.loads(line) for line in record.read_text().splitlines()]


@functools.cache
def extras():
    """Names of the extras, read off setup.py's call."""
    setup = next(
        node
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    )
    (table,) = [word.value for word in setup.keywords if word.arg == "extras_require"]
    return {key.value for key in table.keys}


def parse(lines):
    """Each line's output: `parsed`, or why it was not."""
    result = subprocess.run(
        [sys.executable, "-c", PARSE],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def check(words):
    """A call's words for `parse`; None where it is of no command of ours, and is right."""
    program, *arguments = words
    name = Path(program).name
    if name == "sbatch":  # the script passes what follows it to training
        place = next(i for i, word in enumerate(arguments) if not word.startswith("-"))
        assert (ROOT / arguments[place]).is_file(), arguments[place]
        return ["-m", "gala_tf.train", *arguments[place + 1 :]]
    if name == "pip":
        for word in arguments:
            if found := re.fullmatch(r"\.\[(.+)\]", word):
                assert set(found[1].split(",")) <= extras(), word
    elif words[:1] == [".ci/run"]:
        text = (ROOT / ".ci/run").read_text()
        for step in arguments:
            assert f"\n{step}() {{" in text, f".ci/run has no step {step}"
    elif name in ("python", "python3"):
        if arguments[:2] == ["-m", "venv"]:
            return None
        if arguments[:2] == ["-m", "pytest"]:
            for word in arguments[2:]:
                assert "/" not in word or (ROOT / word).exists(), word
            return None
        if arguments[0] == "-m" and arguments[1].startswith("faults."):
            assert (ROOT / "tests" / (arguments[1].replace(".", "/") + ".py")).is_file()
            return None
        assert arguments[0] == "-m" or (ROOT / arguments[0]).is_file(), arguments[0]
        return arguments
    return None


def test_every_command_parses(tmp_path):
    lines = {}
    for page in PAGES:
        for script in [*blocks(page, "sh"), *spans(page)]:
            for line in filter(None, map(check, calls(script, tmp_path))):
                # Of lines that differ in numbers alone, as those of a loop over seeds, one.
                lines.setdefault(re.sub(r"\d+", "0", " ".join(line)), (page, line))
    assert len(lines) > 50  # were they found at all
    failed = [
        f"{page}: {' '.join(line)}\n{said}"
        for (page, line), said in zip(
            lines.values(), parse([line for _, line in lines.values()]), strict=True
        )
        if not said.endswith("parsed\n")
    ]
    assert not failed, "\n\n".join(failed)


def test_the_parser_refuses():
    reasons = {
        "no_such_flag": ["-m", "gala_tf.train", "--no_such_flag=1"],
        "none.flags": ["-m", "gala_tf.train", "--flagfile=experiments/none.flags"],
        "no_such_command": ["-m", "gala_tf.no_such_command"],
        "oblique": ["-m", "gala_tf.train", "--crop=oblique"],
        "stray": ["-m", "gala_tf.train", "stray"],
        "no_such_option": ["experiments/benchmarks/step.py", "--no_such_option"],
    }
    for reason, said in zip(reasons, parse(list(reasons.values())), strict=True):
        assert reason in said and not said.endswith("parsed\n")


def test_the_shell_refuses_unknown_programs(tmp_path):
    with pytest.raises(AssertionError, match="no-such-program"):
        calls("no-such-program --flag", tmp_path)
    assert calls("for i in 1 2; do python -m a \\\n --b=$i 'c d'; done", tmp_path) == [
        ["python", "-m", "a", "--b=1", "c d"],
        ["python", "-m", "a", "--b=2", "c d"],
    ]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_block_says_what_it_is(page):
    languages = {language for _, language, _ in BLOCK.findall((ROOT / page).read_text())}
    assert languages <= {"sh", "python", "text"}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_python_blocks_compile(page):
    for code in blocks(page, "python"):
        compile(code, str(page), "exec")


@pytest.mark.slow
def test_the_readmes_network_trains():
    """GALA in one's own network, as the README has it, for one batch."""
    import numpy as np

    (code,) = blocks("README.md", "python")
    names = {}
    exec(code, names)
    maps = np.zeros([4, 16, 16, 1], np.float32)
    maps[0, 3:6, 3:6] = 1.0  # the other images have no map
    targets = {"logits": np.arange(4), "attention": dict.fromkeys(names["layers"], maps)}
    images = np.random.default_rng(0).random([4, 64, 64, 3], np.float32)
    history = names["network"].fit(images, targets, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    found = [value for name, (value,) in history.items() if name.endswith("gala_residual_loss")]
    assert len(found) == 7 and min(found) > 0


def test_the_layers_readme_trains():
    """The layer by itself, as its room's README has it, for one batch."""
    import numpy as np

    first, second, third = blocks("gala_tf/layers/README.md", "python")
    names = {}
    exec(first, names)
    maps = np.zeros([4, 8, 8, 1], np.float32)
    maps[0, 3:6, 3:6] = 1.0
    images = np.random.default_rng(0).random([4, 64, 64, 3], np.float32)
    history = names["network"].fit(images, {"logits": np.arange(4), "attention": maps}, verbose=0)
    assert history.history["attention_loss"][0] > 0
    assert np.isfinite(history.history["attention_map_agreement"]).all()
    exec(second, names)
    assert set(names["network"].output["attention"]) == {
        f"block_{i}_project_BN_gala_residual" for i in range(10, 17)
    }
    exec(third, names)
    assert names["network"].get_layer("logits").class_names == ("cat", "dog")


def anchors(page):
    """GitHub's names of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", (ROOT / page).read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text()):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        place = (ROOT / page).parent / path if path else ROOT / page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert len(text.split()) <= 1300


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_line_of_prose_is_long(page):
    prose = BLOCK.sub("", (ROOT / page).read_text()).splitlines()
    assert [line for line in prose if len(line) > 100 and not line.startswith("|")] == []
