"""Damage to images, maps and lists in folders: sources folder, tiny_imagenet and boxes."""

import io
import os
import struct

import numpy as np
from faults.damage import (
    EPS,
    LEFT_OUT,
    NAMED,
    as_png,
    file,
    gone,
    line,
    pictures,
    png_bomb,
    told_as,
)
from faults.formats import imagenet


def npy(values, **head) -> bytes:
    """An NPY file; `shape` or `descr` of its head may be other than the values'."""
    buffer = io.BytesIO()
    if not head:
        np.save(buffer, values)
        return buffer.getvalue()
    fields = np.lib.format.header_data_from_array_1_0(values) | head
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue() + values.tobytes()


class _Hostile:
    """Pickled as a call; harmless here, should anyone make it."""

    def __reduce__(self):
        return os.getpid, ()


OBJECTS = np.array([_Hostile()], object)


_ONES = np.ones((24, 32), np.float32)


def _with(value):
    values = _ONES.copy()
    values[3, 4] = value
    return npy(values)


def headed(text) -> bytes:
    """An NPY file of version 2 whose head is any text."""
    return b"\x93NUMPY\x02\x00" + struct.pack("<L", len(text)) + text.encode() + bytes(3072)


_NPZ = io.BytesIO()
np.savez(_NPZ, a=_ONES)
HEADS = {
    "code": "__import__('os').getpid()",
    "brackets": "(" * 9000,
    "signs": "-" * 9000 + "1",
    "nothing": "",
    "NUL": "\0" * 64,
    "a list": "[1, 2]",
    "another type": str({"descr": "m8[Z]", "fortran_order": False, "shape": (1,)}),
    "a type of 2 GB": str({"descr": "V2000000000", "fortran_order": False, "shape": (9,)}),
    "a shape of fractions": str({"descr": "<f4", "fortran_order": False, "shape": (1.5,)}),
    "a shape of 4000 digits": str({"descr": "<f4", "fortran_order": False, "shape": (10**4000,)}),
}
_MAPS = {
    "map with NaN": _with(np.nan),
    "map with inf": _with(np.inf),
    "map with -1": _with(-1),
    "map of complex numbers": npy(_ONES.astype(np.complex64)),
    "map of text": npy(np.full((24, 32), "a")),
    "map of Python objects": npy(OBJECTS),
    "map of other proportions": npy(np.ones((24, 24), np.int64)),
    "map of four axes": npy(np.ones((2, 2, 24, 32))),
    "map without pixels": npy(np.ones((0, 32))),
    "map that claims a huge shape": npy(_ONES, shape=(10**6, 10**6)),
    "map whose shape overflows": npy(_ONES, shape=(2**62, 4)),
    "map whose shape is negative": npy(_ONES, shape=(-24, -32)),
    "map whose counts overflow": npy(np.full((24, 32), 70_000)),
    "map of 1e300": npy(np.full((24, 32), 1e300)),
    "map of 2^63": npy(np.full((24, 32), 2**63, np.uint64)),
    "map is an NPZ file": _NPZ.getvalue(),
    "map is PostScript": EPS,
    **{f"map whose head is {what}": headed(text) for what, text in HEADS.items()},
}

_SIXTEEN_BITS = as_png(np.arange(768, dtype=np.uint16).reshape(24, 32) * 80)

FOLDER = {
    **pictures("ant"),
    **{name: file("ant/2.npy", data) for name, data in _MAPS.items()},
    "map in colour": file("ant/0.png", imagenet.picture(5, file_format="PNG")),
    "map is a PNG bomb": file("ant/0.png", png_bomb()),
    "map is PostScript, named PNG": file("ant/0.png", EPS, "cannot identify"),
    "image of 16 bits a channel": file("bee/4.png", _SIXTEEN_BITS),
    "split folder beside classes": told_as(
        file("train/ant/9.jpg", imagenet.picture(5)), file="train"
    ),
    "one stem twice": file("ant/0.jpeg", imagenet.picture(5), "'0'"),
    "class without images": told_as(file("cow/readme.txt", "none"), file="cow"),
}

_ROWS = "train/n02/n02_boxes.txt"
_VAL = "val/val_annotations.txt"

TINY_IMAGENET = {
    **pictures(side=(64, 64)),
    "box inverted": line(_ROWS, 1, "n02_0.JPEG\t9\t2\t3\t4"),
    "box outside": line(_ROWS, 1, "n02_0.JPEG\t0\t2\t64\t4"),
    "box negative": line(_ROWS, 1, "n02_0.JPEG\t-1\t2\t6\t4"),
    "box of text": line(_ROWS, 2, "n02_0.JPEG\ta\t2\t6\t4"),
    "box of three": line(_ROWS, 3, "n02_0.JPEG\t1\t2\t6"),
    "box of NaN": line(_ROWS, 3, "n02_0.JPEG\t1\t2\t6\tnan"),
    "box of 5000 digits": line(_ROWS, 3, f"n02_0.JPEG\t1\t2\t6\t{'9' * 5000}"),
    "image twice": line(_ROWS, 3, "n02_0.JPEG\t1\t2\t6\t7", "n02_0.JPEG"),
    "image not there": line(_ROWS, 3, "n02_7.JPEG\t1\t2\t6\t7", "n02_7.JPEG"),
    "name leads out": line(_ROWS, 3, "../../../x.JPEG\t1\t2\t6\t7"),
    "name absolute": line(_ROWS, 3, "/etc/passwd\t1\t2\t6\t7"),
    "name with NUL": line(_ROWS, 3, "n02\0_2.JPEG\t1\t2\t6\t7"),
    "unknown class": line(_VAL, 1, "val_0.JPEG\tn99\t0\t0\t63\t63", "n99"),
    "class without words": line("words.txt", 1, "n09\tother", "n01"),
    "class twice": line("wnids.txt", 2, "n02"),
    "class is a path": line("wnids.txt", 2, "../n02"),
    "list gone": gone(_ROWS),
    "Latin-1": line(_VAL, 1, "välue.JPEG\tn02\t0\t0\t6\t6", "", encoding="latin-1"),
}


def _row(*cells, place=None, allowed=NAMED, said=""):
    return line("boxes.csv", 2, ",".join(map(str, cells)), place, allowed, said)


def _named(name):
    return _row(name, 1, 2, 4, 5, "cat", "w")


def _box(*edges):
    return _row("cat/a.jpg", *edges, "cat", "w")


_HEAD = "image,xmin,ymin,xmax,ymax,label,participant\n"

BOXES = {
    **pictures(),
    "box inverted": _box(9, 2, 4, 5),
    "box wholly outside": _box(100, 2, 140, 5),
    "box wholly above": _box(1, -9, 4, -5),
    "box partly outside": _row(
        "cat/a.jpg", 20, 2, 140, 5, "cat", "w", allowed=LEFT_OUT, said="line 2: .* cut off"
    ),
    "box of NaN": _box(1, 2, "nan", 5),
    "box of inf": _box(1, 2, "inf", 5),
    "box of 1e300": _box(1, 2, "1e300", 5),
    "box of text": _box("one", 2, 4, 5),
    "box half empty": _box("", 2, 4, 5),
    "cell too few": _row("cat/a.jpg", 1, 2, 4, 5, "cat"),
    "cell too many": _row("cat/a.jpg", 1, 2, 4, 5, "cat", "w", "x"),
    "no label": _row("cat/a.jpg", 1, 2, 4, 5, "", "w"),
    "image not there": told_as(
        _row("cat/x.jpg", 1, 2, 4, 5, "cat", "w", place="cat/x.jpg"), alone=False
    ),
    "name leads out": _named("../../a.jpg"),
    "name leads out in the middle": _named("cat/../../a.jpg"),
    "name absolute": _named("/etc/passwd"),
    "name with a drive": _named("C:\\a.jpg"),
    "name with a scheme": _named("gs://b/a.jpg"),
    "name with NUL": _named("cat/a\0.jpg"),
    "name empty": _named(""),
    "name is a folder": told_as(_row("cat", 1, 2, 4, 5, "cat", "w", place="'.*cat'"), alone=False),
    "split folder for one": _row("train/a.jpg", 1, 2, 4, 5, "cat", "w", place="train"),
    "quote open": line("boxes.csv", 3, '"dog/b.jpg,1,2,4,5,dog,w', "line"),
    "column gone": line("boxes.csv", 1, "image,xmin,ymin,xmax,bottom,label,participant"),
    "column twice": line("boxes.csv", 1, "image,xmin,ymin,xmax,ymax,ymax,participant"),
    "Latin-1": line("boxes.csv", 2, "cat/ä.jpg,1,2,4,5,cat,w", "line", encoding="latin-1"),
    "UTF-16": file("boxes.csv", _HEAD.encode("utf-16")),
    "huge field": _row("cat/a.jpg", 1, 2, 4, 5, "c" * 200_000, "w", place="line"),
    "header alone": file("boxes.csv", _HEAD),
    "fractions": file("boxes.csv", f"{_HEAD}cat/a.jpg,0,0,.5,1,cat,w\n"),
}
