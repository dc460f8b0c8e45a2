"""A real server, started by its command, and a real browser; any console error fails the test."""

import shutil

import game_world
import pytest
from browser_world import CHROMIUM, FLAGS, Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def chromium():
    """A browser for the whole run."""
    api = pytest.importorskip("playwright.sync_api")
    if not shutil.which(CHROMIUM):
        pytest.skip(f"no {CHROMIUM}: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A game with rounds of three seconds, so that the tests are not mostly waiting."""
    folder = tmp_path_factory.mktemp("game")
    game_world.draw_pictures(folder / "pictures", each=40)
    made = Server(folder, "--limit_ms=3000", "--allocation=coverage")
    yield made
    made.stop()


@pytest.fixture
def long_rounds(tmp_path):
    """A game whose rounds last until the partner has said something, however slow the machine."""
    game_world.draw_pictures(tmp_path / "pictures", each=12)
    made = Server(tmp_path, "--limit_ms=12000", "--allocation=coverage")
    yield made
    made.stop()


@pytest.fixture
def new_page(chromium, server):
    """Opens pages of people of their own, and fails on whatever a page complains of."""
    contexts, complaints = [], []

    def listen(page):
        page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda r: (
                not r.url.startswith((server.url, "data:", "blob:"))
                and complaints.append(f"asked elsewhere: {r.url}")
            ),
        )

    def make(**options):
        context = chromium.new_context(**options)
        context.on("page", listen)
        contexts.append(context)
        return context.new_page()

    make.expected = []  # texts that a test provokes on purpose
    yield make
    for context in contexts:
        context.close()
    left = [text for text in complaints if not any(part in text for part in make.expected)]
    assert not left, left


@pytest.fixture
def page(new_page):
    """One person's page."""
    return new_page()
