"""The walls around the rooms of people: who may see whom; and nothing here needs TensorFlow."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HUMANS = ROOT / "data_prep" / "humans"
COMMANDS = {"clickme_game.py", "studies.py", "psychophysics.py"}
PARTNER_WITH_TENSORFLOW = "data_prep/humans/game/partners/saved_model.py"


@functools.cache
def imported(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


FILES = sorted(HUMANS.rglob("*.py"))


def test_nothing_else_imports_humans():
    for package in ("gala_tf", "data_prep"):
        for path in (ROOT / package).rglob("*.py"):
            if HUMANS in path.parents or path.name in COMMANDS:
                continue
            assert not any(name.startswith("data_prep.humans") for name in imported(path)), path


def test_studies_see_no_room_above():
    for path in (HUMANS / "studies").rglob("*.py"):
        above = ("data_prep.humans.game", "data_prep.humans.demo", "data_prep.humans.psycho")
        assert not any(name.startswith(above) for name in imported(path)), path


def test_humans_see_no_network_code():
    allowed = ("gala_tf.command", "gala_tf.data.", "gala_tf.paper.published", "gala_tf.metrics")
    for path in FILES:
        for name in imported(path) - {"gala_tf.__version__"}:
            if name.startswith("gala_tf."):
                # `from gala_tf.paper import published` names the package, too
                assert name.startswith(allowed) or name in ("gala_tf.paper", "gala_tf.data"), path


def test_only_routes_and_serving_know_fastapi_and_only_they():
    for path in FILES:
        names = {name.partition(".")[0] for name in imported(path)}
        if names & {"fastapi", "starlette"}:
            assert path.name in ("api.py", "app.py", "serving.py", "admin.py"), path
        if path.name in ("api.py", "rules.py"):
            assert "sqlalchemy" not in names, path


def test_migrations_import_nothing_of_ours():
    for path in (HUMANS / "studies" / "migrations").rglob("*.py"):
        assert not any(name.startswith(("data_prep", "gala_tf")) for name in imported(path)), path


def test_one_partner_alone_imports_tensorflow():
    for path in FILES:
        heavy = {name.partition(".")[0] for name in imported(path)} & {"tensorflow", "keras"}
        assert not heavy or path.relative_to(ROOT).as_posix() == PARTNER_WITH_TENSORFLOW, path


@pytest.mark.slow
def test_the_command_starts_without_tensorflow():
    script = (
        "import sys; sys.modules['tensorflow'] = None; sys.modules['keras'] = None;"
        "import data_prep.humans.game.commands, data_prep.humans.studies.commands;"
        "import data_prep.humans.psychophysics.commands"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
