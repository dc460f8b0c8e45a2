"""Damage of particular kinds: what a format can get wrong though its bytes arrive as they were sent.

`KINDS` has for each tree of `fault_trees.py` name -> function of a folder and a random generator,
which damages one file and returns a `Damage`.
"""

import csv
import functools
import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from fault_trees import click_arrays, devkit_numbers, pixels
from formats import imagenet
from PIL import Image


class Damage(NamedTuple):
    """What was done, and what a verdict goes by.

    Attributes:
      file: relative to the tree; a message must have its name.
      place: a message must have it too: a pattern for the record, row or entry; "" for none.
      allowed: outcomes that are right.
      said: pattern of the printed line, where something is left out.
    """

    file: str
    place: str = ""
    allowed: frozenset[str] | set[str] = frozenset({"named"})
    said: str = ""


# A word for some place in a file; enough where a random flip may come to light elsewhere.
ENTRY = r"record|row|line|entry|member|byte|character|annotation|image id|\.jpg|\.JPEG|\.png"
TAKEN = frozenset({"handled"})


# --------------------------------------------------------------------------- images


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(side: int = 40_000, depth: int = 8, color: int = 0) -> bytes:
    """A PNG of a few bytes that claims side x side pixels."""
    head = struct.pack(">IIBBBBB", side, side, depth, color, 0, 0, 0)
    data = _chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + data + _chunk(b"IEND", b"")


def jpeg_bomb(side: int = 65_000) -> bytes:
    """A JPEG whose head claims side x side pixels."""
    data = bytearray(imagenet.picture(1))
    place = data.index(b"\xff\xc0") + 5  # behind marker, length and precision
    data[place : place + 4] = struct.pack(">HH", side, side)
    return bytes(data)


def _sixteen_bits():
    buffer = io.BytesIO()
    Image.fromarray(np.arange(768, dtype=np.uint16).reshape(24, 32) * 80).save(buffer, "PNG")
    return buffer.getvalue()


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 24\n%%EndComments\nshowpage\n%%EOF\n"

PICTURES = {
    "PNG under a JPEG's name": (imagenet.picture(71, file_format="PNG"), TAKEN),
    "CMYK": (imagenet.picture(72, mode="CMYK"), TAKEN),
    "GIF under a JPEG's name": (imagenet.picture(73, file_format="GIF"), TAKEN),
    "PNG bomb": (png_bomb(), {"named"}),
    "JPEG bomb": (jpeg_bomb(), {"named"}),
    "PostScript": (EPS, {"named"}),
    "16 bits a channel": (_sixteen_bits(), {"named"}),
    "a head alone": (imagenet.picture(74)[:180], {"named"}),
}


def _picture(folder, data, allowed, suffixes=(".jpg", ".JPEG")):
    """An image file with other bytes."""

    def damage(root, rng):
        paths = sorted(p for p in (root / folder).rglob("*") if p.suffix in suffixes)
        path = paths[rng.integers(len(paths))]
        path.write_bytes(data)
        return Damage(str(path.relative_to(root)), "", allowed)

    return damage


def _pictures(folder=""):
    return {name: _picture(folder, *picture) for name, picture in PICTURES.items()}


def _file(name, data, place="", allowed=frozenset({"named"}), said=""):
    """A file with other bytes, or a new one."""

    def damage(root, rng):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return Damage(name, place, allowed, said)

    return damage


def _gone(name, place="", allowed=frozenset({"named"}), said=""):
    def damage(root, rng):
        (root / name).unlink()
        return Damage(name, place, allowed, said)

    return damage


def npy(values, **others) -> bytes:
    """An NPY file; `shape` or `descr` in its head replaced by what they are given as."""
    buffer = io.BytesIO()
    if others:
        head = np.lib.format.header_data_from_array_1_0(values) | others
        np.lib.format.write_array_header_1_0(buffer, head)
        buffer.write(values.tobytes())
    else:
        np.save(buffer, values)
    return buffer.getvalue()


class _Shell:
    """What a hostile pickle looks like; harmless here, should anyone load it."""

    def __reduce__(self):
        return (os.getpid, ())


def _array(**changes):
    values = np.ones((24, 32), np.float32)
    for place, value in enumerate(changes.values()):
        values[place, place] = value
    return values


def _png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


MAPS = {
    "map with NaN": npy(_array(a=np.nan)),
    "map with inf": npy(_array(a=np.inf)),
    "map with -1": npy(_array(a=-1)),
    "map of complex numbers": npy(_array().astype(np.complex64)),
    "map of text": npy(np.full((24, 32), "a")),
    "map of Python objects": npy(np.array([[_Shell()]], object)),
    "map of other proportions": npy(np.ones((24, 24), np.int64)),
    "map of four axes": npy(np.ones((1, 1, 24, 32))),
    "map without pixels": npy(np.ones((0, 32))),
    "map that claims a huge shape": npy(_array(), shape=(10**6, 10**6)),
    "map whose shape overflows": npy(_array(), shape=(2**62, 4)),
    "map whose counts overflow": npy(np.full((24, 32), 70_000)),
    "map of 1e300": npy(np.full((24, 32), 1e300)),
}


def _folder():
    kinds = _pictures() | {name: _file("ant/2.npy", data) for name, data in MAPS.items()}
    return kinds | {
        "map in colour": _file("ant/0.png", imagenet.picture(5, file_format="PNG")),
        "map is a PNG bomb": _file("ant/0.png", png_bomb()),
        "split folder beside classes": _file("train/ant/9.jpg", imagenet.picture(5)),
        "one stem twice": _file("ant/0.jpeg", imagenet.picture(5), "'0'"),
        "class without images": _file("cow/readme.txt", "none"),
        "name that is a path": _file("ant/..%2f..%2fx.jpg", b"no image"),
        "map of a whole other kind": _file("ant/2.npy", EPS),
    }


# --------------------------------------------------------------------------- lists


def _line(name, number, change, place=None, allowed=frozenset({"named"}), said="", text="utf-8"):
    """Line `number`, from 1, changed; `change` is a function of it, or the new line."""

    def damage(root, rng):
        path = root / name
        lines = path.read_bytes().decode("utf-8").splitlines(keepends=True)
        old = lines[number - 1].rstrip("\r\n")
        lines[number - 1] = (change(old) if callable(change) else change) + "\n"
        path.write_bytes("".join(lines).encode(text))
        return Damage(name, rf"line {number}\b" if place is None else place, allowed, said)

    return damage


def _tiny():
    boxes, validation = "train/n02/n02_boxes.txt", "val/val_annotations.txt"
    return _pictures() | {
        "box inverted": _line(boxes, 1, "n02_0.JPEG\t9\t2\t3\t4", "n02_0.JPEG|line 1"),
        "box outside": _line(boxes, 1, "n02_0.JPEG\t0\t2\t64\t4", "n02_0.JPEG|line 1"),
        "box negative": _line(boxes, 1, "n02_0.JPEG\t-1\t2\t6\t4", "n02_0.JPEG|line 1"),
        "box of text": _line(boxes, 2, "n02_0.JPEG\ta\t2\t6\t4"),
        "box of three": _line(boxes, 3, "n02_0.JPEG\t1\t2\t6"),
        "box of NaN": _line(boxes, 3, "n02_0.JPEG\t1\t2\t6\tnan"),
        "image twice": _line(boxes, 3, "n02_0.JPEG\t1\t2\t6\t7", "n02_0.JPEG"),
        "image not there": _line(boxes, 3, "n02_7.JPEG\t1\t2\t6\t7", "n02_7.JPEG"),
        "name leads out": _line(boxes, 3, "../../../x.JPEG\t1\t2\t6\t7", "x.JPEG"),
        "name absolute": _line(boxes, 3, "/etc/passwd\t1\t2\t6\t7", "passwd"),
        "unknown class": _line(validation, 1, "val_0.JPEG\tn99\t0\t0\t63\t63", "n99"),
        "class without words": _line("words.txt", 1, "n09\tother", "n01"),
        "class twice": _line("wnids.txt", 2, "n02", ""),
        "class is a path": _line("wnids.txt", 2, "../n02", ""),
        "list gone": _gone(boxes),
        "Latin-1": _line(validation, 1, "välue.JPEG\tn02\t0\t0\t6\t6", "", text="latin-1"),
    }


def _boxes():
    def row(number, *cells):
        return _line("boxes.csv", number, ",".join(map(str, cells)))

    good = ("cat/a.jpg", 1, 2, 4, 5, "cat", "w")
    cut = {"left out"}
    return _pictures() | {
        "box inverted": row(2, "cat/a.jpg", 9, 2, 4, 5, "cat", "w"),
        "box wholly outside": row(2, "cat/a.jpg", 100, 2, 140, 5, "cat", "w"),
        "box wholly above": row(2, "cat/a.jpg", 1, -9, 4, -5, "cat", "w"),
        "box partly outside": _line(
            "boxes.csv", 2, "cat/a.jpg,20,2,140,5,cat,w", allowed=cut, said="reaches out"
        ),
        "box of NaN": row(2, "cat/a.jpg", 1, 2, "nan", 5, "cat", "w"),
        "box of inf": row(2, "cat/a.jpg", 1, 2, "inf", 5, "cat", "w"),
        "box of 1e300": row(2, "cat/a.jpg", 1, 2, "1e300", 5, "cat", "w"),
        "box of text": row(2, "cat/a.jpg", "one", 2, 4, 5, "cat", "w"),
        "box half empty": row(2, "cat/a.jpg", "", 2, 4, 5, "cat", "w"),
        "cell too few": row(2, *good[:-1]),
        "cell too many": row(2, *good, "x"),
        "no label": row(2, "cat/a.jpg", 1, 2, 4, 5, "", "w"),
        "image not there": row(2, "cat/x.jpg", 1, 2, 4, 5, "cat", "w")
        and _line("boxes.csv", 2, "cat/x.jpg,1,2,4,5,cat,w", "cat/x.jpg"),
        "name leads out": row(2, "../../a.jpg", 1, 2, 4, 5, "cat", "w"),
        "name absolute": row(2, "/etc/passwd", 1, 2, 4, 5, "cat", "w"),
        "name with a drive": row(2, "C:\\a.jpg", 1, 2, 4, 5, "cat", "w"),
        "name with a scheme": row(2, "gs://b/a.jpg", 1, 2, 4, 5, "cat", "w"),
        "name with NUL": row(2, "cat/a\0.jpg", 1, 2, 4, 5, "cat", "w"),
        "name empty": row(2, "", 1, 2, 4, 5, "cat", "w"),
        "name a folder": _line("boxes.csv", 2, "cat,1,2,4,5,cat,w", "cat"),
        "split folder for one": row(2, "train/a.jpg", 1, 2, 4, 5, "cat", "w")
        and _line("boxes.csv", 2, "train/a.jpg,1,2,4,5,cat,w", "train"),
        "quote open": row(3, '"dog/b.jpg', 1, 2, 4, 5, "dog", "w"),
        "column gone": _line("boxes.csv", 1, "image,xmin,ymin,xmax,bottom,label,participant"),
        "column twice": _line("boxes.csv", 1, "image,xmin,ymin,xmax,ymax,ymax,participant"),
        "Latin-1": _line("boxes.csv", 2, "cat/ä.jpg,1,2,4,5,cat,w", "line", text="latin-1"),
        "UTF-16": _file("boxes.csv", "image,xmin,ymin,xmax,ymax\n".encode("utf-16")),
        "huge field": row(2, "cat/a.jpg", 1, 2, 4, 5, "c" * 200_000, "w"),
        "header alone": _file("boxes.csv", "image,xmin,ymin,xmax,ymax,label,participant\n"),
        "all fractions": _file("boxes.csv", "image,xmin,ymin,xmax,ymax\ncat/a.jpg,0,0,.5,1\n"),
    }


# --------------------------------------------------------------------------- ImageNet


def _xml(name, old, new, allowed=frozenset({"named"}), said=""):
    def damage(root, rng):
        file = f"boxes/Annotation/n01440764/{name}"
        text = (root / file).read_text()
        (root / file).write_text(text.replace(old, new, 1))
        return Damage(file, "", allowed, said)

    return damage


_ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaaaaaaaa">'
    + "".join(f'<!ENTITY {c} "{f"&{b};" * 16}">' for b, c in zip("abcdefgh", "bcdefghi"))
    + "]><annotation><size><width>&i;</width></size></annotation>"
)


def _imagenet_folders():
    name, folder = "n01440764_9.xml", "boxes/Annotation/n01440764/n01440764_9.xml"
    image = imagenet.picture(81)
    return _pictures("in") | {
        "XML bomb": _file(folder, _ENTITIES),
        "XML outer entity": _file(
            folder, '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</a>'
        ),
        "XML without a corner": _xml(name, "<ymax>48</ymax>", ""),
        "XML corner of text": _xml(name, "<ymax>48<", "<ymax>low<"),
        "XML corner of NaN": _xml(name, "<ymax>48<", "<ymax>nan<"),
        "XML corner of inf": _xml(name, "<ymax>48<", "<ymax>inf<"),
        "XML width 0": _xml(name, "<width>64<", "<width>0<"),
        "XML width negative": _xml(name, "<width>64<", "<width>-64<"),
        "XML without size": _xml(name, "<width>64</width>", ""),
        "XML of 2 MB": _file(folder, "<annotation>" + " " * 2**21 + "</annotation>"),
        "XML box without extent": _xml(name, "<xmax>60<", "<xmax>16<", {"left out"}, "left out"),
        "XML box wholly outside": _xml(
            name, "<xmin>16</xmin>", "<xmin>99</xmin>", {"left out"}, "left out"
        ),
        "image of another class": _file("in/train/n02105855/n01440764_77.JPEG", image),
        "unknown class": _file("in/train/n99999999/n99999999_1.JPEG", image),
        "numbered classes": _file("in/val/0/ILSVRC2012_val_00000009.JPEG", image, "", {"named", "harmless", "left out"}),
        "validation image of another class": _file(
            "in/val/n02105855/ILSVRC2012_val_00000004.JPEG", image
        ),
        "one image outside the folders": _file("in/val/ILSVRC2012_val_00000005.JPEG", image, "val"),
        "split twice": _file("in/validation/n02105855/x.JPEG", image, "validation", {"named"}),
        "image too large": _file("in/train/n02105855/n02105855_3.JPEG", image + bytes(2**26)),
    }


def _tar(files, **attributes):
    """A training tar of one class, with another entry among its images."""

    def damage(root, rng):
        inner = {"n01440764_9.JPEG": imagenet.picture(0)}
        inner = imagenet.tar_bytes(inner)[:1024] if False else _entries(inner, files, attributes)
        (root / "ILSVRC2012_img_train.tar").write_bytes(
            imagenet.tar_bytes({"n01440764.tar": inner})
        )
        return Damage("ILSVRC2012_img_train.tar", "|".join(map(_quoted, files)))

    return damage


def _quoted(name):
    return name.replace(".", r"\.")


def _entries(plain, files, attributes):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in (plain | files).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if name in files:
                for attribute, value in attributes.items():
                    setattr(info, attribute, value)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _twice():
    """An entry twice, with other pictures."""
    one, two = (imagenet.tar_bytes({"n01440764_9.JPEG": imagenet.picture(i)}) for i in (0, 1))
    return one[: len(one) // 512 * 512 - 1024].rstrip(b"\0") and _join(one, two)


def _join(one, two):
    size = 512 + -(-len(imagenet.picture(0)) // 512) * 512
    return one[:size] + two


def _header(offset, field):
    """A field of the outer training tar's first header, its checksum made right again."""

    def damage(root, rng):
        path = root / "ILSVRC2012_img_train.tar"
        data = bytearray(path.read_bytes())
        data[offset : offset + len(field)] = field
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        path.write_bytes(data)
        return Damage(path.name, "entry|byte")

    return damage


def _train(data, place="", name="ILSVRC2012_img_train.tar"):
    def damage(root, rng):
        (root / name).write_bytes(data() if callable(data) else data)
        return Damage(name, place)

    return damage


def _pax(**headers):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("n01440764.tar")
        info.pax_headers = headers
        tar.addfile(info, io.BytesIO())
    return buffer.getvalue()


def _gzipped():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("n01440764.tar"), io.BytesIO())
    return buffer.getvalue()


def _truth(change):
    """The list of validation classes, changed as a list."""

    def damage(root, rng):
        name = "ILSVRC2012_validation_ground_truth.txt"
        values = change(list(map(str, devkit_numbers())))
        (root / name).write_text("".join(f"{value}\n" for value in values))
        return Damage(name)

    return damage


def _other_numbers(values):
    return [str((int(value) + 17) % 1000 + 1) for value in values]


def _one_other(values):
    values[700] = str(int(values[700]) % 1000 + 1)
    return values


def _imagenet_tars():
    image = {"n01440764_5.JPEG": imagenet.picture(5)}
    link = {"linkname": "/etc/passwd"}
    names = {
        "entry absolute": "/etc/n01440764_5.JPEG",
        "entry leads out": "../../n01440764_5.JPEG",
        "entry leads out in the middle": "a/../../n01440764_5.JPEG",
        "entry with a backslash": "..\\n01440764_5.JPEG",
        "entry with a drive": "C:/n01440764_5.JPEG",
        "entry with control characters": "n01440764_5\x1b[2J.JPEG",
        "entry with a name of 2000 characters": "a" * 2000 + ".JPEG",
    }
    kinds = {k: _tar({name: image["n01440764_5.JPEG"]}) for k, name in names.items()}
    for kind in ("entry with control characters", "entry with a name of 2000 characters"):
        kinds[kind] = _tar({names[kind]: image["n01440764_5.JPEG"]})
        kinds[kind] = _loosely(kinds[kind], "entry")
    kinds["entry with a backslash"] = _loosely(kinds["entry with a backslash"], "entry")
    inner = imagenet.tar_bytes
    row = functools.partial(_line, "boxes.csv", 1)
    return kinds | {
        "symbolic link": _tar({"n01440764_5.JPEG": b""}, type=tarfile.SYMTYPE, **link),
        "hard link": _tar({"n01440764_5.JPEG": b""}, type=tarfile.LNKTYPE, **link),
        "device": _tar({"n01440764_5.JPEG": b""}, type=tarfile.CHRTYPE),
        "block device": _tar({"n01440764_5.JPEG": b""}, type=tarfile.BLKTYPE),
        "pipe": _tar({"n01440764_5.JPEG": b""}, type=tarfile.FIFOTYPE),
        "sparse entry": _tar({"n01440764_5.JPEG": b""}, type=tarfile.GNUTYPE_SPARSE),
        "entry twice": _entry_twice,
        "folder with contents": _tar({"n01440764_5.JPEG": bytes(600)}, type=tarfile.DIRTYPE),
        "size of a terabyte": _header(124, b"\x80" + bytes(3) + struct.pack(">Q", 2**40)),
        "size negative": _header(124, b"\xff" * 12),
        "size of text": _header(124, b"zzzzzzzzzzz\0"),
        "pax size": _train(_pax(size="999999999"), "size"),
        "pax path": _train(_pax(path="../../x.tar"), "x.tar"),
        "pax linkpath": _train(_pax(linkpath="/etc/passwd"), "linkpath"),
        "gzip": _train(_gzipped, "gzip"),
        "tar in a tar cut off": _train(
            inner({"n01440764.tar": inner(image)[:700]}), "n01440764.tar"
        ),
        "tar in a tar is HTML": _train(inner({"n01440764.tar": b"<html>" * 200}), "n01440764.tar"),
        "tar of an unknown class": _train(inner({"n99999999.tar": inner(image)}), "n99999999"),
        "image of another class": _train(inner({"n02105855.tar": inner(image)}), "n01440764_5"),
        "image outside the classes": _train(inner({"a.JPEG": imagenet.picture(6)}), "a.JPEG"),
        "image in the tar is HTML": _image_in_tar(b"<html>" * 50),
        "image in the tar is empty": _image_in_tar(b""),
        "image in the tar is a bomb": _image_in_tar(png_bomb()),
        "validation image that is none": _train(
            inner({"ILSVRC2012_val_99999999.JPEG": imagenet.picture(6)}),
            "ILSVRC2012_val_99999999",
            "ILSVRC2012_img_val.tar",
        ),
        "ground truth one short": _truth(lambda v: v[:-1]),
        "ground truth one short in front": _truth(lambda v: v[1:]),
        "ground truth one too many": _truth(lambda v: [*v, v[0]]),
        "ground truth in another order": _truth(_other_numbers),
        "ground truth from 0": _truth(lambda v: [str(int(n) - 1) for n in v]),
        "ground truth with 0": _truth(lambda v: [*v[:70], "0", *v[71:]]),
        "ground truth with 1001": _truth(lambda v: [*v[:70], "1001", *v[71:]]),
        "ground truth with -1": _truth(lambda v: [*v[:70], "-1", *v[71:]]),
        "ground truth with one other": _truth(_one_other),
        "ground truth backwards": _truth(lambda v: v[::-1]),
        "ground truth of ones": _truth(lambda v: ["1"] * 50_000),
        "ground truth counts": _truth(lambda v: [str(i + 1) for i in range(50_000)]),
        "ground truth mixed": _truth(lambda v: [*v[:70], "n01440764", *v[71:]]),
        "box inverted": row("n01440764_9.JPEG,0.5000,0.0,0.2000,0.5"),
        "box outside": row("n01440764_9.JPEG,0.0,0.0,1.2,0.5"),
        "box negative": row("n01440764_9.JPEG,-0.1,0.0,0.2,0.5"),
        "box of NaN": row("n01440764_9.JPEG,0.0,nan,0.2,0.5"),
        "box of text": row("n01440764_9.JPEG,0.0,low,0.2,0.5"),
        "box of five": row("n01440764_9.JPEG,0.0,0.1,0.2,0.5,0.6"),
        "box without extent": row(
            "n01440764_9.JPEG,0.5,0.1,0.5,0.5", allowed={"left out"}, said="left out"
        ),
        "box name of 100 characters": row("n" * 100 + ",0.0,0.1,0.2,0.5"),
    }


def _loosely(kind, place):
    return lambda root, rng: kind(root, rng)._replace(place=place)


def _entry_twice(root, rng):
    twice = {f"n01440764{tar}": imagenet.tar_bytes({"n01440764_9.JPEG": imagenet.picture(i)})
             for i, tar in enumerate((".tar", ".tar/"))}
    del twice
    one, two = (imagenet.tar_bytes({"n01440764_9.JPEG": imagenet.picture(i)}) for i in (0, 1))
    data = imagenet.tar_bytes({"n01440764.tar": _join(one, two)})
    (root / "ILSVRC2012_img_train.tar").write_bytes(data)
    # The builder finds it, which knows images by their ids and no files.
    return Damage("n01440764_9.JPEG", "Two examples")


def _image_in_tar(data):
    def damage(root, rng):
        inner = imagenet.tar_bytes({"n01440764_9.JPEG": imagenet.picture(0)})
        inner = imagenet.tar_bytes({"n01440764_9.JPEG": data, "n01440764_7.JPEG": inner[512:800]})
        good = imagenet.tar_bytes({"n01440764_9.JPEG": data})
        tar = imagenet.tar_bytes({"n01440764.tar": good})
        (root / "ILSVRC2012_img_train.tar").write_bytes(tar)
        return Damage("n01440764_9.JPEG")

    return damage
