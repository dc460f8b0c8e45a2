"""The pages as files, without a browser: types, nothing inline, every key tested."""

import shutil
import subprocess
from pathlib import Path

import pytest
import wire_types

HERE = Path(__file__).parent


@pytest.mark.parametrize("room", wire_types.ROOMS, ids=lambda room: room.__package__)
def test_wire_types_are_those_of_the_server(room):
    found = wire_types.target(room).read_text()
    assert found == wire_types.text(room), "run tests/browser/wire_types.py"


@pytest.mark.slow
def test_javascript_is_typed():
    compiler = HERE / "node_modules" / ".bin" / "tsc"
    if not compiler.exists() or not shutil.which("node"):
        pytest.skip("no TypeScript compiler: npm install in tests/browser")
    found = subprocess.run(
        [str(compiler), "--noEmit", "-p", str(HERE)], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout


def test_nothing_inline_and_no_address_elsewhere():
    pages = [*HERE.parents[1].glob("data_prep/humans/*/pages/*.html")]
    assert len(pages) >= 7
    for path in pages:
        text = path.read_text()
        assert "style=" not in text and "<style" not in text and " onclick" not in text
        assert "http://" not in text and "https://" not in text, path
        assert text.count("<script") == text.count('<script type="module" src="/static/')


def test_every_key_of_the_table_has_a_test():
    table = (HERE.parents[1] / "data_prep/humans/game/pages/instructions.html").read_text()
    tests = (HERE / "test_round_in_browser.py").read_text()
    rows = [part.partition('"')[0] for part in table.split('data-test-id="')[1:]]
    assert len(rows) == 4
    assert all(row in tests for row in rows)
