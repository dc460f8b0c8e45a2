"""Raw material in every published format, from the same photographs: `data_prep.py`'s data.

Each writer takes a directory and the photographs, and returns flags of the builder that name its
input, where that is not the directory itself.
"""

import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from faults.formats import (  # noqa: E402
    boxes,
    clickme_clicks,
    clickme_harmonization,
    clickme_release,
    coco,
    imagenet,
    imagenet_tfrecords,
    salicon,
)

from data_prep.maps import rasterise  # noqa: E402

PARTICIPANTS, BUBBLES = 5, 74  # of a map; the paper: 472,946 maps of 196,499 images, 35 M bubbles


class Photo(NamedTuple):
    """A photograph: its file, and what a ClickMe record makes of it."""

    jpeg: bytes
    height: int
    width: int
    square: np.ndarray  # uint8 [256, 256, 3]
    counts: np.ndarray  # int64 [256, 256]


def photos(files: list[bytes], count: int) -> list[Photo]:
    """JPEG files, again and again up to `count`."""
    found = []
    rng = np.random.default_rng(0)
    for i in range(count):
        data = files[i % len(files)]
        image = Image.open(io.BytesIO(data)).convert("RGB")
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        square = image.crop((left, top, left + short, top + short)).resize((256, 256))
        path = rng.normal(0, 5, (PARTICIPANTS * BUBBLES, 2)).cumsum(0) % 256
        counts = rasterise.rasterise_bubbles(path, 14, 256, 256)
        found.append(Photo(data, image.height, image.width, np.array(square), counts))
    return found


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
    """Class folders, and PNG maps beside the images."""
    _class_folders(root, pictures, maps=True)
    return {}


WNIDS = ("n01440764", "n01443537", "n01484850", "n01491361")


def _by_class(pictures):
    return {
        wnid: {f"{wnid}_{i}.JPEG": photo.jpeg for i, photo in enumerate(pictures) if i % 4 == c}
        for c, wnid in enumerate(WNIDS)
    }


def imagenet_folders(root, pictures):
    """The unpacked archive."""
    imagenet.write_train_folders(root, _by_class(pictures))
    return {}


def imagenet_tar(root, pictures):
    """The archive as downloaded, tars in a tar."""
    imagenet.write_train_tar(root, _by_class(pictures))
    return {}


def imagenet_records(root, pictures):
    """As `build_imagenet_data.py` wrote them."""
    from data_prep.readers.imagenet import imagenet_classes

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
    """Raw floats, as the authors released them."""
    lines = [
        clickme_release.record(
            photo.square.astype(np.float32), i % 4, photo.counts.astype(np.float32), 370
        )
        for i, photo in enumerate(pictures)
    ]
    clickme_release.write_records(root / "clickme_train.tfrecords", lines)
    return {}


def harmonization(root, pictures):
    """JPEG images and JPEG maps."""
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
    """The archive's NPZ files, zipped."""
    folder_ = root / "unzipped" / "clickme_train"
    for i, photo in enumerate(pictures):
        clickme_release.write_npz(folder_, i, photo.square, photo.counts, 370, i % 4)
    (root / "zips").mkdir()
    clickme_release.zip_folder(folder_, root / "zips" / "clickme_train.zip")
    return {"input_dir": root / "zips"}


def raw_clicks(root, pictures):
    """A CSV of clicks on images in class folders."""
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
    """JSON of fixations, each worker a row."""
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
    """JSON of polygons, one object an image."""
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
    """A CSV of boxes, one an image."""
    _class_folders(root / "images", pictures, maps=False)
    rows = [
        (f"class{i % 4}/{i:05d}.jpg", 10, 20, photo.width // 2, photo.height // 2, f"class{i % 4}")
        for i, photo in enumerate(pictures)
    ]
    boxes.write_boxes(root / "boxes.csv", rows)
    return {"input_dir": root / "images", "annotations": root / "boxes.csv"}


def png_maps(root):
    """Decodes them."""
    for path in root.rglob("*.png"):
        Image.open(path).load()


def jpeg_maps(root):
    """Reads and decodes them."""
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
    """Inflates every member."""
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
