"""Every page: accessible, as wide as the screen, without complaints; and its JavaScript checked."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import wire_types
from steps import agree

HERE = Path(__file__).parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
PAGES = ("", "instructions", "play", "leaderboard", "about", "me", "nothing-here")


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 768, 1280])
def test_every_page_passes_axe_and_fits(new_page, server, width):
    if not AXE.exists():
        pytest.skip("no axe-core: npm install in tests/browser")
    new_page.expected += ["404"]
    # axe is put in by the test's own door; the pages' policy stays as it is for the pages.
    page = new_page(viewport={"width": width, "height": 800}, bypass_csp=True)
    agree(page, server)
    found = {}
    for name in PAGES:
        page.goto(server.url + name)
        page.wait_for_load_state("networkidle")
        page.add_script_tag(content=AXE.read_text())
        result = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag22aa']})")
        for violation in result["violations"]:
            nodes = [node["target"] for node in violation["nodes"]][:3]
            found[f"{name}: {violation['id']}"] = nodes
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found[f"{name} is {wide} px wide"] = []
    assert not found, json.dumps(found, indent=1)


@pytest.mark.slow
def test_the_policy_is_never_broken(page, server):
    page.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error('CSP ' + e.blockedURI))"
    )
    agree(page, server)
    for name in PAGES[:-1]:
        page.goto(server.url + name)
        page.wait_for_load_state("networkidle")


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
