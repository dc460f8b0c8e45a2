"""Several processes on one PostgreSQL: any of them takes any message of any round."""

import importlib.util
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from data_prep.humans.game.tables import bubble_batches, rounds
from data_prep.humans.studies.browser import Browser, Refused
from data_prep.humans.studies.database import Database

ROOT = Path(__file__).resolve().parents[4]
PLAYERS, ROUNDS, BATCH, BUBBLES = 12, 3, 5, 60


def benchmark():
    path = ROOT / "experiments" / "benchmarks" / "game.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_the_game", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def children_of(pid):
    """Process ids."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def gone(pid, seconds=30):
    """Whether a process ends in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.1)
    return False


class Restless:
    """A player with a new connection for each message, sent twice, so that all workers are met."""

    def __init__(self, port):
        self.browser, self.acknowledged, self.failed = Browser("127.0.0.1", port), {}, []

    def send(self, address, body):
        self.browser.close()
        return self.browser.post(address, body)

    def run(self):
        try:
            given = self.send("/api/session", {"recruitment": {}})
            answer = {"version": given["consent_version"], "accepted": True}
            self.send("/api/consent", answer)
            for _ in range(ROUNDS):
                self.round()
        except Exception as error:  # told by the test
            self.failed.append(error)

    def round(self):
        found = self.send("/api/rounds", {"tab": "restless"})["round"]
        self.send(f"/api/rounds/{found}/start", {})
        for first in range(0, BUBBLES, BATCH):
            points = [[6 + n % 7, 6 + 0.05 * n, 50.0 * n] for n in range(first, first + BATCH)]
            for _ in range(2):
                answer = self.bubbles(found, {"seq": 0, "first": first, "points": points})
            self.acknowledged[found] = answer["stored"]
            time.sleep(0.25)
        self.send(f"/api/rounds/{found}/end", {"reason": "timeout"})

    def bubbles(self, found, body):
        while True:
            try:
                return self.send(f"/api/rounds/{found}/bubbles", body)
            except Refused as refused:
                if refused.status != 429:
                    raise
                time.sleep(0.2)


@pytest.mark.slow
def test_three_workers_take_turns_and_lose_nothing(tmp_path, postgres):
    flags = ("--workers=3", f"--database={postgres}", "--limit_ms=20000")
    process, port = benchmark().start(tmp_path, "reference", *flags)
    try:
        time.sleep(5)  # the other two load for some seconds after the first one listens
        players = [Restless(port) for _ in range(PLAYERS)]
        threads = [threading.Thread(target=player.run) for player in players]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        workers = children_of(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    assert len(workers) >= 2
    assert all(gone(pid) for pid in workers), "a worker outlived the first process"
    assert not [error for player in players for error in player.failed]
    acknowledged = {name: n for player in players for name, n in player.acknowledged.items()}
    assert len(acknowledged) == PLAYERS * ROUNDS
    database = Database(postgres)
    with database.read() as connection:
        query = bubble_batches.select().order_by(bubble_batches.c.first)
        stored = {}
        for row in connection.execute(query):
            stored.setdefault(row.round_id, []).extend(json.loads(row.points))
        per_image = sa.select(rounds.c.image_id, rounds.c.participant_id)
        pairs = connection.execute(per_image).all()
    database.close()
    assert {name: len(points) for name, points in stored.items()} == acknowledged
    for points in stored.values():  # each bubble once and in its place
        assert [round(y, 3) for _, y, _ in points] == [round(6 + 0.05 * n, 3) for n in range(60)]
    assert len(set(pairs)) == len(pairs)
    check = [sys.executable, "-m", "data_prep.studies", "check", f"--database={postgres}"]
    done = subprocess.run(check, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
