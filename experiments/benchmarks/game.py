"""How many people one server process can serve at once, beside the bare partner.

    python experiments/benchmarks/game.py --partner=demo --players=1,10,40
    python experiments/benchmarks/game.py --partner=reference --players=160     four-fold overload
    python experiments/benchmarks/game.py --partner=reference --memory=10000    rounds in a hurry

Starts the real command on a free loopback port, and plays against it in real time: each player
sends ten bubbles every half second for seven seconds a round, in corners that no partner
recognises, so that every round asks as often as it can. Compare rows, not machines.

    answers/s   answers to messages with bubbles
    p50 ...     how long the player waited for them
    CPU ms      of the server, an answer: HTTP, validation, commit, compositing and partner. Of
                painting only; sessions, pictures and the ends of rounds come on top
    lost        bubbles acknowledged but not stored, or stored twice: read from the database

With --memory people play one after the other, two messages a round and as fast as the server goes,
and its resident memory is printed on the way.
"""

import dataclasses
import json
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import game_world  # noqa: E402

from data_prep.humans.studies.browser import Browser, Refused  # noqa: E402
from gala_tf import command  # noqa: E402

BATCH, TICK_MS, BUBBLES = 10, 50, 140
EACH = 20  # pictures of each of the three classes
HURRIED = 100  # the same in a hurry, and the rounds that one person plays of 300


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure."""

    partner: str = command.flag("demo", "demo or reference.")
    players: tuple[int, ...] = command.flag((1, 10, 40), "How many at once, a row each.")
    rounds: int = command.flag(2, "Rounds that each plays.")
    memory: int = command.flag(0, "So many rounds in a hurry instead: memory of the server.")
    json: str = command.flag("", "File to write the rows to.")


@dataclasses.dataclass
class Seen:
    """What one player saw."""

    waits_ms: list[float] = dataclasses.field(default_factory=list)
    acknowledged: dict[str, int] = dataclasses.field(default_factory=dict)
    refused: int = 0


def main() -> None:
    """Prints a row for each number of players."""
    options = command.from_flags(Options)
    if options.memory:
        memory(options.partner, options.memory)
        return
    rows = [measure(options.partner, players, options.rounds) for players in options.players]
    if options.partner == "demo":
        print(f"bare partner: {bare_partner_ms():.1f} CPU ms a question at batch 1")
    print("players answers/s   p50   p95   p99 ms   CPU ms/answer  questions  lost  refused")
    for row in rows:
        print(
            f"{row['players']:7} {row['answers_per_s']:9.1f} {row['p50']:5.0f} {row['p95']:5.0f} "
            f"{row['p99']:5.0f} {row['cpu_ms']:15.1f} {row['questions']:10} {row['lost']:5} "
            f"{row['refused']:8}"
        )
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")


def measure(partner: str, players: int, rounds: int) -> dict:
    """One row: players at once, real time."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        process, port = start(folder, partner)
        try:
            seen = [Seen() for _ in range(players)]
            gate = threading.Barrier(players + 1)
            threads = [
                threading.Thread(target=play, args=(port, rounds, n / players, one, gate))
                for n, one in enumerate(seen)
            ]
            for thread in threads:
                thread.start()
            took, cpu = 0.0, 0.0
            for number in range(1 + rounds):
                gate.wait()  # everybody has a picture
                began, used = time.monotonic(), cpu_seconds(process.pid)
                gate.wait()  # everybody has painted
                if number:
                    took += time.monotonic() - began
                    cpu += cpu_seconds(process.pid) - used
            for thread in threads:
                thread.join()
        finally:
            process.terminate()
            process.wait(20)
        lost, questions = compare(folder / "game.db", seen)
    waits = sorted(wait for one in seen for wait in one.waits_ms)
    cuts = statistics.quantiles(waits, n=100)
    return {
        "partner": partner,
        "players": players,
        "answers": len(waits),
        "answers_per_s": len(waits) / took,
        "p50": cuts[49],
        "p95": cuts[94],
        "p99": cuts[98],
        "cpu_ms": 1000 * cpu / len(waits),
        "questions": questions,
        "lost": lost,
        "refused": sum(one.refused for one in seen),
    }


def memory(partner: str, rounds: int) -> None:
    """Prints the server's resident memory after each 1,000 of so many rounds."""
    with tempfile.TemporaryDirectory() as folder:
        process, port = start(Path(folder), partner, "--rounds_per_s=10000", each=HURRIED)
        try:
            for played in range(HURRIED, rounds + 1, HURRIED):
                hurry(port)
                if played % 1000 == 0:
                    status = Path(f"/proc/{process.pid}/status").read_text()
                    resident = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
                    print(f"after {played:6,} rounds {resident:6.1f} MiB", flush=True)
        finally:
            process.terminate()
            process.wait(20)


def hurry(port: int) -> None:
    """One person plays HURRIED rounds of a second's painting, in no time."""
    browser = entered(port)
    for _ in range(HURRIED):
        found = browser.post("/api/rounds", {"tab": "benchmark"})
        browser.get(found["image"])
        browser.post(f"/api/rounds/{found['round']}/start", {})
        for first in (0, BATCH):
            send(browser, found["round"], first, Seen())
        browser.post(f"/api/rounds/{found['round']}/end", {"reason": "timeout"})
    browser.close()


def start(
    folder: Path, partner: str, *flags: str, each: int = EACH
) -> tuple[subprocess.Popen, int]:
    """The real command, and the port it chose; `each` pictures of a class for `reference`."""
    words = [
        *(sys.executable, "-m", "data_prep.clickme_game", "--port=0", "--sessions_per_hour=100000"),
        *(f"--database={folder / 'game.db'}", f"--partner={partner}", *flags),
    ]
    if partner == "reference":
        game_world.draw_pictures(folder / "pictures", each=each)
        words.append(f"--images={folder / 'pictures'}")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    for line in process.stdout:
        if found := re.match(r"open http://[^:]+:(\d+)/", line):
            return process, int(found[1])
    raise RuntimeError("the server did not start")


def play(port: int, rounds: int, offset: float, seen: Seen, gate: threading.Barrier) -> None:
    """Plays rounds; `offset` spreads the players over the half second between messages."""
    browser = entered(port)
    for number in range(1 + rounds):  # the first warms up: code, caches, the partner
        found = browser.post("/api/rounds", {"tab": "benchmark"})
        browser.get(found["image"])
        gate.wait()
        time.sleep(offset * BATCH * TICK_MS / 1000)
        paint(browser, found["round"], seen if number else Seen())
        gate.wait()
        browser.post(f"/api/rounds/{found['round']}/end", {"reason": "timeout"})


def entered(port: int) -> Browser:
    """Somebody who has agreed to take part."""
    browser = Browser("127.0.0.1", port)
    given = browser.post("/api/session", {"recruitment": {}})
    browser.post("/api/consent", {"version": given["consent_version"], "accepted": True})
    return browser


def paint(browser: Browser, round_id: str, seen: Seen) -> None:
    """Seven seconds of bubbles, sent as a page does."""
    browser.post(f"/api/rounds/{round_id}/start", {})
    begun = time.monotonic()
    for first in range(0, BUBBLES, BATCH):
        time.sleep(max(0, begun + (first + BATCH) * TICK_MS / 1000 - time.monotonic()))
        if send(browser, round_id, first, seen) != "playing":
            break


def send(browser: Browser, round_id: str, first: int, seen: Seen) -> str:
    """One message; the round's state."""
    points = [[6 + n % 7, 6 + 0.05 * n, n * TICK_MS] for n in range(first, first + BATCH)]
    body = {"seq": first // BATCH, "first": first, "points": points}
    began = time.monotonic()
    try:
        answer = browser.post(f"/api/rounds/{round_id}/bubbles", body)
    except Refused:
        seen.refused += 1
        return "refused"
    seen.waits_ms.append((time.monotonic() - began) * 1000)
    seen.acknowledged[round_id] = answer["stored"]
    return answer["status"]


def compare(path: Path, seen: list[Seen]) -> tuple[int, int]:
    """(bubbles that differ between what was acknowledged and what is stored, questions)."""
    connection = sqlite3.connect(path)
    stored = {
        name: [point for (text,) in rows for point in json.loads(text)]
        for one in seen
        for name in one.acknowledged
        for rows in [
            connection.execute(
                "SELECT points FROM bubble_batches WHERE round_id = ? ORDER BY first", (name,)
            ).fetchall()
        ]
    }
    questions = connection.execute("SELECT count(*) FROM queries").fetchone()[0]
    connection.close()
    acknowledged = {name: count for one in seen for name, count in one.acknowledged.items()}
    return sum(abs(len(stored[name]) - count) for name, count in acknowledged.items()), questions


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def bare_partner_ms(questions: int = 40) -> float:
    """CPU ms of one question to the built-in partner, without any server."""
    from data_prep.humans.game import partners
    from data_prep.humans.game.rules import Rules

    partner = partners.load("demo", Rules())
    pixels = np.random.default_rng(0).integers(0, 255, (1, 256, 256, 3), np.uint8)
    masks = np.ones((1, 256, 256), bool)
    partner.answer(pixels, masks, np.zeros(1, int))
    began = time.process_time()
    for _ in range(questions):
        partner.answer(pixels, masks, np.zeros(1, int))
    return 1000 * (time.process_time() - began) / questions


if __name__ == "__main__":
    command.define_flags(Options)
    command.run(main, tensorflow=False)
