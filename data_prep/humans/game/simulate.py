"""Whole simulated studies through the real HTTP interface, with planted values to be recovered.

The server is the real one on a free loopback port. Its clock is the simulation's, so that a study
of months takes minutes: players take turns, a round at a time, in the order of the study's time.
`in_real_time` lets players paint at once, each on a thread, against a server that is running.
"""

import dataclasses
import heapq
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from data_prep.humans.game.app import make_app
from data_prep.humans.game.partners import Partner
from data_prep.humans.game.plan import Plan
from data_prep.humans.game.players import KINDS, Player
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies import serving
from data_prep.humans.studies.browser import Browser, Refused
from data_prep.humans.studies.clocks import MovedClock, RealClock
from data_prep.humans.studies.database import Database

DAY_MS = 86_400_000
BEGIN_MS = 1_485_936_000_000  # 2017-02-01 08:00 UTC, when the paper's study began
A_SITTING = 40  # rounds that somebody plays in a row, at most
BETWEEN_ROUNDS_MS = 3000


@dataclasses.dataclass(frozen=True)
class Told:
    """What was planted and what the players were told.

    Attributes:
        kinds: {display name: kind}.
        rounds: {display name: rounds closed}.
        states: {state: rounds}, of honest players.
        rounds_s: rounds played a second of real time.
    """

    kinds: dict[str, str]
    rounds: dict[str, int]
    states: dict[str, int]
    rounds_s: float


def simulate(
    plan: Plan,
    settings: GameSettings,
    database: Database,
    partner: Partner,
    sees: Callable[[bytes], np.ndarray],
    new_token: Callable[[], str],
    progress: Callable[[Sequence], Iterator] = iter,
) -> Told:
    """Plays a whole study on a server of its own, in simulated time.

    Args:
      sees: bytes of a picture -> what matters in it to honest players, >= 0 [256, 256].
    """
    settings = dataclasses.replace(settings, study=settings.study.for_simulation())
    clock = MovedClock(BEGIN_MS)
    app = make_app(settings, database, partner, clock, new_token)
    # Rounds follow each other in no time, so one of three seconds would be made for each.
    app.state.service.board_ms = DAY_MS
    with serving.on_a_thread(app, settings.study) as (host, port):
        players, wanted = _people(plan, sees, lambda: Browser(host, port))
        try:
            return _take_turns(plan, players, wanted, clock, progress)
        finally:
            for player in players:
                player.browser.close()


def in_real_time(plan: Plan, host: str, port: int, sees: Callable[[bytes], np.ndarray]) -> Told:
    """Everybody at once against a server that is running; each plays `plan.rounds` rounds."""
    players, _ = _people(plan, sees, lambda: Browser(host, port))
    told = [[] for _ in players]

    def play(player, ends):
        player.enter()
        for _ in range(round(plan.rounds)):
            try:
                ends.append(player.play(RealClock())["status"])
            except Refused as refused:
                ends.append(f"refused {refused.status}")

    threads = [
        threading.Thread(target=play, args=one, name="player")
        for one in zip(players, told, strict=True)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for player in players:
        player.browser.close()
    return _told(players, told, time.monotonic() - began)


# --------------------------------------------------------------------------- people and turns


def _people(plan, sees, new_browser):
    """(players, rounds that each wants to play); every player has their own chance."""
    rng = np.random.default_rng([plan.seed, 0])
    counts = [round(share * plan.players) for share in (plan.random, plan.copying, plan.scripted)]
    kinds = ["honest"] * (plan.players - sum(counts))
    for kind, count in zip(KINDS[1:], counts, strict=True):
        kinds += [kind] * count
    # A log-normal of spread 0.8 has the mean exp(mu + 0.32).
    wanted = np.maximum(rng.lognormal(np.log(plan.rounds) - 0.32, 0.8, plan.players).round(), 2)
    wanted[rng.random(plan.players) < plan.one_round] = 1
    players = [
        Player(
            new_browser(),
            kind,
            np.random.default_rng([plan.seed, 1, index]),
            sees,
            recognised=plan.recognised,
            skipped=plan.skipped,
            hidden=plan.hidden,
            batch=plan.batch,
        )
        for index, kind in enumerate(kinds)
    ]
    return players, wanted.astype(int).tolist()


def _take_turns(plan, players, wanted, clock, progress):
    """Rounds in the order of their time, until everybody has played or no picture is left."""
    rng = np.random.default_rng([plan.seed, 2])
    starts = clock() + rng.uniform(0, plan.days * DAY_MS * 0.8, len(players))
    turns = [(int(start), index) for index, start in enumerate(starts)]
    heapq.heapify(turns)
    told, began = [[] for _ in players], time.monotonic()
    for _ in progress(range(sum(wanted))):
        if not turns:
            break
        due, index = heapq.heappop(turns)
        clock.until(due)
        player, ends = players[index], told[index]
        if not ends:
            player.enter()
        done = len(ends) / max(wanted[index] - 1, 1)
        player.recognised = min(max(plan.recognised + plan.learning * (done - 0.5), 0), 1)
        try:
            ends.append(player.play(clock)["status"])
        except Refused as refused:
            if refused.status not in (404, 409, 410):  # all pictures played
                raise
            continue
        if len(ends) < wanted[index]:
            pause = DAY_MS if len(ends) % A_SITTING == 0 else BETWEEN_ROUNDS_MS
            heapq.heappush(turns, (clock() + pause, index))
    return _told(players, told, time.monotonic() - began)


def _told(players, told, seconds):
    states = {}
    for player, ends in zip(players, told, strict=True):
        for end in ends if player.kind == "honest" else ():
            states[end] = states.get(end, 0) + 1
    return Told(
        kinds={player.name: player.kind for player in players},
        rounds={player.name: len(ends) for player, ends in zip(players, told, strict=True)},
        states=states,
        rounds_s=statistics.fsum(map(len, told)) / max(seconds, 1e-9),
    )
