"""Tars by position: the same entries as tarfile finds, and nothing hostile passes."""

import gzip
import io
import tarfile

import numpy as np
import pytest
from faults.formats import imagenet as fake

from data_prep.readers import listing
from data_prep.readers.archives import tar_index
from gala_tf.data.images import BadImageError

FILES = {"a.JPEG": b"a" * 700, "b.JPEG": b"", "c.JPEG": b"c" * 512}


def save(path, data):
    path.write_bytes(data)
    return str(path)


def read_all(path, inside=None):
    return {
        entry.name: tar_index.read_entry(path, entry.offset, entry.size, entry.name)
        for entry in tar_index.entries(path, inside)
    }


def test_entries_and_their_data(tmp_path):
    path = save(tmp_path / "a.tar", fake.tar_bytes(FILES))
    assert read_all(path) == FILES
    with tarfile.open(path) as tar:
        offsets = [(member.name, member.offset_data, member.size) for member in tar]
    assert [tuple(entry) for entry in tar_index.entries(path)] == offsets


def test_tars_in_a_tar(tmp_path):
    inner = {
        f"n{i}.tar": fake.tar_bytes({f"{i}_{k}.JPEG": bytes([i]) * 600 * k for k in range(3)})
        for i in range(3)
    }
    path = save(tmp_path / "a.tar", fake.tar_bytes(inner))
    for i, entry in enumerate(tar_index.entries(path)):
        assert entry.name == f"n{i}.tar"
        assert read_all(path, entry) == {f"{i}_{k}.JPEG": bytes([i]) * 600 * k for k in range(3)}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_repacked_tars(tmp_path, form):
    """Folders, long names, fractional times: what Python's and GNU's tar add."""
    long_name = "folder" * 12 + "/" + "x" * 90 + ".JPEG"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        folder = tarfile.TarInfo("./folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name in ("./a.JPEG", long_name):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 5, 1.5
            tar.addfile(info, io.BytesIO(b"12345"))
    path = save(tmp_path / "a.tar", buffer.getvalue())
    assert read_all(path) == {"a.JPEG": b"12345", long_name: b"12345"}


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a.JPEG", "x/../../a.JPEG", "C:/a.JPEG", "a\\b.JPEG", "a\nb.JPEG"]
)
def test_names_that_lead_out(tmp_path, name):
    path = save(tmp_path / "evil.tar", fake.tar_bytes({name: b"x"}))
    with pytest.raises(ValueError, match=r"evil.tar'.*has a name that is absolute"):
        list(tar_index.entries(path))


@pytest.mark.parametrize(
    "kind, words",
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.GNUTYPE_SPARSE, "of type b'S'"),
        (b"K", "of type b'K'"),
    ],
)
def test_entries_that_are_no_files(tmp_path, kind, words):
    tar = fake.tar_bytes({"a.JPEG": b""}, type=kind, linkname="b")
    with pytest.raises(ValueError, match=rf"evil.tar'.*'a.JPEG' is {words}"):
        list(tar_index.entries(save(tmp_path / "evil.tar", tar)))


def with_size(data, size):
    """The first header with another size, its checksum made good."""
    header = tarfile.TarInfo.frombuf(data[:512], "utf-8", "strict")
    header.size = size
    return header.tobuf(tarfile.GNU_FORMAT) + data[512:]


@pytest.mark.parametrize("size", [2**20, 2**40, 2**62, -1, -(2**40)])
def test_sizes_that_do_not_fit(tmp_path, size):
    path = save(tmp_path / "evil.tar", with_size(fake.tar_bytes(FILES), size))
    with pytest.raises(ValueError, match=rf"evil.tar'.*entry 'a.JPEG' claims {size} bytes"):
        list(tar_index.entries(path))


def test_an_inner_entry_stays_in_its_tar(tmp_path):
    """A size that fits into the outer file, but not into the inner tar."""
    evil = with_size(fake.tar_bytes({"a.JPEG": b"x"}), 20_000)
    path = save(tmp_path / "a.tar", fake.tar_bytes({"n.tar": evil, "other": b"secret" * 9000}))
    (inner, _) = tar_index.entries(path)
    with pytest.raises(ValueError, match=r"a.tar', its entry 'n.tar': entry 'a.JPEG' claims 20000"):
        list(tar_index.entries(path, inner))


def test_attributes_that_deceive(tmp_path):
    for headers, message in (
        ({"size": "99999"}, "set 'size'"),
        ({"GNU.sparse.realsize": "9"}, "set 'GNU.sparse.realsize'"),
        ({"linkpath": "/etc"}, "set 'linkpath'"),
        ({"path": "../../x.JPEG"}, "leads out of the archive"),
        ({"comment": "x" * 70_000}, "at most 65536 make sense"),
    ):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            info = tarfile.TarInfo("a.JPEG")
            info.pax_headers = headers
            tar.addfile(info)
        with pytest.raises(ValueError, match=f"evil.tar'.*{message}"):
            list(tar_index.entries(save(tmp_path / "evil.tar", buffer.getvalue())))
    malformed = fake.tar_bytes({"x": b"999 path=a\n"}, type=b"x")
    with pytest.raises(ValueError, match="are malformed"):
        list(tar_index.entries(save(tmp_path / "evil.tar", malformed)))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_are_no_utf8_are_left_out_and_named(tmp_path, form):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name in ("a.JPEG", "caf\udce9.JPEG", "caf\udce9" * 40, "b.JPEG"):
            tar.addfile(tarfile.TarInfo(name))
    with listing.recorded() as record:
        path = save(tmp_path / "a.tar", buffer.getvalue())
        assert [entry.name for entry in tar_index.entries(path)] == ["a.JPEG", "b.JPEG"]
    ((why, names),) = record.left_out.items()
    assert "no UTF-8" in why and len(names) == 2 and names[0] == f"'{path}': caf\\xe9.JPEG"


def test_every_truncation_is_noticed(tmp_path):
    whole = fake.tar_bytes(FILES)
    useful = 512 * 3 + 1024 + 512  # three headers, data; then empty blocks
    for length in (0, 1, 511, 512, 700, 1536, 2048, 2560, useful - 1, useful, useful + 511):
        path = save(tmp_path / "cut.tar", whole[:length])
        with pytest.raises(ValueError, match=r"cut.tar'.*(cut off|claims)"):
            list(tar_index.entries(path))
    assert read_all(save(tmp_path / "cut.tar", whole[: useful + 512])) == FILES


def test_flipped_headers_and_other_files(tmp_path):
    data = bytearray(fake.tar_bytes(FILES))
    data[3] ^= 1
    with pytest.raises(ValueError, match="no header at byte 0: bad checksum. It is no tar"):
        list(tar_index.entries(save(tmp_path / "a.tar", data)))
    packed = gzip.compress(fake.tar_bytes({"a": bytes(range(256)) * 50}), 0)
    with pytest.raises(ValueError, match=r"compressed \(gzip\). Decompress it first"):
        list(tar_index.entries(save(tmp_path / "a.tar", packed)))


def test_a_tar_that_shrinks_after_it_was_listed(tmp_path):
    path = save(tmp_path / "a.tar", fake.tar_bytes(FILES))
    first = next(tar_index.entries(path))
    save(tmp_path / "a.tar", fake.tar_bytes(FILES)[:700])
    with pytest.raises(BadImageError, match="'the image'.*ends inside it, 512 of its 700 bytes"):
        tar_index.read_entry(path, first.offset, first.size, "the image")


def test_no_flipped_bit_of_a_header_changes_an_entry(tmp_path):
    """Headers have a checksum; what lies outside it must not matter."""
    whole = fake.tar_bytes({"n1.tar": fake.tar_bytes(FILES)})
    path = save(tmp_path / "a.tar", whole)
    (outer,) = tar_index.entries(path)
    inner = list(tar_index.entries(path, outer))
    rng = np.random.default_rng(0)
    headers = (0, 512, 2048, 2560, 3584)  # of the inner tar, its entries, and the empty block
    caught = 0
    for _ in range(200):
        position = int(rng.choice(headers)) + int(rng.integers(512))
        data = bytearray(whole)
        data[position] ^= 1 << int(rng.integers(8))
        path = save(tmp_path / "a.tar", data)
        try:
            assert list(tar_index.entries(path)) == [outer]
            assert list(tar_index.entries(path, outer)) == inner
        except ValueError as error:
            assert "a.tar" in str(error)
            caught += 1
    assert caught > 190  # the rest: bytes of the checksum's own field that say nothing
