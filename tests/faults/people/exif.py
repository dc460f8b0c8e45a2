"""What cameras and editors write into a picture's metadata: it never stops or misturns a build."""

import io
import struct

import numpy as np
from fake_trees import read, write_map
from faults.people import DONE, Case, material
from PIL import Image

ORIENTATION, SHORT = 0x0112, 3
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # of TIFF types
TAGS = (0x10E, 0x10F, 0x110, 0x11A, 0x11B, 0x128, 0x131, 0x132, 0x13B, 0x213, 0x8298, 0x8769)
TAGS += (0x8825, 0x9C9B, 0xA005, 0x2BC, 0x100, 0x102, 0x111, 0x927C, 0x9286)
HEIGHT, WIDTH = 24, 32


def jpeg(tags, order="<", height=HEIGHT, width=WIDTH) -> bytes:
    """A JPEG with these (tag, type, count, bytes) as its EXIF."""
    pixels = np.random.default_rng(len(tags)).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(buffer, "JPEG")
    body, extra = b"", b""
    start = 8 + 2 + 12 * len(tags) + 4
    for tag, kind, count, value in tags:
        if len(value) > 4:
            value, extra = struct.pack(order + "I", start + len(extra)), extra + value
        body += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    exif = b"Exif\0\0" + head + struct.pack(order + "H", len(tags)) + body + b"\0\0\0\0" + extra
    data = buffer.getvalue()
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


def _turn(value, order="<"):
    return ORIENTATION, SHORT, 1, struct.pack(order + "H", value)


def _case(data: bytes, turned: bool | None, suffix=".jpg"):
    """A build with one picture of this kind and a map that fits what a viewer shows."""
    shape = (WIDTH, HEIGHT) if turned else (HEIGHT, WIDTH)

    def make(folder, rng):
        material.photographs(folder)
        (folder / "images/ant/0.jpg").unlink()
        (folder / f"images/ant/0{suffix}").write_bytes(data)
        (folder / "maps/ant/0.png").unlink()
        write_map(folder / "maps/ant/0.png", material.gradient(*shape))
        return material.build(folder)

    def lost(folder):
        wrong = material.all_there()(folder)
        for rows in read(folder / "out").values():
            for row in rows:
                size = int(row["image/height"]), int(row["image/width"])
                if row["image/id"].decode() == f"ant/0{suffix}" and size != shape:
                    wrong += f" stored as {size}, displayed as {shape}"
        return wrong

    return Case(make, (DONE,), "", lost)


def _file(form, value):
    exif = Image.Exif()
    exif[ORIENTATION] = value
    buffer = io.BytesIO()
    pixels = np.random.default_rng(value).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((WIDTH, HEIGHT)).save(buffer, form, exif=exif)
    return buffer.getvalue()


CASES = {}
for order in "<>":
    for value in range(1, 9):
        CASES[f"orientation {value}, {order}"] = _case(
            jpeg([_turn(value, order)], order), value > 4
        )
for value in (0, 9, 90, 255, 65535):
    CASES[f"orientation {value}"] = _case(jpeg([_turn(value)]), False)
ODD = {
    "as text": (2, 2, b"1\0"),
    "as long text": (2, 12, b"Horizontal \0"),
    "of fractions": (5, 1, struct.pack("<II", 1, 1)),
    "over a zero": (5, 1, struct.pack("<II", 6, 0)),
    "as a float": (11, 1, struct.pack("<f", np.nan)),
    "without a value": (SHORT, 0, b""),
}
for name, entry in ODD.items():
    CASES[f"orientation {name}"] = _case(jpeg([(ORIENTATION, *entry)]), False)
_CUT = b"\xff\xe1\0\x0aExif\0\0II"
CASES["EXIF that is cut"] = _case(jpeg([])[:2] + _CUT + jpeg([])[2:], False)
CASES["two orientations"] = _case(jpeg([_turn(1), _turn(1)]), False)
for form, suffix in (("PNG", ".png"), ("JPEG", ".jpeg")):
    for value in (1, 3, 6, 8):
        CASES[f"{form}, orientation {value}"] = _case(_file(form, value), value > 4, suffix)
_RNG = np.random.default_rng(0)
for number in range(40):
    tag, kind, count = (int(_RNG.choice(one)) for one in (TAGS, list(SIZES), (1, 2, 5)))
    value = bytes(_RNG.integers(1, 100, SIZES[kind] * count, dtype=np.uint8))
    name = f"orientation 6 beside tag {tag:#x}, type {kind}, {count} times ({number})"
    CASES[name] = _case(jpeg([_turn(6), (tag, kind, count, value)]), True)
