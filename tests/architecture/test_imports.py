"""Imports point down, as DESIGN.md draws them; and importing does nothing.

The arrows are read off the source: imports anywhere in a file count, those in functions too.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Needed before, or without, TensorFlow: by --help, by the checks of flags, by data_prep.
LIGHT = [
    "gala_tf.command",
    "gala_tf.command_line.help_page",
    "gala_tf.command_line.quiet",
    "gala_tf.config",
    "gala_tf.data.clickmaps",
    "gala_tf.data.dataset_info",
    "gala_tf.data.files",
    "gala_tf.data.images",
    "gala_tf.data.schema",
    "gala_tf.distribution.cluster",
    "gala_tf.distribution.consensus",
    "gala_tf.distribution.strategy",
    "gala_tf.evaluate",
    "gala_tf.evaluation.classifiers",
    "gala_tf.evaluation.harmonization",
    "gala_tf.evaluation.per_image",
    "gala_tf.evaluation.protocols",
    "gala_tf.evaluation.significance",
    "gala_tf.explain.saved_models",
    "gala_tf.export",
    "gala_tf.figures",
    "gala_tf.metrics",
    "gala_tf.paper.figure4.draw",
    "gala_tf.paper.figure4.networks",
    "gala_tf.paper.figure4.pictures",
    "gala_tf.paper.job_queue",
    "gala_tf.paper.published",
    "gala_tf.paper.report",
    "gala_tf.pictures.panels",
    "gala_tf.report",
    "gala_tf.resilience.full_disk",
    "gala_tf.resilience.interruption",
    "gala_tf.resilience.stall",
    "gala_tf.runs.checkpoints",
    "gala_tf.runs.directory",
    "gala_tf.runs.logs",
    "gala_tf.sweep",
    "gala_tf.tpu_check",
    "gala_tf.tpu_checking",
    "gala_tf.train",
    "gala_tf.training.non_finite",
    "gala_tf.training.plan",
    "gala_tf.training.profiling",
    "gala_tf.visualize",
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


GALA_TF = [module for module in MODULES if module.startswith("gala_tf.")]
DATA_PREP = [module for module in MODULES if module.split(".")[0] == "data_prep"]


def test_the_reader_of_imports_reads():
    assert "gala_tf.config" in imported(Path("gala_tf/train.py"))  # from gala_tf import config
    assert "gala_tf.distribution.strategy" in imported(Path("gala_tf/evaluate.py"))  # in a function
    assert "gala_tf.layers.gala" in imported(Path("gala_tf/layers/__init__.py"))
    assert "absl.flags" in imported(Path("gala_tf/command.py"))
    assert "gala_tf.data.records" in imported(Path("data_prep/building/encoding.py"))


def test_losses_and_models_never_see_each_other():
    names = imported(MODULES["gala_tf.losses"])
    assert not any(name.startswith(("gala_tf.models", "gala_tf.layers")) for name in names)
    for module in GALA_TF:
        if unit(module) in ("models", "layers"):
            assert "gala_tf.losses" not in imported(MODULES[module])


@pytest.mark.parametrize("module", ["gala_tf", *GALA_TF])
def test_gala_tf_never_imports_data_prep(module):
    assert not any(name.split(".")[0] == "data_prep" for name in imported(MODULES[module]))


@pytest.mark.parametrize("module", MODULES)
def test_neither_tests_nor_another_keras(module):
    tests = {path.stem for path in (ROOT / "tests").glob("*.py")}
    tops = {name.split(".")[0] for name in imported(MODULES[module])}
    assert tops.isdisjoint(tests | {"tests", "pytest", "tf_keras"})
    assert not any(name.startswith("tensorflow.keras") for name in imported(MODULES[module]))


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
    optional = {
        "data_prep.sources.quickstart",
        "data_prep.tfds_builder",
    }
    names = json.dumps([LIGHT, sorted(set(MODULES) - optional)])
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
