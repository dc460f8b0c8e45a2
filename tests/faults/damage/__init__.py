"""Ways to damage raw material, one kind a function of (folder, random generator) -> `Damage`.

`kinds.py` lists them for each tree of `fault_trees.py`.
"""

import io
import json
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from faults.formats import imagenet
from PIL import Image

NAMED = frozenset({"named"})
LEFT_OUT = frozenset({"left out"})
HANDLED = frozenset({"handled"})
# A word for some place in a file; enough where damage may come to light at another.
ENTRY = r"record|row|line|entry|member|byte|character|annotation|image id|\.jpg|\.JPEG|\.png"


class Damage(NamedTuple):
    """What was done, and what a verdict goes by.

    Attributes:
      file: relative to the tree; a message must have its name.
      place: what a message must have beside, a pattern: the record, row or entry; "" for none.
      allowed: outcomes that are right.
      said: pattern of the printed line, where something is left out.
      alone: no other record than the damaged one is different.
    """

    file: str
    place: str = ""
    allowed: frozenset[str] = NAMED
    said: str = ""
    alone: bool = True


Kind = Callable[..., Damage]  # (root, rng)


def file(name, data, place="", allowed=NAMED, said="") -> Kind:
    """A file with other contents, bytes or text; or a new one."""

    def damage(root, rng):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return Damage(name, place, allowed, said)

    return damage


def gone(name, place="", allowed=NAMED, said="") -> Kind:
    """A file less."""

    def damage(root, rng):
        (root / name).unlink()
        return Damage(name, place, allowed, said)

    return damage


def line(name, number, new, place=None, allowed=NAMED, said="", encoding="utf-8") -> Kind:
    """Line `number`, from 1, replaced by text, or by a function of what it was."""

    def damage(root, rng):
        path = root / name
        lines = path.read_bytes().decode().splitlines(keepends=True)
        old = lines[number - 1].rstrip("\r\n")
        lines[number - 1] = (new(old) if callable(new) else new) + "\n"
        path.write_bytes("".join(lines).encode(encoding))
        return Damage(name, rf"line {number}\b" if place is None else place, allowed, said)

    return damage


def json_file(name, edit, place="") -> Kind:
    """A JSON file whose document `edit` has changed in place."""

    def damage(root, rng):
        document = json.loads((root / name).read_text())
        edit(document)
        (root / name).write_text(json.dumps(document))
        return Damage(name, place)

    return damage


def told_as(kind, **expected) -> Kind:
    """A kind of which a message names another file or place: a folder, or an image by its id."""
    return lambda root, rng: kind(root, rng)._replace(**expected)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(side: int = 40_000) -> bytes:
    """A PNG of a few bytes that claims side x side pixels."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    data = _chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + head + data + _chunk(b"IEND", b"")


def jpeg_bomb(side: int = 65_000) -> bytes:
    """A JPEG whose head claims side x side pixels."""
    data = bytearray(imagenet.picture(1))
    place = data.index(b"\xff\xc0") + 5  # behind marker, length and precision
    data[place : place + 4] = struct.pack(">HH", side, side)
    return bytes(data)


def as_png(values) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


# Pillow hands it to Ghostscript, which runs programs.
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 24\n%%EndComments\nshowpage\n%%EOF\n"

PICTURES = {
    "PNG under a JPEG's name": (imagenet.picture(71, file_format="PNG"), HANDLED),
    "CMYK": (imagenet.picture(72, mode="CMYK"), HANDLED),
    "GIF under a JPEG's name": (imagenet.picture(73, file_format="GIF"), HANDLED),
    "PNG bomb": (png_bomb(), NAMED),
    "JPEG bomb": (jpeg_bomb(), NAMED),
    "PostScript": (EPS, NAMED),
    "the head of a JPEG": (imagenet.picture(74)[:180], NAMED),
}


def pictures(folder="", side=(24, 32)) -> dict[str, Kind]:
    """An image file of the tree with other bytes, for each of PICTURES.

    Args:
      side: (height, width) of the tree's images, so that taken ones fit their maps.
    """

    def kind(data, allowed):
        def damage(root, rng):
            paths = (root / folder).rglob("*")
            paths = sorted(p for p in paths if p.suffix.lower() in (".jpg", ".jpeg"))
            path = paths[rng.integers(len(paths))]
            path.write_bytes(data)
            return Damage(str(path.relative_to(root)), "", allowed)

        return damage

    found = {}
    for name, (data, allowed) in PICTURES.items():
        if allowed is HANDLED and side != (24, 32):
            buffer = io.BytesIO()
            image = Image.open(io.BytesIO(data))
            image.resize((side[1], side[0])).save(buffer, image.format)
            data = buffer.getvalue()
        found[name] = kind(data, allowed)
    return found
