"""Damage to raw material: at random in any file here, of a particular kind in `fault_particular.py`.

Each kind is a function of a folder and a random generator that damages one file of the folder and
returns a `Damage`: the file, what a message about it must name, and what may come of it.
"""

import re
import struct
import zipfile
import zlib
from pathlib import Path

import fault_particular
import numpy as np
from fault_particular import ENTRY, Damage

# What no checksum covers: a flip there may leave another valid file.
_BARE = {"jpeg", "csv", "txt", "json", "xml", "npy", "tar"}
_ROWS = {"csv", "txt", "json"}
_NAMED = {"named", "harmless"}
HTML = b"<!DOCTYPE html><html><head><title>403 Forbidden</title></head><body>No.</body></html>\n"


def form(path) -> str:
    """What kind of file it is; TFRecord files have many names."""
    suffix = Path(path).suffix.lower().lstrip(".")
    if re.search(r"-of-\d{5}$", str(path)):
        return "tfrecord"
    return {"jpg": "jpeg", "tfrecords": "tfrecord"}.get(suffix, suffix)


def _choose(root, rng):
    """A file: first its form, so that many images do not crowd out the one list."""
    forms: dict[str, list[Path]] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        forms.setdefault(form(path), []).append(path)
    paths = forms[sorted(forms)[rng.integers(len(forms))]]
    return paths[rng.integers(len(paths))]


def record_spans(path) -> list[tuple[int, int]]:
    """First byte of each record of a TFRecord file, head included, and the one behind it."""
    data, offset, spans = Path(path).read_bytes(), 0, []
    while offset < len(data):
        end = offset + 16 + struct.unpack_from("<Q", data, offset)[0]
        spans.append((offset, end))
        offset = end
    return spans


def _place(path, position):
    """What a message about this byte must name beside the file; "" if there is nothing."""
    kind = form(path)
    if kind == "tfrecord":
        spans = record_spans(path)
        return rf"record {next(n for n, (_, end) in enumerate(spans) if position < end)}\b"
    if kind == "zip":
        with zipfile.ZipFile(path) as archive:
            inside = [i for i in archive.infolist() if i.header_offset <= position]
            if position >= archive.start_dir:
                return "record|member|entry|directory"
        number = re.search(r"(\d+)\.npz", inside[-1].filename) if inside else None
        return rf"record {number[1]}\b|{inside[-1].filename}" if number else ""
    return ENTRY if kind in _ROWS or kind == "tar" else ""


def _allowed(path):
    kind = form(path)
    return _NAMED | ({"undetectable"} if kind in _BARE else set()) | (
        {"left out"} if kind in _ROWS or kind == "npz" else set()
    )


def _relative(root, path):
    return str(path.relative_to(root))


# --------------------------------------------------------------------------- at random


def _flip(root, rng):
    path = _choose(root, rng)
    data = bytearray(path.read_bytes())
    position = int(rng.integers(len(data)))
    place = _place(path, position)
    data[position] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    return Damage(_relative(root, path), place, _allowed(path))


def _flip_head(root, rng):
    """Within the first 128 bytes, where formats have their sizes."""
    path = _choose(root, rng)
    data = bytearray(path.read_bytes())
    position = int(rng.integers(min(128, len(data))))
    place = _place(path, position)
    data[position] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    return Damage(_relative(root, path), place, _allowed(path))


def _overwrite(root, rng):
    """Sixteen bytes that the disk lost."""
    path = _choose(root, rng)
    data = bytearray(path.read_bytes())
    position = int(rng.integers(max(1, len(data) - 16)))
    place = _place(path, position)
    data[position : position + 16] = rng.bytes(len(data[position : position + 16]))
    path.write_bytes(data)
    # It may reach into the next record, of which the message then is.
    return Damage(_relative(root, path), place and f"{place}|{ENTRY}", _allowed(path))


def _cut(root, rng):
    path = _choose(root, rng)
    size = int(rng.integers(1, path.stat().st_size))
    return _cut_to(root, path, size)


def _cut_in_head(root, rng):
    path = _choose(root, rng)
    return _cut_to(root, path, int(rng.integers(1, 12)))


def _cut_to(root, path, size):
    allowed = _allowed(path) - ({"undetectable"} if form(path) == "jpeg" else set())
    place = ENTRY if form(path) in ("tfrecord", "tar", *_ROWS) else ""
    if form(path) == "tfrecord" and size in [end for _, end in record_spans(path)]:
        allowed |= {"undetectable"}
    path.write_bytes(path.read_bytes()[:size])
    return Damage(_relative(root, path), place, allowed)


def _cut_between(root, rng):
    """At a boundary of the format: between records, entries or lines; else in the middle."""
    path = _choose(root, rng)
    kind, data = form(path), path.read_bytes()
    if kind == "tfrecord":
        ends = [0] + [end for _, end in record_spans(path)][:-1]
    elif kind in _ROWS:
        ends = [match.end() for match in re.finditer(rb"\n", data)][:-1]
    elif kind == "tar":
        ends = list(range(512, len(data), 512))
    else:
        ends = []
    size = ends[rng.integers(len(ends))] if ends else len(data) // 2
    damage = _cut_to(root, path, size)
    if kind == "tfrecord":  # has no total, unless the format or a list beside it gives one
        damage = damage._replace(allowed=damage.allowed | {"undetectable"}, place="")
    return damage


def _empty(root, rng):
    path = _choose(root, rng)
    path.write_bytes(b"")
    silent = {"undetectable"} if form(path) == "tfrecord" else set()
    return Damage(_relative(root, path), "", {"named", "left out"} | silent)


def _replaced(data):
    def replace(root, rng):
        path = _choose(root, rng)
        path.write_bytes(data or rng.bytes(int(rng.integers(20, 2000))))
        return Damage(_relative(root, path), "", {"named"})

    return replace


def _longer(root, rng):
    """Bytes behind the end, as a download that was resumed badly leaves them."""
    path = _choose(root, rng)
    data = path.read_bytes()
    # Behind the end of an image or an archive nothing is read.
    bare = form(path) in ("jpeg", "png", "tar", "npy")
    path.write_bytes(data + rng.bytes(int(rng.integers(1, 600))))
    place = _place(path, len(data) - 1) and ENTRY
    allowed = _NAMED | ({"undetectable"} if bare or form(path) in _ROWS else set())
    return Damage(_relative(root, path), place, allowed)


def _swapped(root, rng):
    """A file with the bytes of another of the same form; two pictures exchanged look whole."""
    path = _choose(root, rng)
    others = [
        other
        for other in sorted(root.rglob("*"))
        if other.is_file() and other != path and form(other) != form(path)
    ]
    if not others:
        return _empty(root, rng)
    path.write_bytes(others[rng.integers(len(others))].read_bytes())
    image = {"handled"} if form(path) in ("jpeg", "png") else set()
    return Damage(_relative(root, path), "", {"named"} | image)


RANDOM = {
    "bit flip": _flip,
    "bit flip in the head": _flip_head,
    "16 bytes lost": _overwrite,
    "cut anywhere": _cut,
    "cut in the head": _cut_in_head,
    "cut at a boundary": _cut_between,
    "empty": _empty,
    "HTML instead": _replaced(HTML),
    "noise instead": _replaced(None),
    "bytes behind the end": _longer,
    "a file of another form": _swapped,
}


def particular(tree: str) -> list[str]:
    """Names of the kinds that only this tree has."""
    return list(fault_particular.KINDS.get(tree, {}))


def make(root: Path, tree: str, kind: str, seed: int) -> Damage:
    """Damages a tree; the same arguments do the same."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{tree}/{kind}".encode())])
    damage = RANDOM.get(kind) or fault_particular.KINDS[tree][kind]
    return damage(root, rng)
