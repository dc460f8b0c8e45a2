"""Importing does nothing, and light files start without TensorFlow.

Who may import whom is in pyproject.toml, checked by `lint-imports`. Here is what it cannot say: it
sees imports inside functions, which commands need, like any other.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for top in ("gala_tf", "data_prep") for path in sorted((ROOT / top).rglob("*.py"))]
TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
# Under contracts; and those that import TensorFlow late because only files on gs:// need it.
LIGHT = ["gala_tf.data.dataset_info", "gala_tf.data.files", "gala_tf.paper.published"]
LIGHT += [
    module
    for contract in TOOLS["importlinter"]["contracts"]
    if "tensorflow" in contract.get("forbidden_modules", ())
    for module in contract["source_modules"]
]
# Of the extras [quickstart] and [tfds]; and __main__.py, which is there to be run.
OPTIONAL = re.compile(r"data_prep\.(sources\.quickstart\w*|tfds_builder)|.*\.__main__")


def module_of(path):
    """gala_tf/layers/gala.py -> gala_tf.layers.gala; an __init__.py is its package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = [name for name in map(module_of, SOURCES) if not OPTIONAL.fullmatch(name)]

IMPORT_ALL = """
import importlib, json, sys

sys.path.insert(0, sys.argv[1])
light, heavy = json.loads(sys.argv[2])
found = {}
for name in light:
    importlib.import_module(name)
    for package in {"tensorflow", "keras", "matplotlib"} & set(sys.modules):
        found.setdefault(package, name)
for name in heavy:
    importlib.import_module(name)
from tensorflow.python.eager import context
print(json.dumps({
    "imported by light files": found,
    "devices": context.context()._initialized,
    "backend": sys.modules["keras"].backend.backend(),
}))
"""


def test_importing_touches_no_device_and_writes_no_file(tmp_path):
    """In a directory of its own, without the tests on the path."""
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(ROOT), json.dumps([LIGHT, MODULES])],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert json.loads(result.stdout.splitlines()[-1]) == {
        "imported by light files": {},
        "devices": False,
        "backend": "tensorflow",
    }
    assert not list(tmp_path.iterdir())


def test_commands_are_light():
    """Every command is under a contract of light files."""
    started = re.compile(r"^if __name__ == .__main__.:\n(?s:.*)command\.run\(", re.M)
    top = [path for path in SOURCES if path.parent.parent == ROOT]
    commands = {module_of(path) for path in top if started.search(path.read_text())}
    assert len(commands) >= 11 and commands <= set(LIGHT)


def test_no_second_keras():
    """The Keras of TensorFlow 2.15 and older has other layers under the same names."""
    second = re.compile(r"\btf\.keras\b|tensorflow\.keras|tf_keras")
    assert [path for path in SOURCES if second.search(path.read_text())] == []
