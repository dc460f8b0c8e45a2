"""Damage to NPZ files and the zips that hold them: ClickMe's releases, and raw clicks."""

import io
import struct
import zipfile
import zlib

import numpy as np
from clickme_trees import click_arrays, heatmap, pixels
from faults.damage import LEFT_OUT, NAMED, Damage, file, gone, told_as
from faults.damage.in_folders import HEADS, OBJECTS, headed, npy

_ZIP, _FOLDER = "clickme_train.zip", "clickme_train"


def _arrays():
    return {
        "image": pixels(1).astype(np.float32),
        "heatmap": heatmap(),
        "clicks": np.int64(5),
        "label": np.int64(1),
    }


def _npz(entries):
    """An NPZ file of arrays, or of the bytes of NPY files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in entries.items():
            archive.writestr(f"{name}.npy", value if isinstance(value, bytes) else npy(value))
    return buffer.getvalue()


def _with(key, value):
    values = _arrays()
    values[key] = values[key].copy()
    values[key][9, 9] = value
    return values


def _put(**changes):
    return {k: v for k, v in (_arrays() | changes).items() if v is not None}


def deflated_zeros(megabytes: int) -> bytes:
    """A deflate stream that unpacks to so many MB of zeros; a block repeated, so made at once."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * megabytes + packer.flush()


def _bomb(name, claimed, megabytes=2048):
    """A zip with one member that unpacks to `megabytes`, and claims `claimed` bytes."""
    packed, stem = deflated_zeros(megabytes), name.encode()
    sizes = struct.pack("<3L", 0, len(packed), claimed)
    local = b"PK\x03\x04" + struct.pack("<5H", 20, 0, 8, 0, 33) + sizes
    local += struct.pack("<2H", len(stem), 0) + stem
    entry = b"PK\x01\x02" + struct.pack("<6H", 20, 20, 0, 8, 0, 33) + sizes
    entry += struct.pack("<5H2L", len(stem), 0, 0, 0, 0, 0, 0) + stem
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(local + packed), 0)
    return local + packed + entry + end


# What is wrong with one NPZ file of a release: its bytes.
_RELEASED = {
    "image with NaN": _npz(_with("image", np.nan)),
    "image with -1": _npz(_with("image", -1)),
    "image with 300": _npz(_with("image", 300)),
    "image of bytes": _npz(_put(image=pixels(1))),
    "image of doubles": _npz(_put(image=pixels(1).astype(np.float64))),
    "image big-endian": _npz(_put(image=pixels(1).astype(">f4"))),
    "image of another side": _npz(_put(image=pixels(1)[:224, :224].astype(np.float32))),
    "image of two axes": _npz(_put(image=pixels(1)[..., 0].astype(np.float32))),
    "image gone": _npz(_put(image=None)),
    "image of Python objects": _npz(_put(image=npy(OBJECTS))),
    "image that claims a huge shape": _npz(
        _put(image=npy(pixels(1).astype(np.float32), shape=(2**40, 256, 3)))
    ),
    "image whose shape overflows": _npz(
        _put(image=npy(pixels(1).astype(np.float32), shape=(2**62, 4, 4)))
    ),
    **{f"image whose head is {w}": _npz(_put(image=headed(text))) for w, text in HEADS.items()},
    "image of a structured type": _npz(_put(image=np.zeros((2, 2), [("a", "f4"), ("b", "i4")]))),
    "map with NaN": _npz(_with("heatmap", np.nan)),
    "map with inf": _npz(_with("heatmap", np.inf)),
    "map with -1": _npz(_with("heatmap", -1)),
    "map of 224": _npz(_put(heatmap=heatmap()[:224, :224])),
    "map gone": _npz(_put(heatmap=None)),
    "clicks negative": _npz(_put(clicks=np.int64(-2))),
    "clicks of floats": _npz(_put(clicks=np.float64(2))),
    "clicks of two": _npz(_put(clicks=np.array([2, 3]))),
    "label 1000": _npz(_put(label=np.int64(1000))),
    "label negative": _npz(_put(label=np.int64(-1))),
    "label of text": _npz(_put(label=np.str_("n01440764"))),
    "label gone": _npz(_put(label=None)),
    "an NPY file": npy(heatmap()),
    "a bomb that says so": _bomb("image.npy", 2048 * 2**20),
    "a bomb that does not say so": _bomb("image.npy", 786_560),
}


def _repack(edit, place=r"record 1\b|1\.npz", name=_ZIP):
    """The zip with its members changed: `edit` takes and gives a list of (ZipInfo, bytes)."""

    def damage(root, rng):
        with zipfile.ZipFile(root / name) as archive:
            members = [(info, archive.read(info)) for info in archive.infolist()]
        with zipfile.ZipFile(root / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for info, data in edit(members):
                archive.writestr(info, data)
        return Damage(name, place)

    return damage


def _member(data):
    """The member 1.npz with other bytes."""
    return _repack(lambda members: [(i, data if "/1." in i.filename else d) for i, d in members])


def _added(name, data=b"x"):
    return _repack(lambda members: [*members, (zipfile.ZipInfo(name), data)], place=name[-6:])


def _link(members):
    info = zipfile.ZipInfo("clickme_train/link")
    info.external_attr = 0o120777 << 16
    return [*members, (info, b"/etc/passwd")]


def _method(root, rng):
    """Says a method that does not exist."""
    data = bytearray((root / _ZIP).read_bytes())
    place = data.rindex(b"PK\x01\x02")
    data[place + 10] = 99
    (root / _ZIP).write_bytes(data)
    return Damage(_ZIP, "record 2|2.npz")


def _encrypted(root, rng):
    data = bytearray((root / _ZIP).read_bytes())
    place = data.rindex(b"PK\x01\x02")
    data[place + 8] |= 1
    (root / _ZIP).write_bytes(data)
    return Damage(_ZIP, "2.npz")


ZIPS = {
    **{kind: _member(data) for kind, data in _RELEASED.items()},
    "member absolute": _added("/etc/passwd"),
    "member leads out": _added("../../x.txt"),
    "member absolute, of a number": _added("/3/etc/x.npz"),
    "member leads out, of a double number": _repack(
        lambda m: [*m, (zipfile.ZipInfo("../../1.npz"), m[-1][1])], place="2.npz"
    ),
    "member twice": _repack(lambda m: [*m, m[-1]], place="2.npz"),
    "member gone": _repack(lambda m: [x for x in m if "/1." not in x[0].filename], place="2.npz"),
    "member that is a link": _repack(_link, place="link"),
    "member of an unknown method": _method,
    "member encrypted": _encrypted,
    "a bomb that says so, as a member": file(
        _ZIP, _bomb("clickme_train/0.npz", 2048 * 2**20), "record 0|0.npz"
    ),
    "a bomb that does not, as a member": file(
        _ZIP, _bomb("clickme_train/0.npz", 1_000_000), "record 0|0.npz"
    ),
    "no members": file(_ZIP, b"PK\x05\x06" + bytes(18)),
}
NPZ = {
    **{kind: file(f"{_FOLDER}/1.npz", data) for kind, data in _RELEASED.items()},
    "file larger than any": file(f"{_FOLDER}/1.npz", bytes(2**22)),
    "file gone": told_as(gone(f"{_FOLDER}/1.npz"), file=_FOLDER, place="2.npz"),
}

_CLICKS = "clicks.npz"


def _clicks(place="", allowed=NAMED, said="", **changes):
    arrays = {k: v for k, v in (click_arrays() | changes).items() if v is not None}
    return file(_CLICKS, _npz(arrays), place, allowed, said)


def _changed(name, index, value):
    values = click_arrays()[name].astype(np.float64)
    values[index] = value
    return values


def _offsets(index, value):
    values = click_arrays()["clickmap_offsets"].copy()
    values[index] = value
    return values


_ROWS = click_arrays()
_LEFT = {"allowed": LEFT_OUT}
_POINTS = len(_ROWS["clickmap_x"])

CLICKS = {
    "clicks of Python objects": _clicks("'clickmap_x'", clickmap_x=npy(OBJECTS)),
    "paths of Python objects": _clicks("'file_pointer'", file_pointer=npy(OBJECTS)),
    "clicks of text": _clicks("'clickmap_x'", clickmap_x=np.array(["1"] * _POINTS)),
    "clicks of complex numbers": _clicks("'clickmap_x'", clickmap_x=np.ones(_POINTS, complex)),
    "one click short": _clicks("'clickmap_x'|'clickmap_y'", clickmap_x=_ROWS["clickmap_x"][:-1]),
    "clicks of three axes": _clicks("'clickmap_x'", clickmap_x=np.ones((2, 2, 2))),
    "clicks that claim a huge shape": _clicks(
        "'clickmap_x'", clickmap_x=npy(_ROWS["clickmap_x"], shape=(2**50,))
    ),
    "clicks whose shape overflows": _clicks(
        "'clickmap_x'", clickmap_x=npy(_ROWS["clickmap_x"], shape=(2**62, 4))
    ),
    "clicks gone": _clicks("clickmap_x", clickmap_x=None),
    "paths gone": _clicks("file_pointer", file_pointer=None),
    "paths of 1 MB each": _clicks("'file_pointer'", file_pointer=np.array(["a" * 2**18] * 12)),
    "offsets that fall": _clicks("row 2", clickmap_offsets=_offsets(3, 2)),
    "offsets too large": _clicks("row 2", clickmap_offsets=_offsets(3, 10**9)),
    "offsets negative": _clicks("clickmap_offsets", clickmap_offsets=_offsets(0, -4)),
    "offsets one short": _clicks("offsets", clickmap_offsets=_ROWS["clickmap_offsets"][:-1]),
    "offsets that end early": _clicks("offsets", clickmap_offsets=_offsets(-1, _POINTS - 1)),
    "offsets of floats": _clicks("offsets", clickmap_offsets=_offsets(3, 2) / 2),
    "users one short": _clicks("'user_id'", user_id=_ROWS["user_id"][:-1]),
    "scores of text": _clicks("'user_catch_trial'", user_catch_trial=np.array(["1"] * 12)),
    "score of NaN": _clicks(
        user_catch_trial=_changed("user_catch_trial", 0, np.nan), said="catch score", **_LEFT
    ),
    "click of NaN": _clicks(
        clickmap_x=_changed("clickmap_x", 1, np.nan), said="not finite", **_LEFT
    ),
    "click of inf": _clicks(
        clickmap_y=_changed("clickmap_y", 1, -np.inf), said="not finite", **_LEFT
    ),
    "click negative": _clicks(
        clickmap_x=_changed("clickmap_x", 1, -90), said="lie outside", **_LEFT
    ),
    "click outside": _clicks(
        clickmap_x=_changed("clickmap_x", 1, 1e300), said="lie outside", **_LEFT
    ),
    "all clicks outside": told_as(
        _clicks(clickmap_x=_ROWS["clickmap_x"] + 1000), file="", place="of 40 clicks lie outside"
    ),
    "path that leads out": _clicks(
        file_pointer=np.array(["../../../etc/passwd", *_ROWS["file_pointer"][1:]]),
        said="1 submissions on images that are not there.*passwd",
        **_LEFT,
    ),
    "path empty": _clicks("row 3", file_pointer=np.array([*_ROWS["file_pointer"][:3], ""] * 3)),
    "path not UTF-8": _clicks("row 0", file_pointer=np.array([b"\xff\xfe.jpg"] * 12)),
    "a bomb that says so": file(_CLICKS, _bomb("clickmap_x.npy", 2048 * 2**20)),
    "a bomb that does not say so": file(_CLICKS, _bomb("clickmap_x.npy", 1000)),
    **{
        f"clicks whose head is {what}": _clicks("'clickmap_x'", clickmap_x=headed(text))
        for what, text in HEADS.items()
    },
}
