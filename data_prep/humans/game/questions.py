"""From a round's path to a stored answer: asks the partner, and writes down what it says.

A question is a task of its own: a handler waits for it a second at most, and the answer is stored
all the same. `partners.asking` sees to it that a round has one question under way, and that newer
bubbles replace one that waits.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from data_prep.humans.game.bubbles import Point
from data_prep.humans.game.frames import Frames
from data_prep.humans.game.partners import PartnerFailed
from data_prep.humans.game.partners.asking import Asker, Look, TooManyQuestions


class Snapshot(NamedTuple):
    """What a partner is asked about: a round's path so far."""

    round_id: str
    path: tuple[Point, ...]
    picture: str  # path of the picture's file
    target: int


class Questions:
    """Asks, and stores answers by `answered` or `failed`, in the pool of threads."""

    def __init__(
        self,
        asker: Asker,
        frames: Frames,
        answered: Callable[[Snapshot, Look], Any],
        failed: Callable[[Snapshot], Any],
    ):
        self._asker, self._frames = asker, frames
        self._answered, self._failed = answered, failed
        self._tasks: set[asyncio.Task] = set()  # the loop itself holds tasks only weakly

    async def ask(self, snapshot: Snapshot, wait_s: float) -> Any:
        """What `answered` returned; None if that takes longer than `wait_s`, or never comes."""
        task = asyncio.get_running_loop().create_task(self._question(snapshot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        done, _ = await asyncio.wait({task}, timeout=wait_s)
        return task.result() if done else None

    async def finish(self) -> None:
        """Waits for what is under way, when the server stops."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def _question(self, snapshot):
        try:
            frame = self._frames.known(snapshot.picture)  # nearly always: it was shown just now
            if frame is None:
                frame = await asyncio.to_thread(self._frames.get, snapshot.picture)
            future = self._asker.ask(
                snapshot.round_id,
                frame.pixels,
                snapshot.path,
                snapshot.target,
                noise_seed(snapshot.round_id),
            )
            look = await asyncio.wrap_future(future)
        except TooManyQuestions:
            return None  # the round's next question will do
        except PartnerFailed as error:
            logging.getLogger(__name__).error("the partner failed: %s", error)
            return await asyncio.to_thread(self._failed, snapshot)
        if look is None:  # a newer question took its place
            return None
        return await asyncio.to_thread(self._answered, snapshot, look)


def noise_seed(round_id: str) -> int:
    """Of the background's noise: one a round, so that each question can be asked again."""
    return int.from_bytes(hashlib.sha256(round_id.encode()).digest()[:4], "big")
