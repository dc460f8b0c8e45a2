"""The experiment's real command on a set of made-up stimuli; and a person who follows a script."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parents[2]
# Of its own processor time, whatever else the machine does: the demonstration makes its maps once,
# which takes a minute of it.
START_CPU_S, START_S = 300, 3600


class ExperimentServer:
    """`python -m data_prep.psychophysics`, on a free port, with a database of its own."""

    def __init__(self, folder: Path, stimuli: Path | None, *flags: str):
        self.folder, self.process = folder, None
        self.database = folder / "study.db"
        # Not --demo beside flags that say the same: what tests say last, wins.
        source = [f"--stimuli={stimuli}"] if stimuli else ["--demo"]
        self.flags = [*source, f"--database={self.database}", "--admin_port=-1", *flags]
        self.start()

    def start(self, port: int = 0) -> None:
        command = [sys.executable, "-m", "data_prep.psychophysics", *self.flags, f"--port={port}"]
        self.log = open(self.folder / "server.log", "w+")  # noqa: SIM115 closed by stop
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=subprocess.STDOUT, cwd=ROOT, env={**os.environ}
        )
        until = time.monotonic() + START_S
        text = ""
        while (
            self.process.poll() is None and self._cpu_s() < START_CPU_S and time.monotonic() < until
        ):
            text = (self.folder / "server.log").read_text()
            if found := re.search(r"^open (\S+)$", text, re.M):
                self.url = found[1]
                return
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"the server did not start:\n{text}")

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)
        self.log.close()

    def rows(self, statement: str) -> list[dict]:
        """What the database says, read beside the server."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        with connection:
            found = [dict(row) for row in connection.execute(statement)]
        connection.close()
        return found


PERSON = (Path(__file__).parent / "person.js").read_text()  # follows a script


def consent(page: Page, server, address: str = "") -> None:
    """Opens the page, and agrees."""
    page.goto(server.url + address)
    page.get_by_role("button", name="I have read this").click(timeout=20_000)


def understand(page: Page) -> None:
    """Reads how it goes, and answers both questions."""
    expect(page.get_by_role("heading", name="How it goes")).to_be_visible(timeout=15_000)
    page.get_by_label("As soon as I have seen the picture").check()
    page.get_by_label("I guess").check()
    page.get_by_role("button", name="Go on").click()


def begin(page: Page, server, script=(), address: str = "") -> None:
    """Everything up to the first block, training included."""
    page.add_init_script(PERSON)
    consent(page, server, address)
    understand(page)
    expect(page.get_by_role("heading", name="Your two keys")).to_be_visible(timeout=15_000)
    page.evaluate("script => { person.script = script; }", list(script))
    page.get_by_role("button", name="Begin the training").click()
    block(page, 1)


def block(page: Page, number: int, timeout: int = 90_000) -> None:
    """Waits until block `number` can be started."""
    expect(page.locator("#block-title")).to_contain_text(f"Block {number} of", timeout=timeout)
    expect(page.get_by_role("button", name="Start")).to_be_visible(timeout=timeout)


def start(page: Page) -> None:
    """Starts the block."""
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#main")).to_have_attribute("data-screen", "run", timeout=20_000)


def answer_questions(page: Page) -> None:
    """The last page."""
    expect(page.get_by_role("heading", name="Three last questions")).to_be_visible(timeout=90_000)
    page.get_by_label("Which hand do you write with?").select_option("left")
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible(timeout=20_000)
