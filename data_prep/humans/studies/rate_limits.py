"""How often one address, session or round may ask: token buckets, in memory only.

Keys are hashed with a salt that is drawn at the start of the process and never written, so that
addresses exist nowhere, not even as hashes that could be tried out later.
"""

import hashlib
import ipaddress
import threading
from collections import OrderedDict

from data_prep.humans.studies.errors import TooMany

MOST_KEYS = 100_000  # the oldest go first: memory stays flat, whoever tries


def network(address: str) -> str:
    """What an address counts as: of IPv6 its /64, in which one visitor has 2^64 addresses."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:  # a proxy's own word
        return address
    if known.version == 6 and known.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(known), 64), strict=False))
    return str(getattr(known, "ipv4_mapped", None) or known)


class RateLimit:
    """At most `count` events in `window_ms` for each key; unused ones are saved up to `count`."""

    def __init__(self, count: int, window_ms: int, salt: str):
        self._count, self._per_ms, self._salt = count, count / window_ms, salt
        self._window_ms = window_ms
        self._left: OrderedDict[bytes, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, now_ms: int) -> None:
        """Takes one event; TooMany if none is left."""
        hashed = hashlib.blake2b(f"{self._salt}:{key}".encode(), digest_size=16).digest()
        with self._lock:
            left, since = self._left.pop(hashed, (float(self._count), now_ms))
            left = min(self._count, left + max(0, now_ms - since) * self._per_ms)
            allowed = left >= 1
            self._left[hashed] = (left - allowed, now_ms)
            self._forget(now_ms)
        if not allowed:
            raise TooMany(retry_after_ms=round((1 - left) / self._per_ms))

    def _forget(self, now_ms):
        """Drops keys that have all their events again, the longest unused first."""
        while self._left:
            key, (_, since) = next(iter(self._left.items()))
            if len(self._left) <= MOST_KEYS and since > now_ms - self._window_ms:
                break
            del self._left[key]
