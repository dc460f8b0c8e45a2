"""Whether a process can serve people now: what a load balancer asks."""

from collections.abc import Callable

from data_prep.humans.studies.database import Database
from data_prep.humans.studies.errors import Unavailable

GOOD_FOR_MS = 1000


class Readiness:
    """Looks at the database, and at what else a study needs."""

    def __init__(self, database: Database, check_more: Callable[[], object] = lambda: None):
        """`check_more` raises, whatever, if something that the study needs is not ready."""
        self._database, self._check_more = database, check_more
        self._ready_at = -GOOD_FOR_MS

    def check(self, now_ms: int) -> None:
        """Unavailable unless the database takes a write and the rest is there.

        Anybody may ask, so one look is good for a second.
        """
        if 0 <= now_ms - self._ready_at < GOOD_FOR_MS:
            return
        try:
            with self._database.write():
                pass
            self._check_more()
        except Exception as error:  # whatever is wrong, the answer to a load balancer is no
            raise Unavailable(why=type(error).__name__) from error
        self._ready_at = now_ms
