"""kill -9 of the server at random moments under load: what was acknowledged is there."""

import importlib.util
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from data_prep.humans.studies.browser import Browser, Refused

ROOT = Path(__file__).resolve().parents[4]
KILLS, PLAYERS = 20, 4


def benchmark():
    path = ROOT / "experiments" / "benchmarks" / "game.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_the_game", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Insistent:
    """A player whose page keeps what is not acknowledged, and sends it again."""

    def __init__(self, port):
        self.port, self.acknowledged, self.stop = port, {}, False
        self.browser, self.entered = Browser("127.0.0.1", port, 5), False

    def insist(self, address, body):
        while not self.stop:
            try:
                return self.browser.post(address, body)
            except Refused as refused:
                if refused.status < 500 and refused.status != 429:
                    raise
            except OSError:
                self.browser.close()
            time.sleep(0.05)
        raise KeyboardInterrupt

    def run(self):
        try:
            given = self.insist("/api/session", {"recruitment": {}})
            answer = {"version": given["consent_version"], "accepted": True}
            self.insist("/api/consent", answer)
            while not self.stop:
                self.round()
        except KeyboardInterrupt:
            pass
        except Refused as refused:
            if refused.status != 410:  # all pictures played
                raise

    def round(self):
        found = self.insist("/api/rounds", {"tab": "insistent"})["round"]
        self.insist(f"/api/rounds/{found}/start", {})
        first = 0
        while first < 60:
            points = [[6 + n % 7, 6 + 0.05 * n, 50.0 * n] for n in range(first, first + 5)]
            body = {"seq": 0, "first": first, "points": points}
            try:
                answer = self.insist(f"/api/rounds/{found}/bubbles", body)
            except Refused as refused:
                assert refused.status == 409, refused
                first = refused.said["stored"]
                continue
            first = self.acknowledged[found] = answer["stored"]
            if answer["status"] != "playing":
                break
            time.sleep(0.13)
        self.insist(f"/api/rounds/{found}/end", {"reason": "timeout"})


@pytest.mark.slow
def test_twenty_kills_under_load(tmp_path):
    parts, chance = benchmark(), random.Random(0)
    process, port = parts.start(tmp_path, "reference", "--limit_ms=3000")
    players = [Insistent(port) for _ in range(PLAYERS)]
    threads = [threading.Thread(target=player.run) for player in players]
    for thread in threads:
        thread.start()
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.2, 1.5))
            process.send_signal(signal.SIGKILL)
            process.wait()
            process, _ = parts.start(tmp_path, "reference", "--limit_ms=3000", f"--port={port}")
        time.sleep(1)
    finally:
        for player in players:
            player.stop = True
        for thread in threads:
            thread.join()
        process.terminate()
        process.wait(20)
    acknowledged = {name: n for player in players for name, n in player.acknowledged.items()}
    connection = sqlite3.connect(tmp_path / "game.db")
    query = "SELECT round_id, sum(count), max(first + count) FROM bubble_batches GROUP BY round_id"
    stored = {name: (total, reach) for name, total, reach in connection.execute(query)}
    connection.close()
    assert sum(acknowledged.values()) > 200
    for name, count in acknowledged.items():
        assert stored[name][0] == stored[name][1] >= count
    check = [sys.executable, "-m", "data_prep.studies", "check"]
    done = subprocess.run(
        [*check, f"--database={tmp_path / 'game.db'}"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"{sum(acknowledged.values())} bubbles acknowledged in {len(acknowledged)} rounds")
