"""Images per second and core of every source, against the limits of the same run.

    python experiments/benchmarks/data_prep.py --images=DIR_OF_JPEGS --json=data_prep.json

Each source's fixture is written as the format's own writer did (tests/faults/formats), with the
same photographs (`source_fixtures.py`), and built in this process. All times are CPU times of this
process, which a busy machine disturbs little. Rows are comparable with their limits, not with other
machines:

    copy    reading the source's bytes and writing them, with tf.io
    decode  decoding each image once, and each map that is an image, compressed or floats
    limit   the same, reading the source's bytes, and encoding what the record must hold anew:
            JPEG where the image came as pixels or is made square, PNG of every count map
    build   `data_prep`, from the plan to the finished shards
"""

import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import flags, logging
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # ahead of this folder, which has a data_prep.py

from parts import jpegs  # noqa: E402
from parts.source_fixtures import CASES, Case, Photo, jpeg_maps, photos, raw_floats  # noqa: E402

from data_prep import sources  # noqa: E402
from data_prep.building import encoding, shards  # noqa: E402
from data_prep.building import flags as build_flags  # noqa: E402
from data_prep.building import plan as build_plan  # noqa: E402
from gala_tf import command  # noqa: E402
from gala_tf.data import records  # noqa: E402
from gala_tf.data.images import decode_image, to_jpeg  # noqa: E402

IMAGES = flags.DEFINE_string("images", "", "Folder of JPEGs; default: cut from scikit-image's.")
COUNT = flags.DEFINE_integer("count", 200, "Images of each fixture.")
REPEATS = flags.DEFINE_integer("repeats", 5, "Measurements; medians are shown.")
ONLY = flags.DEFINE_list("only", [], "Cases to run; default: all.")
JSON = flags.DEFINE_string("json", "", "Where to write all measurements.")


def measure(case: Case, root: Path, pictures: list[Photo]) -> dict[str, list[float]]:
    """Seconds of CPU time per image: name of the limit, or "build" -> one a repeat."""
    raw = root / "raw"
    raw.mkdir()
    given = case.write(raw, pictures)
    values = {"source": case.source, "input_dir": raw, "output_dir": root / "out"}
    values |= {"num_shards": 4, "num_eval_shards": 1} | case.flags | given
    flag_values = flags.FlagValues()
    build_flags.define(flag_values)
    flag_values(["x", *(f"--{name}={value}" for name, value in values.items())])
    options = command.from_flags(sources.SourceOptions, flag_values)

    source = sources.load_source(case.source, options)
    examples = [source.read(item) for item in source.items]
    storage = encoding.Storage(
        flag_values.image_storage,
        256,
        flag_values.clickmap_blur or sources.SOURCES[case.source].clickmap_blur,
        64,
    )
    files = [path for path in raw.rglob("*") if path.is_file() and "unzipped" not in path.parts]
    found = {"copy": [], "decode": [], "limit": [], "build": []}
    for repeat in range(REPEATS.value + 1):
        besides = _timed(lambda: case.besides(given.get("input_dir", raw)))
        # Where it is not part of decoding.
        reading = 0 if case.besides in (raw_floats, jpeg_maps) else _timed(lambda: _copy(files))
        times = {
            "copy": _timed(lambda: _copy(files, root / "copied")),
            "decode": _timed(lambda: _each(_decode, examples)) + besides,
            "limit": _timed(lambda: _each(_codecs, examples, storage)) + besides + reading,
            "build": _timed(
                lambda repeat=repeat: _build(case.source, options, storage, root / f"built{repeat}")
            ),
        }
        if repeat:  # the first warms up
            for name, seconds in times.items():
                found[name].append(seconds / len(examples))
    return found


def _timed(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def _copy(files, target=None):
    """Reads the files; writes them, too, if there is a target."""
    import tensorflow as tf

    for path in files:
        with tf.io.gfile.GFile(str(path), "rb") as file:
            data = file.read()
        if target:
            with tf.io.gfile.GFile(str(target), "wb") as file:
                file.write(data)


def _each(work, examples, *arguments):
    for example in examples:  # keeps no result: that would cost memory, and time
        work(example, *arguments)


def _decode(example):
    return decode_image(example.image, example.image_id)


def _codecs(example, storage):
    image, data = _decode(example), example.image
    if storage.image_storage == "square" and image.size != (256, 256):
        image, data = image.resize((256, 256), Image.Resampling.BICUBIC), None
    if data is None or isinstance(data, np.ndarray):
        to_jpeg(image)
    for counts in example.participant_maps:
        records.encode_counts(counts)
    if len(example.participant_maps) > 1:
        records.encode_counts(example.participant_maps[0])  # in place of their sum


def _build(name, options, storage, staging):
    source = sources.load_source(name, options)
    wanted = {"train": 4, "validation": 1, "test": 1}
    plan = build_plan.make(str(staging / shards.PLAN), source.items, wanted, {})
    job = shards.ShardJob(
        str(staging), source.read, storage, plan.shards, len(source.class_names), 0, "fail"
    )
    for shard in plan.all_shards():
        job.make(*shard)


def main() -> None:
    """Measures what the flags ask for."""
    logging.set_verbosity(logging.ERROR)
    unknown = set(ONLY.value) - set(CASES)
    if unknown:
        raise ValueError(f"--only: {sorted(unknown)} unknown; there are {list(CASES)}")
    pictures = photos(jpegs.load(IMAGES.value), COUNT.value)
    print(f"{len(pictures)} images a fixture; medians of {REPEATS.value}; images/s/core")
    columns = ("copy", "decode", "limit", "build")
    rows, results = [], {}
    for name, case in CASES.items():
        if ONLY.value and name not in ONLY.value:
            continue
        with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(io.StringIO()):
            seconds = measure(case, Path(directory), pictures)
        results[name] = seconds
        shares = [c / b for c, b in zip(seconds["limit"], seconds["build"], strict=True)]
        rates = [f"{1 / statistics.median(seconds[column]):>9,.0f}" for column in columns]
        spread = f"{min(shares):.0%}...{max(shares):.0%}"
        rows.append(f"{name:<26}{''.join(rates)} {statistics.median(shares):>7.0%}  {spread}")
        print(rows[-1], flush=True)
    head = f"{'source':<26}{''.join(f'{column:>9}' for column in columns)}   build/limit"
    print("\n".join(["", head, *rows]))
    if JSON.value:
        Path(JSON.value).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    command.run(main)
