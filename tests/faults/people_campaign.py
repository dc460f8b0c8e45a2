"""The campaign of what people have: their files, names, metadata, mistakes; each tried and judged.

    PYTHONPATH=tests python -m faults.people_campaign          # prints the table; 1 on a failure
    PYTHONPATH=tests python -m faults.people_campaign names    # those whose class has this word

The classes are the modules of `people`, which also lists the outcomes. An input fails if something
was lost without a word, if a traceback or a Python object shows, if it came to another outcome than
its own, or if anything changed that was there before.
"""

import collections
import contextlib
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
from faults.people import (
    DONE,
    ENDED,
    FAILURE,
    LEFT_OUT,
    OUTCOMES,
    REFUSED,
    bad_items,
    endings,
    exif,
    lost_input,
    material,
    names,
    others_data,
    running,
)

CLASSES = {
    "another's data": others_data,
    "names": names,
    "metadata": exif,
    "lost input": lost_input,
    "bad items": bad_items,
    "endings": endings,
}
CASES = {
    (title, name): case for title, part in CLASSES.items() for name, case in part.CASES.items()
}
LEAKS = re.compile(
    r"<[\w.]+ object at 0x|<_io\.|PosixPath\(|np\.\w+\(|<class '|\w+Error\(|\[null|, null\]|ndarray"
)
TRACEBACK = re.compile(r"Traceback \(most recent call last\)|HangError|^  File \"", re.M)
LEFT = re.compile(
    r"left out|leaves? out|belong to no|not (read|taken|searched)|is no |ignored", re.I
)
LINES = 12  # that Ctrl-C may print
# What a refusal may leave: finished shards, and verify's list of what is wrong.
STAGING = re.compile(r"^[\w/]*out(/\.building(/.*)?|/faults\.csv)?$")


class Verdict(NamedTuple):
    """What came of a case; `text` is what it said, or what is wrong."""

    title: str
    name: str
    outcome: str
    text: str
    seconds: float


def judge(title: str, name: str) -> Verdict:
    """Lays out a case in an empty folder, runs its command, and says what came of it."""
    case, began = CASES[title, name], time.monotonic()
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    with tempfile.TemporaryDirectory(prefix="people-") as place:
        folder = Path(place).resolve() / "home"
        folder.mkdir()
        words = case.make(folder, rng)
        before = checksums(folder)
        if case.interrupt or case.process:
            said = running.started(folder, words, case.interrupt)
        else:
            said = running.called(folder, words)
        outcome, text = _outcome(case, folder, said, before, checksums(folder))
        text = text.replace(str(folder), "HOME")
        shutil.rmtree(folder, ignore_errors=True)
    return Verdict(title, name, outcome, text, time.monotonic() - began)


def checksums(folder: Path) -> dict[str, str]:
    """{path: checksum} of all that lies in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if {".cache", ".config", ".keras"} & {*path.parts}:
            continue  # a home's, where libraries keep what is nobody's
        if path.is_symlink():
            found[str(path.relative_to(folder))] = os.readlink(path)
        elif path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(folder))] = digest
        else:
            found[str(path.relative_to(folder))] = "folder"
    return found


def _below(path, places):
    return any(path == place or path.startswith(place + "/") for place in places if place != ".")


def _changes(case, outcome, before, after):
    """What changed and should not have."""
    changed = [path for path in before if after.get(path) != before[path]]
    new = [path for path in after if path not in before]
    if outcome == REFUSED:  # a build that meets a bad item keeps its finished shards, and says so
        return changed, [path for path in new if not STAGING.search(path)]
    kept = [path for path in changed if not _below(path, case.replaces)]
    return kept, [path for path in new if not _below(path, case.writes) and "." not in case.writes]


def _outcome(case, folder, said, before, after):
    text = said.text.replace("\r", "\n").strip()
    last = text.splitlines()[-1] if text else ""
    if TRACEBACK.search(text):
        return FAILURE, f"a traceback: {last}"
    if leak := LEAKS.search(text):
        return FAILURE, f"a Python object shows, {leak[0]!r}: {last}"
    if case.interrupt:
        outcome = ENDED if said.status else DONE
    elif said.status:
        outcome = REFUSED
    else:
        with contextlib.suppress(Exception):
            wrong = case.lost(folder)
            outcome = DONE if not wrong else LEFT_OUT
        if LEFT_OUT in case.allowed and (LEFT.search(text) or DONE not in case.allowed):
            outcome = LEFT_OUT
    changed, new = _changes(case, outcome, before, after)
    if changed or new:
        what = "changed" if changed else "new"
        return FAILURE, f"{outcome}, but {what}: {(changed or new)[:3]}: {last}"
    if outcome not in case.allowed:
        return FAILURE, f"{outcome}, not {' or '.join(case.allowed)}: {text[-300:]}"
    if outcome in (REFUSED, LEFT_OUT) and not re.search(case.named, text):
        return FAILURE, f"{outcome} without naming {case.named!r}: {text[-300:]}"
    if outcome == ENDED:
        tail = [line for line in text.split("\n") if line.strip()]
        after_it = "\n".join(tail).split(case.interrupt)[-1].splitlines()
        if len(after_it) > LINES:
            return FAILURE, f"{len(after_it)} lines after Ctrl-C: {tail[-LINES:]}"
        return ENDED, " | ".join(tail[-2:])
    if outcome == LEFT_OUT or (outcome == DONE and DONE in case.allowed):
        wrong = case.lost(folder)
        if wrong and outcome == DONE:
            return FAILURE, f"lost without a word: {wrong}"
    return outcome, last


def table(verdicts: list[Verdict]) -> str:
    """Classes by outcomes."""
    counts = collections.Counter((v.title, v.outcome) for v in verdicts)
    titles = list(dict.fromkeys(v.title for v in verdicts))
    lines = [f"{'':<18}" + "".join(f"{outcome:>10}" for outcome in (*OUTCOMES, "inputs"))]
    for title in (*titles, "all"):
        own = [sum(counts[t, o] for t in titles if title in (t, "all")) for o in OUTCOMES]
        lines.append(f"{title:<18}" + "".join(f"{number:>10}" for number in (*own, sum(own))))
    return "\n".join(lines)


def main(word: str = "") -> int:
    verdicts = []
    for title, name in CASES:
        if word in f"{title}: {name}":
            verdict = judge(title, name)
            verdicts.append(verdict)
            if verdict.outcome == FAILURE:
                print(
                    f"{title}: {name}: {verdict.text}".encode(errors="replace").decode(), flush=True
                )
    print(table(verdicts))
    print(f"{sum(verdict.seconds for verdict in verdicts):.0f} s")
    material.forget()
    return int(any(verdict.outcome == FAILURE for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
