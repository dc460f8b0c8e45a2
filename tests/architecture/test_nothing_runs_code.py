"""Nothing that is loaded runs code: neither the source nor a planted file.

Planted files are in the campaign (`failing/in_files_loaded.py`).
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for package in ("gala_tf", "data_prep", "experiments")
    for path in (ROOT / package).rglob("*.py")
)
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "torch"}
# Peers of benchmarks, which compute with it; torch.load is found there, too.
TORCH, IMPORTED = {"torch_worker.py", "torch_loader.py"}, {"torch", "torch.utils.flop_counter"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
# function: keyword that must be there, and its value; None: may not be used at all
CALLS = {
    "load_model": ("safe_mode", True),
    "enable_unsafe_deserialization": None,
    "read_pickle": None,
    "unsafe_load": None,
    "py_function": None,  # of a loaded graph; and slow
}


def faults(source):
    """What in a source could run code from a file: [(line, what)]."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
            found += [(node.lineno, name) for name in names & MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append((node.lineno, node.module))
        elif isinstance(node, ast.Call):
            found += [(node.lineno, what) for what in _call(node)]
    return found


def _call(node):
    function = node.func
    keywords = {k.arg: getattr(k.value, "value", "?") for k in node.keywords}
    if isinstance(function, ast.Name) and function.id in BUILTINS:
        yield function.id
    name = getattr(function, "attr", getattr(function, "id", ""))
    owner = getattr(getattr(function, "value", None), "id", "")
    if name in CALLS and owner != "saved_models":  # ours, which passes safe_mode
        wanted = CALLS[name]
        if wanted is None or keywords.get(wanted[0]) is not wanted[1]:
            yield name
    if keywords.get("allow_pickle", False) is not False:
        yield "allow_pickle"
    if keywords.get("safe_mode", True) is not True:
        yield "safe_mode"
    if owner in ("yaml", "torch") and name == "load":
        yield f"{owner}.load"
    if owner in ("np", "numpy") and name == "load" and keywords.get("allow_pickle") is not False:
        yield "np.load"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_loads_code(path):
    found = faults(path.read_text())
    if path.name in TORCH:
        found = [(line, what) for line, what in found if what not in IMPORTED]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import os, marshal",
        "x = eval('1')",
        "exec(open('a').read())",
        "np.load('a.npy', allow_pickle=True)",
        "np.load('a.npy')",
        "numpy.lib.format.read_array(f, allow_pickle=True)",
        "keras.saving.load_model('a.keras')",
        "keras.saving.load_model('a.keras', safe_mode=False)",
        "keras.saving.load_model('a.keras', safe_mode=chosen)",
        "keras.layers.deserialize(c, safe_mode=False)",
        "keras.config.enable_unsafe_deserialization()",
        "yaml.load(f)",
        "import torch",
        "torch.load('a.pt')",
    ],
)
def test_the_check_sees(line):
    assert faults(line)


@pytest.mark.parametrize(
    "line",
    [
        "np.load('a.npy', allow_pickle=False)",
        "json.loads(text)",
        "keras.saving.load_model('a.keras', safe_mode=True)",
        "re.compile('a')",
        "network.compile()",
    ],
)
def test_the_check_lets_pass(line):
    assert not faults(line)
