"""Images per second and core of every source, against the limits of the same run.

    python experiments/benchmarks/data_prep.py --images=DIR_OF_JPEGS --json=data_prep.json

Each source's fixture is written as the format's own writer did (tests/formats), with the same
photographs, and built in this process. All times are CPU times of this process, which a busy
machine disturbs little. Rows are comparable with their limits, not with other machines:

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
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import app, flags, logging
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from formats import (  # noqa: E402
    boxes,
    clickme_clicks,
    clickme_harmonization,
    clickme_release,
    coco,
    imagenet,
    imagenet_tfrecords,
    salicon,
)

from data_prep import clicks, sources  # noqa: E402
from data_prep.building import build_flags, build_plan, encoding, shards  # noqa: E402
from gala_tf import records  # noqa: E402

IMAGES = flags.DEFINE_string("images", "", "Folder of JPEGs; default: cut from scikit-image's.")
COUNT = flags.DEFINE_integer("count", 200, "Images of each fixture.")
REPEATS = flags.DEFINE_integer("repeats", 5, "Measurements; medians are shown.")
ONLY = flags.DEFINE_list("only", [], "Cases to run; default: all.")
JSON = flags.DEFINE_string("json", "", "Where to write all measurements.")

PARTICIPANTS, BUBBLES = 5, 74  # of a map; the paper: 472,946 maps of 196,499 images, 35 M bubbles


class Photo(NamedTuple):
    """A photograph: its file, and what a ClickMe record makes of it."""

    jpeg: bytes
    height: int
    width: int
    square: np.ndarray  # uint8 [256, 256, 3]
    counts: np.ndarray  # int64 [256, 256]


def photos(count: int) -> list[Photo]:
    """The photographs of --images, or crops of scikit-image's, again and again up to `count`."""
    files = list(_jpegs())
    found = []
    rng = np.random.default_rng(0)
    for i in range(count):
        data = files[i % len(files)]
        image = Image.open(io.BytesIO(data)).convert("RGB")
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        square = image.crop((left, top, left + short, top + short)).resize((256, 256))
        path = rng.normal(0, 5, (PARTICIPANTS * BUBBLES, 2)).cumsum(0) % 256
        counts = clicks.rasterise_bubbles(path, 14, 256, 256)
        found.append(Photo(data, image.height, image.width, np.array(square), counts))
    return found


def _jpegs() -> Iterator[bytes]:
    if IMAGES.value:
        for path in sorted(Path(IMAGES.value).iterdir()):
            if path.suffix.lower() in (".jpg", ".jpeg"):
                yield path.read_bytes()
        return
    from data_prep import quickstart

    rng = np.random.default_rng(0)
    names = [file for file, _ in quickstart.MATERIALS.values()] + list(quickstart.SCENES)
    for _ in range(4):
        for name in names:
            image = Image.fromarray(quickstart.load_photograph(name))
            scale = max(500 / image.width, 375 / image.height) * rng.uniform(1, 1.3)
            image = image.resize((round(image.width * scale), round(image.height * scale)))
            buffer = io.BytesIO()
            image.crop((0, 0, 500, 375)).save(buffer, "JPEG", quality=95)
            yield buffer.getvalue()


# --------------------------------------------------------------------------- fixtures


def _class_folders(root, pictures, maps):
    for i, photo in enumerate(pictures):
        folder = root / f"class{i % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:05d}.jpg").write_bytes(photo.jpeg)
        if maps:
            grown = np.asarray(
                Image.fromarray(photo.counts.astype(np.uint8)).resize((photo.width, photo.height))
            )
            Image.fromarray(grown).save(folder / f"{i:05d}.png")


def folder(root, pictures):
    _class_folders(root, pictures, maps=True)
    return {}


WNIDS = ("n01440764", "n01443537", "n01484850", "n01491361")


def _by_class(pictures):
    return {
        wnid: {f"{wnid}_{i}.JPEG": photo.jpeg for i, photo in enumerate(pictures) if i % 4 == c}
        for c, wnid in enumerate(WNIDS)
    }


def imagenet_folders(root, pictures):
    imagenet.write_train_folders(root, _by_class(pictures))
    return {}


def imagenet_tar(root, pictures):
    imagenet.write_train_tar(root, _by_class(pictures))
    return {}


def imagenet_records(root, pictures):
    from data_prep import imagenet_classes

    synsets = list(imagenet_classes.wnids())
    rows = [
        imagenet_tfrecords.Row(f"{WNIDS[i % 4]}_{i}.JPEG", WNIDS[i % 4], photo.jpeg)
        for i, photo in enumerate(pictures)
    ]
    for name, part in (("train", rows), ("validation", rows[:0])):
        if part:
            imagenet_tfrecords.build_imagenet_data(root, name, part, synsets)
    return {}


def release(root, pictures):
    lines = [
        clickme_release.record(
            photo.square.astype(np.float32), i % 4, photo.counts.astype(np.float32), 370
        )
        for i, photo in enumerate(pictures)
    ]
    clickme_release.write_records(root / "clickme_train.tfrecords", lines)
    return {}


def harmonization(root, pictures):
    lines = []
    for i, photo in enumerate(pictures):
        heatmap = (photo.counts * (255 / max(photo.counts.max(), 1))).astype(np.uint8)
        lines.append(
            clickme_harmonization.record(
                clickme_harmonization.jpeg(photo.square),
                clickme_harmonization.jpeg(heatmap[..., None]),
                i % 4,
            )
        )
    clickme_harmonization.write_shard(root, "train", 0, lines)
    return {}


def release_zip(root, pictures):
    folder_ = root / "unzipped" / "clickme_train"
    for i, photo in enumerate(pictures):
        clickme_release.write_npz(folder_, i, photo.square, photo.counts, 370, i % 4)
    (root / "zips").mkdir()
    clickme_release.zip_folder(folder_, root / "zips" / "clickme_train.zip")
    return {"input_dir": root / "zips"}


def raw_clicks(root, pictures):
    _class_folders(root / "images", pictures, maps=False)
    rng = np.random.default_rng(0)
    rows = []
    for i, photo in enumerate(pictures):
        for person in range(PARTICIPANTS):
            path = rng.normal(0, 5, (BUBBLES, 2)).cumsum(0) % (photo.width, photo.height)
            rows.append(
                {
                    "image_path": f"class{i % 4}/{i:05d}.jpg",
                    "clicks": [(int(x), int(y)) for x, y in path],
                    "user_id": f"user{person}",
                }
            )
    clickme_clicks.write_csv(root / "clicks.csv", rows)
    return {"input_dir": root / "images", "clicks_file": root / "clicks.csv"}


def fixations(root, pictures):
    rng = np.random.default_rng(0)
    (root / "images" / "train").mkdir(parents=True)
    workers = []
    for i, photo in enumerate(pictures):
        image = Image.open(io.BytesIO(photo.jpeg)).resize((640, 480))
        image.save(root / "images" / "train" / salicon.file_name(i), quality=95)
        for worker in range(PARTICIPANTS):
            points = rng.integers(1, 480, (60, 2)).tolist()
            workers.append((i, worker, points))
    salicon.write_json(root / "annotations" / "fixations_train2014.json", workers)
    return {}


def instances(root, pictures):
    (root / "train2017").mkdir()
    images, annotations = [], []
    for i, photo in enumerate(pictures):
        (root / "train2017" / f"{i:012d}.jpg").write_bytes(photo.jpeg)
        images.append(coco.image(i, f"{i:012d}.jpg", photo.height, photo.width))
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        x = photo.width * (0.5 + 0.3 * np.cos(angles))
        y = photo.height * (0.5 + 0.3 * np.sin(angles))
        polygon = np.stack([x, y], 1).ravel().round(2).tolist()
        box = [photo.width * 0.2, photo.height * 0.2, photo.width * 0.6, photo.height * 0.6]
        annotations.append(coco.annotation(i + 1, i, i % 4 + 1, [polygon], box, box[2] * box[3]))
    categories = [coco.category(n + 1, f"class{n}") for n in range(4)]
    coco.write_instances(
        root / "annotations" / "instances_train2017.json", images, annotations, categories
    )
    return {}


def box_table(root, pictures):
    _class_folders(root / "images", pictures, maps=False)
    rows = [
        (f"class{i % 4}/{i:05d}.jpg", 10, 20, photo.width // 2, photo.height // 2, f"class{i % 4}")
        for i, photo in enumerate(pictures)
    ]
    boxes.write_boxes(root / "boxes.csv", rows)
    return {"input_dir": root / "images", "annotations": root / "boxes.csv"}


def png_maps(root):
    for path in root.rglob("*.png"):
        Image.open(path).load()


def jpeg_maps(root):
    import tensorflow as tf

    for path in root.rglob("*.tfrecords"):
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            features = tf.train.Example.FromString(serialized).features.feature
            Image.open(io.BytesIO(features["heatmap"].bytes_list.value[0])).load()


def raw_floats(root):
    """To bytes and small integers; what they hold is not looked at."""
    import tensorflow as tf

    for path in root.rglob("*.tfrecords"):
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            features = tf.train.Example.FromString(serialized).features.feature
            for key, dtype in (("image", np.uint8), ("heatmap", np.uint16)):
                raw = features[key].bytes_list.value[0]
                np.frombuffer(raw, "<f4").astype(dtype)


def deflated(root):
    for path in root.rglob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                archive.read(name)


class Case(NamedTuple):
    """A source, the writer of its fixture, flags of the builder, what must be decoded besides."""

    source: str
    write: Callable
    flags: dict[str, str] = {}  # noqa: RUF012 - never changed
    besides: Callable[[Path], None] = lambda root: None


SQUARE = {"image_storage": "square"}
CASES = {
    "folder, PNG maps": Case("folder", folder, {}, png_maps),
    "folder, PNG maps, square": Case("folder", folder, SQUARE, png_maps),
    "imagenet folders": Case("imagenet", imagenet_folders),
    "imagenet folders, square": Case("imagenet", imagenet_folders, SQUARE),
    "imagenet tar": Case("imagenet", imagenet_tar),
    "imagenet_tfrecords": Case("imagenet_tfrecords", imagenet_records),
    "clickme_release, records": Case("clickme_release", release, {}, raw_floats),
    "clickme_release, NPZ zip": Case("clickme_release", release_zip, {}, deflated),
    "clickme_harmonization": Case("clickme_harmonization", harmonization, {}, jpeg_maps),
    "clickme_clicks": Case("clickme_clicks", raw_clicks),
    "clickme_clicks, square": Case("clickme_clicks", raw_clicks, SQUARE),
    "salicon": Case("salicon", fixations),
    "coco": Case("coco", instances),
    "boxes": Case("boxes", box_table),
}

# --------------------------------------------------------------------------- measurements


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
    options = build_flags.source_options(flag_values)

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
    return records.decode_image(example.image, example.image_id)


def _codecs(example, storage):
    image, data = _decode(example), example.image
    if storage.image_storage == "square" and image.size != (256, 256):
        image, data = image.resize((256, 256), Image.Resampling.BICUBIC), None
    if data is None or isinstance(data, np.ndarray):
        records.to_jpeg(image)
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


def main(_) -> None:
    logging.set_verbosity(logging.ERROR)
    unknown = set(ONLY.value) - set(CASES)
    if unknown:
        raise app.UsageError(f"--only: {sorted(unknown)} unknown; there are {list(CASES)}")
    pictures = photos(COUNT.value)
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
    app.run(main)
