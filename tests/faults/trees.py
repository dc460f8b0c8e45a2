"""Small raw material of every published format, to be damaged by `faults.py`.

A tree is written once a process into a folder of its own; a fault gets a copy. Everything below
that folder is material, so any file of it may be a target.
"""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import clickme_trees
import numpy as np
import photographs
from fake_trees import build, counts, write_image, write_map
from faults.formats import boxes, clickme_release, coco, imagenet, imagenet_tfrecords, salicon

from data_prep.readers.imagenet import imagenet_classes

SIZE = (24, 32)
FINISHED = "verify"  # in place of a source: what is already built, to be verified
WNIDS = list(imagenet_classes.wnids())


class Tree(NamedTuple):
    """How to make a tree, and how the builder is to read it.

    Attributes:
      source: of the builder; or FINISHED.
      write: makes the tree in an empty folder.
      options: further flags; "{root}" stands for the folder.
    """

    source: str
    write: Callable[[Path], None]
    options: dict[str, str]


def _folder(root):
    for seed, name in enumerate(("ant/0", "ant/1", "ant/2", "ant/3", "bee/0", "bee/1", "bee/2")):
        write_image(root / f"{name}.jpg", seed)
    write_image(root / "bee/4.png", 9)
    write_map(root / "ant/0.png", counts(1))
    write_map(root / "ant/1.npy", np.stack([counts(2), counts(3)]).astype(np.int64))
    write_map(root / "bee/0.npy", counts(4) / np.float32(7))
    write_map(root / "bee/1.png", counts(5).astype(np.uint16) * 300)


def _tiny_imagenet(root):
    root.mkdir(exist_ok=True)
    (root / "wnids.txt").write_text("n02\nn01\n")
    (root / "words.txt").write_text("n01\tcrane\nn02\tcrane, machine\nn03\tother\n")
    lines = []
    for c, wnid in enumerate(("n02", "n01")):
        for i in range(3):
            write_image(root / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", 50 * c + i, 64, 64)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text(
            "".join(f"{wnid}_{i}.JPEG\t{i}\t2\t63\t{i + 2}\n" for i in range(3))
        )
        name = f"val_{c}.JPEG"
        write_image(root / "val" / "images" / name, 1000 + c, 64, 64)
        lines.append(f"{name}\t{wnid}\t0\t0\t63\t63\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))


def _boxes(root):
    rows = [
        ("cat/a.jpg", 1, 2, 4, 5, "cat", "w 1"),
        ("dog/b.jpg", 0.6, 0, 31.4, 24, "dog", "w 1"),
        ("cat/a.jpg", 2, 2, 30, 6, "cat", "w 2"),
        ("dog/c.jpg", "", "", "", "", "dog", ""),
        ("cat/d.jpg", 3, 3, 9.5, 20, "cat", "w 2"),
    ]
    for seed, name in enumerate(sorted({row[0] for row in rows})):
        write_image(root / name, seed)
    columns = ("image", "xmin", "ymin", "xmax", "ymax", "label", "participant")
    boxes.write_boxes(root / "boxes.csv", rows, columns)


_TRAIN = {
    "n01440764": {f"n01440764_{i}.JPEG": imagenet.picture(i) for i in (9, 10026)},
    "n02105855": {"n02105855_29.JPEG": imagenet.picture(3)},
}
_VAL = {imagenet.val_name(i): imagenet.picture(100 + i) for i in (1, 2, 293)}


def _imagenet_folders(root):
    imagenet.write_train_folders(root / "in", _TRAIN)
    wnids = {imagenet.val_name(i): w for i, w in imagenet_classes.KNOWN_VALIDATION.items()}
    imagenet.write_val_sorted(root / "in", _VAL, wnids)
    folder = root / "boxes" / "Annotation" / "n01440764"
    imagenet.write_xml(folder / "n01440764_9.xml", 64, 48, [(16, 12, 60, 48), (2, 4, 16, 12)])
    imagenet.write_xml(folder / "n01440764_10026.xml", 32, 24, [(5, 0, 25, 10)])


@functools.cache
def ground_truth() -> tuple[str, ...]:
    """50,000 WordNet ids, 50 of each class, those of the known images in their places."""
    known = imagenet_classes.KNOWN_VALIDATION
    left = np.repeat(np.arange(1000), 50)
    taken = [WNIDS.index(wnid) * 50 + place for place, wnid in enumerate(known.values())]
    left = iter(np.random.default_rng(0).permutation(np.delete(left, taken)).tolist())
    return tuple(known.get(i) or WNIDS[next(left)] for i in range(1, 50_001))


@functools.cache
def devkit_numbers() -> tuple[int, ...]:
    """The same as ILSVRC2012_ID."""
    number = {w: imagenet_classes.number_of(i, "devkit") for i, w in enumerate(WNIDS)}
    return tuple(number[wnid] for wnid in ground_truth())


def _imagenet_tars(root):
    imagenet.write_train_tar(root, _TRAIN)
    imagenet.write_val_tar(root, _VAL)
    imagenet.write_lines(root / "ILSVRC2012_validation_ground_truth.txt", devkit_numbers())
    found = {"n01440764_9": [(0, 0, 0.5, 0.5), (0.25, 0.25, 0.75, 1)]}
    imagenet.write_box_csv(root / "boxes.csv", found | {"n02105855_29": [(0.1, 0, 0.4, 0.5)]})


_SYNSETS = [WNIDS[label] for label in (0, 1, 65, 999)]
_KNOWN = [imagenet_classes.KNOWN_VALIDATION[number] for number in range(1, 9)]


def _classic(root):
    box = [(0.1, 0.1, 0.5, 0.5), (0.0, 0.25, 1.0, 0.75)]
    train = imagenet_tfrecords.rows(_SYNSETS, each=2, boxes=box)
    known = imagenet_tfrecords.rows(_KNOWN, validation=True)
    imagenet_tfrecords.build_imagenet_data(root, "train", train, WNIDS)
    imagenet_tfrecords.build_imagenet_data(root, "validation", known, WNIDS)


def _tfds(root):
    splits = {
        "train": imagenet_tfrecords.rows(_SYNSETS, each=2),
        "validation": imagenet_tfrecords.rows(_KNOWN, validation=True),
    }
    imagenet_tfrecords.tfds_imagenet2012(root, splits, WNIDS)


_WORKERS = [
    (9, 128, [[1, 1], [24, 32]]),
    (9, 7, [[5, 30], [5, 30], [6, 2]]),
    (9, 128, [[3, 4]]),
    (25, 7, [[2, 3], [11, 12]]),
    (30, 7, [[7, 7]]),
]


def _salicon_json(root):
    path = root / "annotations" / "fixations_train2014.json"
    salicon.write_json(path, _WORKERS, "train2014", SIZE)
    for image_id in (9, 25, 30):
        write_image(root / "images" / salicon.file_name(image_id), image_id)


def _salicon_mat(root):
    for image_id in (9, 25):
        points = np.random.default_rng(image_id).integers(1, 24, (40, 2)).tolist()
        observers = [
            {"location": [[1, 1]], "timestamp": [[16]], "fixations": points[:20]},
            {"location": [[2, 1]], "timestamp": [[16]], "fixations": points[20:]},
        ]
        stem = salicon.file_name(image_id).removesuffix(".jpg")
        salicon.write_mat(root / "fixations" / "train" / f"{stem}.mat", observers, SIZE)
        write_image(root / "images" / "train" / f"{stem}.jpg", image_id)


def _salicon_maps(root):
    for image_id in (9, 25, 30):
        stem = salicon.file_name(image_id).removesuffix(".jpg")
        salicon.write_map(root / "maps" / "train" / f"{stem}.png", counts(image_id) * 40)
        write_image(root / "images" / f"{stem}.jpg", image_id)


def _coco(root):
    square = [[2.0, 3.0, 6.0, 3.0, 6.0, 8.0, 2.0, 8.0]]
    mask = np.zeros(SIZE, bool)
    mask[5:10, 4:12] = True
    annotations = [
        coco.annotation(901, 1, 18, square, [2, 3, 4, 5], 20.0),
        coco.annotation(11, 1, 1, coco.rle(mask), [4, 5, 8, 5], 32.0),
        coco.annotation(51, 2, 1, coco.rle(mask, True), [4, 5, 8, 5], 40.0),
        coco.annotation(21, 3, 18, square, [2, 3, 4.4, 5], 20.0),
    ]
    names = [f"{number:012d}.jpg" for number in (1, 2, 3)]
    for seed, name in enumerate(names):
        write_image(root / "train2017" / name, seed)
    images = [coco.image(number, name, *SIZE) for number, name in enumerate(names, 1)]
    categories = [coco.category(18, "dog"), coco.category(1, "person")]
    path = root / "annotations" / "instances_train2017.json"
    coco.write_instances(path, images, annotations, categories)


def _merged(root):
    """Photographs in ImageNet's folders, and ClickMe records of their central squares."""
    records = []
    for seed in range(4):
        picture = photographs.photograph(seed, 260, 300)
        name = f"{WNIDS[seed]}/{WNIDS[seed]}_{seed}.JPEG"
        imagenet.write_files(
            root / "in" / "train" / WNIDS[seed], {name.split("/")[1]: photographs.jpeg(picture)}
        )
        square = np.asarray(photographs.central_square(picture), np.float32)
        records.append(clickme_trees.raw(seed, 255, image=square, label=seed))
    clickme_release.write_records(str(root / "maps" / "clickme_train.tfrecords"), records[:3])


def _finished(root):
    with tempfile.TemporaryDirectory() as folder:
        _folder(Path(folder))
        build(
            root / "data",
            source="folder",
            input_dir=folder,
            split_proportions="2,1,1",
            num_shards=2,
            num_eval_shards=1,
            clickmap_blur="none",
        )


_DEAL = {"split_proportions": "1,0,0"}
_HELD = {"validation_fraction": "0.3"}
_CLICKS = {"input_dir": "{root}/images", "on_bad_row": "error"} | _DEAL

TREES = {
    "folder": Tree("folder", _folder, _DEAL),
    "tiny_imagenet": Tree("tiny_imagenet", _tiny_imagenet, _HELD),
    "imagenet, folders and XML": Tree(
        "imagenet", _imagenet_folders, {"input_dir": "{root}/in", "boxes": "{root}/boxes"}
    ),
    "imagenet, tars and lists": Tree("imagenet", _imagenet_tars, {"boxes": "{root}/boxes.csv"}),
    "imagenet_tfrecords, classic": Tree("imagenet_tfrecords", _classic, {"boxes": "in_records"}),
    "imagenet_tfrecords, TFDS": Tree("imagenet_tfrecords", _tfds, {}),
    "clickme_release, shards": Tree("clickme_release", clickme_trees.release_shards, {}),
    "clickme_release, archive": Tree("clickme_release", clickme_trees.release_archive, {}),
    "clickme_release, zips": Tree("clickme_release", clickme_trees.release_zips, {}),
    "clickme_release, NPZ": Tree("clickme_release", clickme_trees.release_folders, {}),
    "clickme_harmonization": Tree("clickme_harmonization", clickme_trees.harmonization, _HELD),
    "clickme_clicks, CSV": Tree(
        "clickme_clicks", clickme_trees.clicks_csv, _CLICKS | {"clicks_file": "{root}/clicks.csv"}
    ),
    "clickme_clicks, NPZ": Tree(
        "clickme_clicks", clickme_trees.clicks_npz, _CLICKS | {"clicks_file": "{root}/clicks.npz"}
    ),
    "salicon, JSON": Tree("salicon", _salicon_json, {}),
    "salicon, MAT": Tree("salicon", _salicon_mat, {}),
    "salicon, maps": Tree("salicon", _salicon_maps, {}),
    "coco": Tree("coco", _coco, {}),
    "boxes": Tree("boxes", _boxes, _DEAL),
    "imagenet with maps of ClickMe": Tree(
        "imagenet",
        _merged,
        {"input_dir": "{root}/in", "maps_source": "clickme_release", "maps_dir": "{root}/maps"},
    ),
    "finished shards": Tree(FINISHED, _finished, {"data_dir": "{root}/data"}),
}
