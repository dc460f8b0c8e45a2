"""Rows of what has ended, a JSON object a line: a script goes on with what has none."""

import json
import os


def read(path: str) -> list[dict]:
    """All rows; [] where there is no file."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def load(path: str) -> dict[str, dict]:
    """{name of a run: its row}."""
    return {row["name"]: row for row in read(path)}


def add(path: str, row: dict) -> None:
    """Writes a further row."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
