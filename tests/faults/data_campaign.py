"""The corruption campaign: damage a copy of some raw material, build, and judge what came of it.

    PYTHONPATH=tests python -m faults.data_campaign   # prints the table; ends with 1 on a failure

A fault is (tree, kind, seed): `trees.py` has the trees, the package `damage` the kinds.
Each has one of these outcomes, everything else is a failure:

* named: a ValueError whose message names the damaged file and, where the format has any, the
  record, row or entry;
* left out: the source's rule leaves something out, and a printed line says how much;
* handled: a file other than its name says, but an image; it is taken, as it must be;
* harmless: the records are those of the undamaged tree;
* undetectable: other records, valid ones, from bytes that no checksum covers (JPEG, CSV, JSON, NPY,
  raw tar), or from a file cut between two records, of a format without totals. A kind must say
  that it may come to this.

Failures: any other exception, no end within seconds, much memory, a message that names too
little, records that differ although a checksum could have told, or that cannot be decoded.
"""

import collections
import contextlib
import functools
import io
import logging
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from absl import logging as absl_logging
from fake_trees import build
from faults.damage import at_random, kinds
from faults.trees import FINISHED, TREES
from time_limit import HangError, limited

from data_prep.verification import dataset_checks
from gala_tf import command
from gala_tf.data import dataset_info, records, tfrecord_files

SECONDS = 20  # more is a hang; a build of a tree takes a tenth of a second
MAX_MEMORY = 400  # MB that a build may take on top; a bomb claims a gigabyte at least
OUTCOMES = ("named", "left out", "handled", "harmless", "undetectable", "FAILURE")
COUNTED = re.compile(
    r"removed [1-9]|left out|leaves? out|kept [1-9]|lie outside|[1-9] unmatched|reach|moved"
)


class Fault(NamedTuple):
    """One fault; equal ones give equal damage."""

    tree: str
    kind: str
    seed: int


class Verdict(NamedTuple):
    """What came of a fault; `text` is the message, the line printed, or what is wrong."""

    fault: Fault
    outcome: str
    text: str


class Built(NamedTuple):
    """A build: records by split and image, what was printed, the error, memory in MB."""

    records: dict[tuple[str, str], bytes] | None
    printed: set[str]
    error: BaseException | None
    memory: float


def _status(field):
    """A line of Linux's account of this process, MB; 0 elsewhere."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0.0


@contextlib.contextmanager
def _heard(lines, root):
    """All that is printed and logged, with `root` taken out, into `lines`."""
    out, logged = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(logged)
    logger = logging.getLogger("absl")
    absl_logging._log_counter_per_token.clear()  # or log_first_n would fall silent
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
        text = (out.getvalue() + logged.getvalue()).replace(str(root), "ROOT")
        lines.update(text.splitlines())


def run(tree: str, root: Path, out: Path, **others) -> Built:
    """Builds a tree into `out`, in this process."""
    options = {"input_dir": "{root}", "num_shards": 1, "num_eval_shards": 1} | TREES[tree].options
    options |= {"clickmap_blur": "none"} | others
    options = {name: str(value).format(root=root) for name, value in options.items()}
    printed, error, found = set(), None, None
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    try:
        with _heard(printed, root), limited(SECONDS):
            if TREES[tree].source == FINISHED:
                out = _verify(options["data_dir"], out)
            else:
                build(out, source=TREES[tree].source, **options)
    except (Exception, HangError) as caught:
        error = caught
    memory = _status("VmHWM") - before
    if error is None:
        found = _records(out)
    return Built(found, printed, error, memory)


def _verify(data_dir, out):
    """The directory, if all is well; else a ValueError of all that `data_prep.verify` found."""
    report = dataset_checks.verify(data_dir, str(out), blur_sample=1, sheets=False)
    if report.faults:
        raise ValueError(
            "; ".join(f"{f.file}, record {f.record}: {f.reason}" for f in report.first)
        )
    return data_dir


def _records(directory):
    info = dataset_info.load_info(str(directory))
    found = {}
    for split in info.splits:
        for path in dataset_info.check_shards(str(directory), info, split):
            for data in tfrecord_files.records(path):
                example = tf.train.Example.FromString(data)
                name = example.features.feature["image/id"].bytes_list.value[0].decode()
                found[split, name] = data
    return found


@functools.cache
def undamaged(tree: str) -> tuple[Path, Built]:
    """A tree as its writer made it, kept as long as the process, and what is built of it."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    _FOLDERS.append(folder)
    root = folder / "root"
    root.mkdir()
    TREES[tree].write(root)
    built = run(tree, root, folder / "out")
    if built.error:
        raise AssertionError(f"{tree}: the undamaged tree cannot be built") from built.error
    return root, built


_FOLDERS: list[Path] = []


def forget() -> None:
    """Removes the trees."""
    undamaged.cache_clear()
    while _FOLDERS:
        shutil.rmtree(_FOLDERS.pop(), ignore_errors=True)


@contextlib.contextmanager
def _damaged(fault):
    """A damaged copy of the fault's tree, while it lasts, and what was done to it."""
    original, _ = undamaged(fault.tree)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        root = Path(folder) / "root"
        shutil.copytree(original, root, symlinks=True)
        yield root, kinds.make(root, fault.tree, fault.kind, fault.seed)


def judge(fault: Fault) -> Verdict:
    """Makes the fault, builds, and says what came of it."""
    _, expected = undamaged(fault.tree)
    with _damaged(fault) as (root, damage):
        built = run(fault.tree, root, root.parent / "out")
    outcome, text = _outcome(damage, built, expected)
    if outcome not in damage.allowed and outcome != "FAILURE":
        outcome, text = "FAILURE", f"{outcome}, expected {sorted(damage.allowed)}: {text}"
    return Verdict(fault, outcome, f"{damage.file}: {text}")


def _outcome(damage, built, expected):
    if built.memory > MAX_MEMORY:
        return "FAILURE", f"it took {built.memory:.0f} MB"
    if built.error is not None:
        return _named(damage, built.error)
    if built.records == expected.records:
        return "harmless", ""
    try:
        if _same_pixels(built.records, expected.records):
            return "harmless", ""
    except Exception as error:
        return "FAILURE", f"records that training cannot read: {error}"
    if "handled" in damage.allowed and built.records.keys() == expected.records.keys():
        return "handled", ""
    new = sorted(line for line in built.printed - expected.printed if COUNTED.search(line))
    said = [line for line in new if re.search(damage.said, line)]
    if said:
        return "left out", said[0]
    return "undetectable", "other records, and nothing said"


def _named(damage, error):
    text = str(error)
    if not isinstance(error, ValueError):
        return "FAILURE", f"{type(error).__name__}: {text}"
    name = Path(damage.file).name
    if name not in text:
        return "FAILURE", f"the message does not name {name}: {text}"
    if not re.search(damage.place, text):
        return "FAILURE", f"the message does not name {damage.place!r}: {text}"
    return "named", text


def _same_pixels(found, expected):
    """Whether records differ in bytes of images that decode to the same; raises if one does not."""
    same = found.keys() == expected.keys()
    for key in found:
        if found[key] != expected.get(key):
            decoded = _decoded(found[key])
            same = same and decoded == _decoded(expected[key])
    return same


def _decoded(data):
    row = records.parse_example(data)
    height, width = int(row["image/height"]), int(row["image/width"])
    image = tf.io.decode_jpeg(row.pop("image/encoded")).numpy()
    if image.shape[:2] != (height, width):
        raise ValueError(f"{row['image/id']}: {image.shape} instead of {height}x{width}")
    records.decode_counts(row["clickmap/counts"], height, width)
    return image.tobytes(), {n: tf.io.serialize_tensor(v).numpy() for n, v in row.items()}


def judge_skipping(fault: Fault) -> Verdict:
    """The same with --on_bad_image=skip, which must leave out what it names, and nothing else."""
    _, expected = undamaged(fault.tree)
    with _damaged(fault) as (root, damage):
        built = run(fault.tree, root, root.parent / "out", on_bad_image="skip")
    if built.error is not None:
        outcome, text = _named(damage, built.error)
    elif damage.alone and not built.records.items() <= expected.records.items():
        outcome, text = "FAILURE", "other records changed"
    else:
        said = [line for line in built.printed if "damaged images were left out" in line]
        outcome, text = ("left out", said[0]) if said else ("FAILURE", "nothing was said")
    return Verdict(fault, outcome, f"{damage.file}: with --on_bad_image=skip: {text}")


def campaign(generic: int = 8) -> list[Fault]:
    """All faults: `generic` seeds of each kind of random damage, and one of each particular one."""
    faults = []
    for tree in TREES:
        for kind in at_random.KINDS:
            faults += [Fault(tree, kind, seed) for seed in range(generic)]
        faults += [Fault(tree, kind, 0) for kind in kinds.PARTICULAR[tree]]
    return faults


def table(verdicts: list[Verdict]) -> str:
    """Trees by outcomes."""
    counts = collections.Counter((v.fault.tree, v.outcome) for v in verdicts)
    trees = list(dict.fromkeys(v.fault.tree for v in verdicts))
    lines = [f"{'':<28}" + "".join(f"{outcome:>13}" for outcome in (*OUTCOMES, "faults"))]
    for tree in (*trees, "all"):
        own = [sum(counts[t, o] for t in trees if tree in (t, "all")) for o in OUTCOMES]
        lines.append(f"{tree:<28}" + "".join(f"{number:>13}" for number in (*own, sum(own))))
    return "\n".join(lines)


def details(verdicts: list[Verdict]) -> str:
    """The undetectable ones, by kind and file; then the failures, a line each."""
    silent = collections.Counter(
        f"{v.fault.kind}, {at_random.form(v.text.split(':')[0])}"
        for v in verdicts
        if v.outcome == "undetectable"
    )
    lines = ["undetectable: " + "; ".join(f"{n} {what}" for what, n in silent.most_common())]
    lines += [f"{v.outcome}: {v.fault}: {v.text}" for v in verdicts if v.outcome == "FAILURE"]
    return "\n".join(lines)


def skippable(verdicts: list[Verdict]) -> list[Fault]:
    """The faults whose message offers to leave the image out."""
    return [v.fault for v in verdicts if v.outcome == "named" and "--on_bad_image=skip" in v.text]


def main() -> int:
    verdicts = [judge(fault) for fault in campaign()]
    skipped = [judge_skipping(fault) for fault in skippable(verdicts)]
    print(table(verdicts))
    left_out = sum(v.outcome == "left out" for v in skipped)
    print(f"with --on_bad_image=skip: of {len(skipped)} {left_out} left out, counted, and no other")
    print(details(verdicts + skipped))
    forget()
    return int(any(v.outcome == "FAILURE" for v in verdicts + skipped))


if __name__ == "__main__":
    command.run(main)
