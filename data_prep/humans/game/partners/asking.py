"""The line in front of a partner: one thread looks, what waits is looked at together.

A round has at most one question in the line and one under way; newer bubbles replace a question
that still waits, since its answer would be out of date. The line is bounded: a partner that cannot
keep up makes rounds ask less often, and never makes the server grow.
"""

import collections
import concurrent.futures
import dataclasses
import statistics
import threading
import time
from collections.abc import Callable

import numpy as np

from data_prep.humans.game import partners, rules

BATCH = 8  # questions looked at together; no gather delay, which on a CPU gains nothing
CAPACITY = 256  # rounds that may wait
RECENT = 20  # answers whose waiting time decides whether the partner is slow


class TooManyQuestions(Exception):
    """The line is full: this round's next question will do."""


@dataclasses.dataclass(frozen=True)
class Look:
    """One answer: `partners.Answer` of one question, in plain numbers.

    Attributes:
        upto: of how many of the round's bubbles it tells.
        ms: from asking to answering.
    """

    upto: int
    rank: int
    probability: float
    top5_class: list[int]
    top5_probability: list[float]
    ms: float


@dataclasses.dataclass
class _Question:
    pixels: np.ndarray
    bubbles: np.ndarray
    target: int
    seed: int
    asked: float
    future: concurrent.futures.Future


class Asker:
    """Asks a partner on one thread of its own.

    Attributes:
        failure: why the last question failed; None while the partner answers.
    """

    def __init__(
        self,
        partner: partners.Partner,
        game: rules.Rules,
        *,
        patience_ms: float = 1000.0,
        capacity: int = CAPACITY,
        seconds: Callable[[], float] = time.monotonic,
    ):
        self.partner, self.failure = partner, None
        self._rules, self._patience, self._capacity = game, patience_ms, capacity
        self._seconds = seconds
        self._waiting: collections.OrderedDict[str, _Question] = collections.OrderedDict()
        self._recent = collections.deque(maxlen=RECENT)  # ms
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="partner", daemon=True)
        self._thread.start()

    def ask(
        self, round_id: str, pixels: np.ndarray, bubbles, target: int, seed: int = 0
    ) -> concurrent.futures.Future:
        """Asks about all bubbles of a round so far.

        Args:
          pixels: the whole picture, uint8 [256, 256, 3].
          bubbles: [M, 2 or more] of (x, y, ...), in the order they were painted.
          target: class of the picture, index into the partner's classes.

        Returns:
          A future: a Look; None if a question of more bubbles took its place; PartnerFailed. To
          cancel it takes the question out of the line.

        Raises:
          TooManyQuestions: the line is full.
        """
        future = concurrent.futures.Future()
        question = _Question(pixels, np.asarray(bubbles), target, seed, self._seconds(), future)
        with self._changed:
            if self._closed:
                raise partners.PartnerFailed("The server is stopping.")
            older = self._waiting.get(round_id)
            if older is None and len(self._waiting) >= self._capacity:
                raise TooManyQuestions(f"{self._capacity} questions wait for the partner.")
            if older is not None and len(older.bubbles) > len(question.bubbles):
                future.set_result(None)  # of two messages at once, the later one was here first
                return future
            if older is not None:
                question.asked = older.asked  # patience counts from the first of them
            self._waiting[round_id] = question  # a replaced one keeps its place in the line
            self._changed.notify()
        if older is not None and older.future.set_running_or_notify_cancel():
            older.future.set_result(None)
        return future

    def is_slow(self) -> bool:
        """Whether answers lately took longer than the partner's patience, in the median."""
        with self._changed:
            return bool(self._recent) and statistics.median(self._recent) > self._patience

    def query_every(self) -> int:
        """After how many bubbles a round asks now: the rules' number, twice it where it is slow."""
        return self._rules.query_every * (2 if self.is_slow() else 1)

    def check(self, timeout_s: float = 5.0) -> None:
        """PartnerFailed unless the partner answers a question about a grey picture in time."""
        grey = np.full((rules.FRAME, rules.FRAME, 3), 128, np.uint8)
        try:
            self.ask("check", grey, [(rules.FRAME / 2, rules.FRAME / 2)], 0).result(timeout_s)
        except (TimeoutError, TooManyQuestions):
            words = f"The partner gave no answer in {timeout_s:g} s."
            raise partners.PartnerFailed(words) from None

    def close(self) -> None:
        """Answers what is under way, gives up what waits, ends the thread."""
        with self._changed:
            self._closed = True
            left = list(self._waiting.values())
            self._waiting.clear()
            self._changed.notify()
        for question in left:
            question.future.cancel()
        self._thread.join()

    def _work(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                count = min(BATCH, len(self._waiting))
                taken = [self._waiting.popitem(last=False)[1] for _ in range(count)]
            asked = [one for one in taken if one.future.set_running_or_notify_cancel()]
            if asked:
                self._answer(asked)

    def _answer(self, asked):
        """Looks at some questions together and hands the answers out."""
        side = self._rules.partner_bubble_side
        try:
            found = self.partner.answer(
                np.stack([one.pixels for one in asked]),
                np.stack([rules.view_mask(one.bubbles, side) for one in asked]),
                np.array([one.target for one in asked]),
                np.array([one.seed for one in asked]),
            )
            now = self._seconds()
            looks = [_look(found, row, one, now) for row, one in enumerate(asked)]
        except Exception as error:  # whatever it is, rounds must hear of it and the thread go on
            failed = error if isinstance(error, partners.PartnerFailed) else None
            failed = failed or partners.PartnerFailed(f"{type(error).__name__}: {error}")
            self.failure = failed
            for one in asked:
                one.future.set_exception(failed)
            return
        self.failure = None
        with self._changed:
            self._recent.extend(1000 * (now - one.asked) for one in asked)
        for one, look in zip(asked, looks, strict=True):
            one.future.set_result(look)


def _look(found, row, question, now):
    return Look(
        upto=len(question.bubbles),
        rank=int(found.rank[row]),
        probability=float(found.probability[row]),
        top5_class=found.top5_class[row].tolist(),
        top5_probability=found.top5_probability[row].tolist(),
        ms=1000 * (now - question.asked),
    )
