"""Verdicts of the compiler, kept: minutes of work whose result depends on what goes in alone."""

import hashlib
import json
import os
import re
from pathlib import Path


def key(text: str, **conditions) -> str:
    """The name of a verdict: a hash of the module, and of all else that decides it.

    Args:
        text: HLO. Names of layers and of the module, which the compiler does not read, and which
            TensorFlow numbers anew in every process, do not count.
        conditions: topology, versions, ...: anything JSON holds.
    """
    bare = re.sub(r", metadata=\{[^{}]*\}", "", text)
    bare = re.sub(r"__inference_\w+|a_inference_\w+", "step", bare)
    digest = hashlib.sha256(bare.encode())
    digest.update(json.dumps(conditions, sort_keys=True).encode())
    return digest.hexdigest()


class Cache:
    """One JSON file a verdict in a directory; a half-written one is none."""

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)

    def get(self, name: str) -> dict | None:
        """The verdict of that name, or None."""
        try:
            return json.loads((self.directory / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None

    def put(self, name: str, verdict: dict) -> None:
        """Keeps a verdict."""
        self.directory.mkdir(parents=True, exist_ok=True)
        temporary = self.directory / f"{name}.{os.getpid()}.writing"
        temporary.write_text(json.dumps(verdict, indent=1))
        temporary.replace(self.directory / f"{name}.json")
