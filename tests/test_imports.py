"""Imports point down, as DESIGN.md draws them; and importing does nothing.

The arrows are read off the source: imports anywhere in a file count, those in functions too.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A module may import those of its own row and of rows above it. A new module needs a place here.
LEVELS = [
    {
        "records",
        "stored_images",
        "dataset_info",
        "config",
        "command",
        "files",
        "drawing",
        "rows",
        "published",
        "job_queue",
        "interruption",
        "stall",
        "storage",
        "memory",
    },
    {
        "layers",
        "preprocessing",
        "clickmaps",
        "losses",
        "metrics",
        "map_metrics",
        "comparisons",
        "schedules",
        "optimizers",
        "cluster",
        "agreement",
        "profiling",
        "strategy",
    },
    {
        "models",
        "bad_records",
        "reading",
        "input_pipeline",
        "checkpoints",
        "train_step",
        "run_directory",
        "logs",
        "plan",
        "troubles",
        "scores",
        "sessions",
        "per_image",
        "explanations",
        "network_parts",
        "saved_models",
        "diagnostics",
    },
    {
        "train",
        "evaluate",
        "evaluate_model",
        "conventions",
        "visualize",
        "figure4",
        "figure4_networks",
        "figure4_runs",
        "figures",
        "export",
        "report",
        "reporting",
        "sweep",
        "tpu_check",
        "tpu_checking",
    },
]
NEVER_SEE_FLAGS = {
    "layers",
    "models",
    "losses",
    "preprocessing",
    "clickmaps",
    "records",
    "dataset_info",
    "stored_images",
    "metrics",
    "map_metrics",
    "comparisons",
    "explanations",
    "saved_models",
    "input_pipeline",
    "reading",
    "bad_records",
    "schedules",
    "optimizers",
}
DATA_PREP_MAY_IMPORT = {"records", "clickmaps", "metrics", "command"}  # command: how it starts
# Needed before, or without, TensorFlow: by --help, by the checks of flags, by data_prep.
LIGHT = [
    "interruption",
    "stall",
    "storage",
    "troubles",
    "rows",
    "published",
    "job_queue",
    "sweep",
    "command",
    "files",
    "drawing",
    "config",
    "records",
    "dataset_info",
    "stored_images",
    "metrics",
    "map_metrics",
    "comparisons",
    "clickmaps",
    "checkpoints",
    "run_directory",
    "logs",
    "plan",
    "per_image",
    "diagnostics",
    "cluster",
    "agreement",
    "profiling",
    "strategy",
    "train",
    "evaluate",
    "evaluate_model",
    "conventions",
    "saved_models",
    "visualize",
    "figure4",
    "figure4_networks",
    "figure4_runs",
    "figures",
    "export",
    "report",
    "reporting",
    "tpu_check",
    "tpu_checking",
]


def sources(package):
    return sorted(path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))


def module_of(path):
    """gala_tf/layers/gala.py -> gala_tf.layers.gala; an __init__.py is its package."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    module_of(path): path for package in ("gala_tf", "data_prep") for path in sources(package)
}


def imported(path):
    """Full names of what a file imports; `from a import b` is a.b if that is a module, else a."""
    module = module_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            inside = {f"{base}.{alias.name}" for alias in node.names}
            # `from absl import flags` names a module of another package: count it in full.
            ours = base.split(".")[0] in ("gala_tf", "data_prep")
            names |= {name if name in MODULES or not ours else base for name in inside}
    return names


def unit(module):
    """The part of gala_tf that a module belongs to: gala_tf.layers.gala -> layers."""
    return (module.split(".") + [""])[1]


def level(module):
    return next(i for i, row in enumerate(LEVELS) if unit(module) in row)


GALA_TF = [module for module in MODULES if module.startswith("gala_tf.")]
DATA_PREP = [module for module in MODULES if module.split(".")[0] == "data_prep"]


def test_the_reader_of_imports_reads():
    assert "gala_tf.config" in imported(Path("gala_tf/train.py"))  # from gala_tf import config
    assert "gala_tf.strategy" in imported(Path("gala_tf/evaluate.py"))  # in a function
    assert "gala_tf.layers.gala" in imported(Path("gala_tf/layers/__init__.py"))
    assert "absl.flags" in imported(Path("gala_tf/config.py"))
    assert "gala_tf.records" in imported(Path("data_prep/building/encoding.py"))


def test_every_module_has_a_level():
    known = set().union(*LEVELS)
    assert sum(map(len, LEVELS)) == len(known)
    missing = {unit(module) for module in GALA_TF} - known
    assert not missing, f"say in LEVELS where {sorted(missing)} belong"


@pytest.mark.parametrize("module", GALA_TF)
def test_imports_point_down(module):
    for name in imported(MODULES[module]):
        if name.startswith("gala_tf."):
            assert level(name) <= level(module), f"{module} imports {name}, which is above it"


@pytest.mark.parametrize("module", [m for m in GALA_TF if unit(m) in NEVER_SEE_FLAGS])
def test_never_sees_flags(module):
    names = imported(MODULES[module])
    assert names.isdisjoint({"gala_tf.config", "gala_tf.command", "absl.flags", "absl.app"})


def test_losses_and_models_never_see_each_other():
    names = imported(MODULES["gala_tf.losses"])
    assert not any(name.startswith(("gala_tf.models", "gala_tf.layers")) for name in names)
    for module in GALA_TF:
        if unit(module) in ("models", "layers"):
            assert "gala_tf.losses" not in imported(MODULES[module])


@pytest.mark.parametrize("module", ["gala_tf", *GALA_TF])
def test_gala_tf_never_imports_data_prep(module):
    assert not any(name.split(".")[0] == "data_prep" for name in imported(MODULES[module]))


@pytest.mark.parametrize("module", DATA_PREP)
def test_data_prep_imports_little_of_gala_tf(module):
    names = {name for name in imported(MODULES[module]) if name.split(".")[0] == "gala_tf"}
    assert names <= {f"gala_tf.{name}" for name in DATA_PREP_MAY_IMPORT}


@pytest.mark.parametrize("module", MODULES)
def test_neither_tests_nor_another_keras(module):
    tests = {path.stem for path in (ROOT / "tests").glob("*.py")}
    tops = {name.split(".")[0] for name in imported(MODULES[module])}
    assert tops.isdisjoint(tests | {"tests", "pytest", "tf_keras"})
    assert not any(name.startswith("tensorflow.keras") for name in imported(MODULES[module]))


def test_the_top_row_alone_may_be_circular():
    """Elsewhere no module reaches itself, not even through functions."""
    edges = {
        module: {name for name in imported(MODULES[module]) if name in MODULES}
        for module in GALA_TF
        if level(module) < len(LEVELS) - 1
    }

    def reaches(start, seen):
        for name in edges.get(start, ()):
            if name not in seen:
                seen.add(name)
                reaches(name, seen)
        return seen

    assert not [module for module in edges if module in reaches(module, set())]


IMPORT_ALL = """
import importlib, json, sys

light, heavy = json.loads(sys.argv[1])
for name in light:
    importlib.import_module(name)
light_has = sorted({"tensorflow", "keras", "matplotlib"} & set(sys.modules))
for name in heavy:
    importlib.import_module(name)
from tensorflow.python.eager import context
print(json.dumps({
    "light_has": light_has,
    "tensorflow": "tensorflow" in sys.modules,
    "devices": context.context()._initialized,
    "backend": sys.modules["keras"].backend.backend(),
}))
"""


def test_importing_touches_no_device_and_reads_no_file(tmp_path):
    """And modules that --help needs leave TensorFlow alone. In a directory of its own."""
    # Of the extras [quickstart] and [tfds].
    optional = {"data_prep.quickstart", "data_prep.sources.quickstart", "data_prep.tfds_builder"}
    light = [f"gala_tf.{name}" for name in LIGHT]
    names = json.dumps([light, sorted(set(MODULES) - optional)])
    environment = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    result = subprocess.run(
        [sys.executable, "-c", environment + IMPORT_ALL, names],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert json.loads(result.stdout.splitlines()[-1]) == {
        "light_has": [],
        "tensorflow": True,
        "devices": False,
        "backend": "tensorflow",
    }
    assert not list(tmp_path.iterdir())
