"""Damage to any byte of any file of a tree, by the seed."""

import re
import struct
import zipfile
from pathlib import Path

from faults.damage import ENTRY, HANDLED, LEFT_OUT, NAMED, Damage

# What no checksum covers: damage there may leave another valid file.
_BARE = {"jpeg", "csv", "txt", "json", "xml", "npy", "tar"}
_ROWS = {"csv", "txt", "json"}
_HARMLESS = NAMED | {"harmless"}  # for files that are not read
_SILENT = frozenset({"undetectable"})
_HTML = b"<!DOCTYPE html><html><head><title>403 Forbidden</title></head><body>No.</body></html>\n"


def form(path) -> str:
    """What kind of file it is; TFRecord files have many names."""
    suffix = Path(path).suffix.lower().lstrip(".")
    if re.search(r"-of-\d{5}$", str(path)):
        return "tfrecord"
    return {"jpg": "jpeg", "tfrecords": "tfrecord"}.get(suffix, suffix)


# Words of messages about a list or a description as a whole.
_WHOLE = (
    "|lists|lacks|this list|splits|not JSON|fields|schema_version|does not exist|no image is left"
)


def _choose(root, rng):
    """A file: first its form, so that many images do not crowd out the one list."""
    forms: dict[str, list[Path]] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        forms.setdefault(form(path), []).append(path)
    paths = forms[sorted(forms)[rng.integers(len(forms))]]
    return paths[rng.integers(len(paths))]


def record_spans(path) -> list[tuple[int, int]]:
    """First byte of each record of a TFRecord file, its head included, and the one behind it."""
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
            inside = [info for info in archive.infolist() if info.header_offset <= position]
            if position >= archive.start_dir:
                return "record|member|entry|directory"
        number = re.search(r"(\d+)\.npz", inside[-1].filename)
        return rf"record {number[1]}\b|{inside[-1].filename}" if number else ""
    return ENTRY + _WHOLE if kind in _ROWS or kind == "tar" else ""


def _allowed(path):
    kind = form(path)
    silent = _SILENT if kind in _BARE else frozenset()
    # Also of images: the map that was joined to one by its content may fit no more.
    return _HARMLESS | silent | (LEFT_OUT if kind in _ROWS or kind == "jpeg" else frozenset())


def _name(root, path):
    return str(path.relative_to(root))


def _change(root, rng, path, position, new):
    """Overwrites bytes from `position` on by `new`, a function of the old ones."""
    data = bytearray(path.read_bytes())
    place = _place(path, position)
    old = bytes(data[position : position + 16])
    data[position : position + 16] = new(old)
    path.write_bytes(data)
    # An image with another name in a list moves others between splits, which names decide.
    alone = path.suffix not in (".txt", ".csv")
    return Damage(_name(root, path), place, _allowed(path), alone=alone)


def _flipped(rng):
    bit = 1 << int(rng.integers(8))
    return lambda old: bytes([old[0] ^ bit]) + old[1:]


def flip(root, rng):
    path = _choose(root, rng)
    return _change(root, rng, path, int(rng.integers(path.stat().st_size)), _flipped(rng))


def flip_in_head(root, rng):
    """Within the first 128 bytes, where formats have their sizes."""
    path = _choose(root, rng)
    position = int(rng.integers(min(128, path.stat().st_size)))
    return _change(root, rng, path, position, _flipped(rng))


def overwrite(root, rng):
    """Up to sixteen bytes become noise."""
    path = _choose(root, rng)
    position = int(rng.integers(path.stat().st_size))
    damage = _change(root, rng, path, position, lambda old: rng.bytes(len(old)))
    return damage._replace(place=damage.place and f"{damage.place}|{ENTRY}")


def cut(root, rng):
    path = _choose(root, rng)
    return _cut(root, path, int(rng.integers(1, path.stat().st_size)))


def cut_in_head(root, rng):
    return _cut(root, _choose(root, rng), int(rng.integers(1, 12)))


def cut_at_boundary(root, rng):
    """Between records, entries or lines, if the format has any; else in the middle."""
    path = _choose(root, rng)
    kind, data = form(path), path.read_bytes()
    ends = []
    if kind == "tfrecord":
        ends = [end for _, end in record_spans(path)][:-1]
    elif kind in _ROWS:
        ends = [match.end() for match in re.finditer(rb"\n", data)][:-1]
    elif kind == "tar":
        ends = list(range(512, len(data), 512))
    return _cut(root, path, ends[rng.integers(len(ends))] if ends else len(data) // 2)


def _cut(root, path, size):
    kind, allowed = form(path), _allowed(path)
    place = ENTRY + _WHOLE if kind in ("tfrecord", "tar", *_ROWS) else ""
    if kind == "tfrecord" and size in [end for _, end in record_spans(path)]:
        # Just a shorter file, unless something beside it gives a total.
        allowed, place = allowed | _SILENT, ""
    path.write_bytes(path.read_bytes()[:size])
    return Damage(_name(root, path), place, allowed)


def _becomes(data, place=""):
    def damage(root, rng):
        path = _choose(root, rng)
        path.write_bytes(rng.bytes(int(rng.integers(20, 2000))) if data is None else data)
        return Damage(_name(root, path), place, _HARMLESS)

    return damage


def longer(root, rng):
    """Bytes behind the end, as of a download that was resumed in the wrong place."""
    path = _choose(root, rng)
    data = path.read_bytes()
    place = _place(path, len(data) - 1) and ENTRY + _WHOLE
    path.write_bytes(data + rng.bytes(int(rng.integers(1, 600))))
    # The stored image file has them, too; pixels are the same.
    return Damage(_name(root, path), place, _allowed(path))


def another_form(root, rng):
    """A file with the bytes of one of another form."""
    path = _choose(root, rng)
    others = [p for p in sorted(root.rglob("*")) if p.is_file() and form(p) != form(path)]
    data = others[rng.integers(len(others))].read_bytes() if others else _HTML * 10
    path.write_bytes(data)
    taken = HANDLED if form(path) in ("jpeg", "png") else frozenset()
    return Damage(_name(root, path), "", _HARMLESS | taken)


KINDS = {
    "bit flip": flip,
    "bit flip in the head": flip_in_head,
    "16 bytes become noise": overwrite,
    "cut anywhere": cut,
    "cut in the head": cut_in_head,
    "cut at a boundary": cut_at_boundary,
    "empty": _becomes(b""),
    "HTML instead": _becomes(_HTML),
    "noise instead": _becomes(None),
    "bytes behind the end": longer,
    "a file of another form": another_form,
}
