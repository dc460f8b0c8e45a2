"""The map of a room, the docstring of its `__init__.py`, names its files; cited pages exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = [
    path.parent.relative_to(ROOT)
    for top in ("gala_tf", "data_prep")
    for path in sorted((ROOT / top).rglob("__init__.py"))
    # Their tables, which name what they hold, are beside the contract of what can be added.
    if path.parent.name not in (top, "layers", "models", "sources")
]
TEXTS = [
    path
    for top in ("gala_tf", "data_prep", "experiments", "tests", ".ci", ".github")
    for path in sorted((ROOT / top).rglob("*"))
    if path.suffix in (".py", ".flags", ".md", ".sbatch", ".yml", "")
    and path.is_file()
    and "node_modules" not in path.parts  # others' files, where npm has been run
]
TEXTS += [path for path in ROOT.iterdir() if path.suffix in (".md", ".py", ".toml", ".yaml")]


@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_the_map_names_every_file(room):
    text = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text()))
    here = {path.stem for path in (ROOT / room).iterdir() if not path.stem.startswith("_")}
    files = {path.stem for path in (ROOT / room).glob("[!_]*.py")}
    assert not (files - set(re.findall(r"\w+", text))), "not on the map"
    columns = re.findall(r"^(\w[\w., /]*?)  +\S", text, re.M)  # one name, or several by commas
    named = {re.split(r"\.py|/", name)[0] for column in columns for name in column.split(", ")}
    assert not (named - here), "gone"


def test_no_document_is_cited_that_is_not_here():
    pages = {path.name for path in TEXTS if path.suffix == ".md"}
    for path in TEXTS:
        assert set(re.findall(r"\b[A-Z][A-Z_]+\.md\b", path.read_text())) <= pages, path
