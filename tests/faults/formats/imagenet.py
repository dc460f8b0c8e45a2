"""ILSVRC12's files, a few of them, as they were published and as tools made them.

Whose writers these imitate: the tars are GNU tar's (`tar cf` of the organisers; the training tar
holds a tar for each class); the ground truth, the development kit's text file; the list of WordNet
ids, research/slim/datasets/imagenet_2012_validation_synset_labels.txt of tensorflow/models;
val.txt, Caffe's get_ilsvrc_aux.sh; LOC_val_solution.csv, Kaggle's; the annotations, the
organisers' PASCAL VOC tool; the CSV of boxes, process_bounding_boxes.py of the same folder of
tensorflow/models.
"""

import io
import tarfile

import numpy as np
from PIL import Image

# The training files whose bytes are not what their names say; all tools carry this list.
PNG_FILE = "n02105855_2933"
CMYK_FILES = (
    "n01739381_1309",
    "n02077923_14822",
    "n02447366_23489",
    "n02492035_15739",
    "n02747177_10752",
    "n03018349_4028",
    "n03062245_4620",
    "n03347037_9675",
    "n03467068_12171",
    "n03529860_11437",
    "n03544143_17228",
    "n03633091_5218",
    "n03710637_5125",
    "n03961711_5286",
    "n04033995_2932",
    "n04258138_17003",
    "n04264628_27969",
    "n04336792_7448",
    "n04371774_5854",
    "n04596742_4225",
    "n07583066_647",
    "n13037406_4650",
)


def picture(seed, height=24, width=32, mode="RGB", file_format="JPEG", orientation=None):
    """The bytes of an image file; another picture for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    image = Image.fromarray(pixels).resize((width, height)).convert(mode)
    image.save(buffer, file_format, exif=exif)
    return buffer.getvalue()


def write_files(folder, files):
    """{name: bytes} as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def tar_bytes(files, **attributes):
    """{name: bytes} as a tar; attributes of every entry, such as type and linkname."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), 1339000000, 0o644
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def write_train_folders(root, classes):
    """train/<wnid>/<file>, of {wnid: {file: bytes}}."""
    for wnid, files in classes.items():
        write_files(root / "train" / wnid, files)


def write_train_tar(root, classes):
    """ILSVRC2012_img_train.tar: a tar of n########.tar."""
    root.mkdir(parents=True, exist_ok=True)
    tars = {f"{wnid}.tar": tar_bytes(files) for wnid, files in classes.items()}
    (root / "ILSVRC2012_img_train.tar").write_bytes(tar_bytes(tars))


def write_val_flat(root, files):
    write_files(root / "val", files)


def write_val_sorted(root, files, wnids):
    """val/<wnid>/<file>; wnids: {file: wnid}."""
    for name, data in files.items():
        write_files(root / "val" / wnids[name], {name: data})


def write_val_tar(root, files):
    root.mkdir(parents=True, exist_ok=True)
    (root / "ILSVRC2012_img_val.tar").write_bytes(tar_bytes(files))


def val_name(number):
    return f"ILSVRC2012_val_{number:08d}.JPEG"


def write_lines(path, values):
    """The development kit's list (numbers) and the TensorFlow tools' (WordNet ids)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{value}\n" for value in values))


def write_val_txt(path, values):
    """Caffe's list: name and number by sorted WordNet id, from 0."""
    path.write_text("".join(f"{val_name(i)} {value}\n" for i, value in enumerate(values, 1)))


def write_solution_csv(path, wnids):
    """Kaggle's list; its rows are in no order."""
    rows = [
        f"ILSVRC2012_val_{i:08d},{wnid} 85 1 499 272 {wnid} 10 11 20 21 \n"
        for i, wnid in enumerate(wnids, 1)
    ]
    order = np.random.default_rng(0).permutation(len(rows))
    path.write_text("ImageId,PredictionString\n" + "".join(rows[i] for i in order))


def write_box_csv(path, boxes):
    """Of {stem: [(xmin, ymin, xmax, ymax), ...]}, fractions."""
    lines = [
        f"{stem}.JPEG,{b[0]:.4f},{b[1]:.4f},{b[2]:.4f},{b[3]:.4f}\n"
        for stem, found in boxes.items()
        for b in found
    ]
    path.write_text("".join(lines))


def write_xml(path, width, height, boxes, name="n01440764", folder="n01440764"):
    """A PASCAL VOC annotation: boxes (xmin, ymin, xmax, ymax) in pixels of width and height."""
    objects = "".join(
        f"\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Unspecified</pose>\n"
        "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
        f"\t\t\t<xmin>{b[0]}</xmin>\n\t\t\t<ymin>{b[1]}</ymin>\n"
        f"\t\t\t<xmax>{b[2]}</xmax>\n\t\t\t<ymax>{b[3]}</ymax>\n"
        "\t\t</bndbox>\n\t</object>\n"
        for b in boxes
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<annotation>\n\t<folder>{folder}</folder>\n\t<filename>%s</filename>\n"
        "\t<source>\n\t\t<database>ILSVRC_2012</database>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n"
        "\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n"
        f"{objects}</annotation>\n"
    )
