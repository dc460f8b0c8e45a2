"""From a round's path to a stored answer: asks the partner, and writes down what it says.

An answer is stored whether or not anybody still waits for it, by a thread of its own: the partner's
would look at nothing while the disk takes its time. `partners.asking` sees to it that a round has
one question under way, and that newer bubbles replace one that waits.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from data_prep.humans.game.bubbles import Point
from data_prep.humans.game.frames import Frames
from data_prep.humans.game.partners import PartnerFailed
from data_prep.humans.game.partners.asking import Asker, Look, TooManyQuestions


class Snapshot(NamedTuple):
    """What a partner is asked about: a round's path so far."""

    round_id: str
    path: list[Point]
    picture: str  # path of the picture's file
    target: int


class Questions:
    """Asks, and stores answers by `answered` or `failed`."""

    def __init__(
        self,
        asker: Asker,
        frames: Frames,
        answered: Callable[[Snapshot, Look], Any],
        failed: Callable[[Snapshot], Any],
    ):
        self._asker, self._frames = asker, frames
        self._answered, self._failed = answered, failed
        self._storing = ThreadPoolExecutor(1, "answers")

    def ask(self, snapshot: Snapshot) -> Future | None:
        """What `answered` or `failed` will return, or None if no answer comes.

        May read the picture's file: not for the event loop.
        """
        pixels = self._frames.get(snapshot.picture).pixels
        seed = noise_seed(snapshot.round_id)
        try:
            looked = self._asker.ask(
                snapshot.round_id, pixels, snapshot.path, snapshot.target, seed
            )
        except (TooManyQuestions, PartnerFailed):  # the line is full, or the server is stopping
            return None  # the round's next question will do
        stored = Future()
        looked.add_done_callback(
            lambda looked: self._storing.submit(self._store, snapshot, stored, looked)
        )
        return stored

    def close(self) -> None:
        """Ends the partner's thread, and returns when what it said is stored."""
        self._asker.close()
        self._storing.shutdown()

    def _store(self, snapshot, stored, looked):
        try:
            stored.set_result(self._outcome(snapshot, looked))
        except Exception as error:  # a locked database, say: whoever waits must hear of it
            stored.set_exception(error)

    def _outcome(self, snapshot, looked):
        try:
            look = looked.result()
        except CancelledError:  # the server is stopping
            return None
        except PartnerFailed as error:
            logging.getLogger(__name__).error("the partner failed: %s", error)
            return self._failed(snapshot)
        # None: a newer question took its place.
        return look and self._answered(snapshot, look)


async def answer_to(question: Future | None, wait_s: float) -> Any:
    """What a question came to; None if that takes longer than `wait_s`, or none was asked."""
    if question is None:
        return None
    done, _ = await asyncio.wait({asyncio.wrap_future(question)}, timeout=wait_s)
    return done.pop().result() if done else None


def noise_seed(round_id: str) -> int:
    """Of the background's noise: one a round, so that each question can be asked again."""
    return int.from_bytes(hashlib.sha256(round_id.encode()).digest()[:4], "big")
