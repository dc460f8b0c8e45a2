"""The order that a seed gives to names: the same on every machine, however the names came."""

import hashlib


def seeded_rank(key: str, seed: int) -> bytes:
    """A key's place in the seeded order: bytes to sort by."""
    return hashlib.sha256(f"{seed}/{key}".encode()).digest()
