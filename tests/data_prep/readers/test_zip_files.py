"""Zip files and NPZ files: members by position, arrays without loading objects."""

import io
import zipfile

import numpy as np
import pytest

from data_prep.readers.archives import npz_files, zip_files
from gala_tf.data.images import BadImageError

CONTENTS = {"a/0.npz": b"zero" * 300, "a/1.npz": b"", "a/ä.txt": bytes(range(256)) * 9}


def write(path, method=zipfile.ZIP_DEFLATED, comment=b""):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.mkdir("a")
        for name, data in CONTENTS.items():
            archive.writestr(name, data)
        archive.comment = comment
    return str(path)


def contents(path):
    found = {member.name: member for member in zip_files.members(path)}
    assert found.pop("a/").size == 0
    return {name: zip_files.read(path, member, 10_000) for name, member in found.items()}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("comment", [b"", b"a comment PK\x05\x06"[:9]])
def test_members_are_what_was_written(tmp_path, method, comment):
    assert contents(write(tmp_path / "x.zip", method, comment)) == CONTENTS


def test_zip64_as_above_four_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)  # the writer's own threshold
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    path = write(tmp_path / "x.zip")
    assert b"PK\x06\x06" in (tmp_path / "x.zip").read_bytes()
    assert contents(path) == CONTENTS


def test_what_cannot_be_read_is_named(tmp_path):
    path = write(tmp_path / "x.zip")
    member = next(m for m in zip_files.members(path) if m.name == "a/0.npz")
    with pytest.raises(BadImageError, match=r"x.zip.*'a/0.npz' claims 1200 bytes.*at most 1000"):
        zip_files.read(path, member, 1000)
    # A bomb: it claims less than it inflates to.
    with pytest.raises(zip_files.DamagedZipError, match="a/0.npz.*its size or its checksum"):
        zip_files.read(path, member._replace(size=600), 1000)
    with pytest.raises(zip_files.DamagedZipError, match="no member 'a/0.npz' at byte 7"):
        zip_files.read(path, member._replace(offset=7), 10_000)
    with pytest.raises(zip_files.DamagedZipError, match="another name"):
        zip_files.read(path, member._replace(name="a/1.npz"), 10_000)
    lzma = write(tmp_path / "lzma.zip", zipfile.ZIP_LZMA)
    with pytest.raises(BadImageError, match="method 14"):
        contents(lzma)
    data = (tmp_path / "x.zip").read_bytes()
    for name, content, message in (
        ("cut.zip", data[:-30], "no directory"),
        ("front.zip", b"more" + data, "is not there"),
        ("empty.zip", b"", "no directory"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(zip_files.DamagedZipError, match=f"{name}.*{message}"):
            list(zip_files.members(str(tmp_path / name)))


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_arrays_as_stored():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = npz_files.read_arrays(npz(a=values, f=np.asfortranarray(values), n=np.int64(4)),
                                  {"a": 24, "f": 24, "n": 8}, "x")  # fmt: skip
    np.testing.assert_array_equal(found["a"], values)
    np.testing.assert_array_equal(found["f"], values)
    assert found["n"].shape == () and found["n"] == 4


def header(shape, data=b"", dtype="'<f4'"):
    """An NPZ file whose array `a` claims a shape."""
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    raw = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", raw)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data, message",
    [
        (npz(b=np.zeros(3)), "not 'a'"),
        (npz(a=np.array([{}], object)), "Python objects, which are never loaded"),
        (npz(a=np.zeros(10**6)), "claims 8000128 bytes, expected at most 24"),
        (header((10**12,)), "should be float32"),
        (header((-2, -3), bytes(24)), "record 7"),
        (header((2, 3), bytes(23)), "has 23 bytes"),
        (header((2, 3), bytes(24), dtype="'O'"), "Python objects"),
        (header((2, 3), bytes(24), dtype="__import__('os')"), "record 7"),
        (npz(a=np.zeros(3))[:-9], "not a zip"),
        (b"", "not a zip"),
        (b"\x80\x04\x95", "not a zip"),  # a pickle
    ],
)
def test_files_that_are_refused(data, message):
    with pytest.raises(BadImageError, match=f"record 7: not the NPZ.*{message}|{message}.*NPZ"):
        npz_files.read_arrays(data, {"a": 24}, "'x.zip', record 7")
