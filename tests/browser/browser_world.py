"""The real command on a free port, what its database holds, and how chromium is started."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

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


def newest_round(server) -> dict:
    connection = sqlite3.connect(server.folder / "game.db")
    connection.row_factory = sqlite3.Row
    row = connection.execute("SELECT * FROM rounds ORDER BY offered_at DESC LIMIT 1").fetchone()
    batches = connection.execute(
        "SELECT first, count, phase FROM bubble_batches WHERE round_id = ? ORDER BY first",
        (row["id"],),
    ).fetchall()
    connection.close()
    return {**dict(row), "batches": [tuple(batch) for batch in batches]}


def round_in_state(server, state, stored=0, seconds=20.0) -> dict:
    """The newest round of a state, or of several; waits for it in the database."""
    states = (state,) if isinstance(state, str) else state
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        connection = sqlite3.connect(server.folder / "game.db")
        connection.row_factory = sqlite3.Row
        row = connection.execute(
            "SELECT *, (SELECT coalesce(sum(count), 0) FROM bubble_batches b WHERE b.round_id ="
            f" rounds.id) AS stored FROM rounds WHERE state IN ({', '.join('?' * len(states))})"
            " AND offered_at >= ?"
            " ORDER BY closed_at DESC LIMIT 1",
            (*states, server.since_ms),
        ).fetchone()
        connection.close()
        if row is not None and row["stored"] >= stored:
            return dict(row)
        time.sleep(0.1)
    pytest.fail(f"no round became {state}; the last is {newest_round(server)}")
