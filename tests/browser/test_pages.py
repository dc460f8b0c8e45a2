"""Every page: accessible, as wide as the screen, without complaints."""

import json
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="no playwright: pip install -e '.[browser]'")

from steps import agree

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
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
