"""What time it is, for those who ask: the machine's, or one that a simulation moves. UTC in ms."""

import time


def now_ms() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


class RealClock:
    """The machine's, which one waits for."""

    def __call__(self) -> int:
        return now_ms()

    def until(self, instant_ms: int) -> None:
        """Returns when it is that late."""
        time.sleep(max(0, instant_ms - now_ms()) / 1000)


class MovedClock:
    """Stands still until somebody moves it, and never goes back."""

    def __init__(self, now_ms: int):
        self._now_ms = now_ms

    def __call__(self) -> int:
        return self._now_ms

    def until(self, instant_ms: int) -> None:
        """Is that late at once."""
        self._now_ms = max(self._now_ms, instant_ms)

    def advance(self, ms: int) -> None:
        """Goes on by so much."""
        self.until(self._now_ms + ms)
