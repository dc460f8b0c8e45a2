"""A real server, started by its command, and a real browser; any console error fails the test."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
START_S = 60


class Server:
    """The command, on a free port, with a database of its own."""

    def __init__(self, folder: Path, *flags: str):
        self.folder, self.flags, self.process = folder, flags, None
        self.start()

    def start(self, port: int = 0) -> None:
        command = [
            *(sys.executable, "-m", "data_prep.clickme_game"),
            f"--database={self.folder / 'game.db'}",
            f"--images={self.folder / 'pictures'}",
            f"--port={port}",
            "--partner=reference",
            *self.flags,
        ]
        self.log = open(self.folder / "server.log", "w+")  # noqa: SIM115 closed by stop
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=subprocess.STDOUT, cwd=ROOT, env={**os.environ}
        )
        self.url = self._address()

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def _address(self):
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            text = (self.folder / "server.log").read_text()
            if found := re.search(r"^open (\S+)$", text, re.M):
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.stop()
        pytest.fail(f"the server did not start:\n{text}")

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)
        self.log.close()


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
    import game_world

    folder = tmp_path_factory.mktemp("game")
    game_world.draw_pictures(folder / "pictures", each=40)
    made = Server(folder, "--limit_ms=3000", "--allocation=coverage")
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
