"""The campaign of faults while training: make each, and judge what came of it.

    PYTHONPATH=tests python -m faults.training_campaign        # prints the table; 1 on a failure
    PYTHONPATH=tests python -m faults.training_campaign shard  # those whose name has this word

The parts that faults strike are the modules of `failing`, which also lists the outcomes. A fault is
(kind, seed); everything that its kind does not allow is a failure, as is any exception and no end
within SECONDS.
"""

import collections
import os
import signal
import tempfile
import time
import traceback
import zlib
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
from absl import flags
from faults.failing import (
    FAILURE,
    OUTCOMES,
    in_batches,
    in_checkpoints,
    in_files_loaded,
    in_records,
    in_storage,
    in_time,
)
from time_limit import HangError, limited

from gala_tf import command

AREAS = {
    "checkpoints": in_checkpoints,
    "records of a shard": in_records,
    "storage": in_storage,
    "batches and weights": in_batches,
    "signals and stalls": in_time,
    "files that are loaded": in_files_loaded,
}
KINDS = {name: kind for area in AREAS.values() for name, kind in area.FAULTS.items()}
SECONDS = 300  # more is a hang, also on a loaded machine


class Fault(NamedTuple):
    """One fault; equal ones give equal damage."""

    kind: str
    seed: int


class Verdict(NamedTuple):
    """What came of a fault; `text` is the message, or what is wrong."""

    fault: Fault
    outcome: str
    text: str
    seconds: float = 0.0


def campaign(word: str = "") -> list[Fault]:
    """All faults whose name contains a word."""
    chosen = [name for name in KINDS if word in name]
    return [Fault(name, seed) for name in chosen for seed in range(KINDS[name].seeds)]


def judge(fault: Fault) -> Verdict:
    """Makes a fault in an empty folder, and says what came of it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of a job in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # or children would inherit it

    kind, began = KINDS[fault.kind], time.monotonic()
    rng = np.random.default_rng([zlib.crc32(fault.kind.encode()), fault.seed])
    try:
        with limited(SECONDS), tempfile.TemporaryDirectory(prefix="failing-") as folder:
            outcome, text = kind.make(Path(folder), rng)
    except (Exception, HangError) as error:
        outcome, text = FAILURE, f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    if outcome not in (*kind.allowed, FAILURE):
        outcome, text = FAILURE, f"{outcome}, expected {' or '.join(kind.allowed)}: {text}"
    return Verdict(fault, outcome, text, time.monotonic() - began)


def table(verdicts: list[Verdict]) -> str:
    """Areas by outcomes."""
    area_of = {name: area for area, module in AREAS.items() for name in module.FAULTS}
    counts = collections.Counter((area_of[v.fault.kind], v.outcome) for v in verdicts)
    lines = [f"{'':<24}" + "".join(f"{outcome:>18}" for outcome in (*OUTCOMES, "faults"))]
    for area in (*AREAS, "all"):
        own = [sum(counts[a, o] for a in AREAS if area in (a, "all")) for o in OUTCOMES]
        lines.append(f"{area:<24}" + "".join(f"{number:>18}" for number in (*own, sum(own))))
    return "\n".join(lines)


def line(verdict: Verdict) -> str:
    """What came of a fault, and the first words that a person would read."""
    fault, outcome, text, seconds = verdict
    words = text if outcome == FAILURE else " ".join(text.split())[:150]
    return f"{fault.kind} [{fault.seed}], {seconds:.1f} s: {outcome}. {words}"


def forget() -> None:
    """Removes what faults share."""
    for area in AREAS.values():
        getattr(area, "forget", lambda: None)()


def main() -> int:
    began = time.monotonic()
    verdicts = []
    for fault in campaign(flags.FLAGS.only):
        verdicts.append(judge(fault))
        print(line(verdicts[-1]), flush=True)
    forget()
    print(table(verdicts))
    print(f"{len(verdicts)} faults in {time.monotonic() - began:.0f} s")
    return int(any(v.outcome == FAILURE for v in verdicts))


if __name__ == "__main__":
    flags.DEFINE_string("only", "", "Kinds whose name has these words; or give them unnamed.")
    command.run(main, positional="only")
