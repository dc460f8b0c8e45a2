"""Tar files by position: where each entry lies, also in tars inside a tar, without unpacking.

The training images of ILSVRC12 come as one tar of a thousand tars. An entry is found by walking
from header to header, and read by its absolute position in the outermost file, so that many
workers share that file. Format: POSIX.1-2001 pax and GNU tar, headers of 512 bytes.

An archive is a stranger's. A name in it is a name and never a path to write or read; entries that
are no plain files (links, devices) are errors, as are names that leave the archive, and lengths
that do not fit.
"""

import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from data_prep.readers import file_names, listing
from gala_tf.data.files import file_size, is_utf8, open_binary
from gala_tf.data.images import BadImageError

BLOCK = 512
MAX_ATTRIBUTES = 2**16  # bytes of long names and pax attributes before an entry
MAX_NAME = 1024
_LONG_NAME, _PAX, _GLOBAL_PAX = b"L", b"x", b"g"
_HARMLESS_PAX = ("mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "charset")


class TarEntry(NamedTuple):
    """A plain file in a tar."""

    name: str  # as stored, checked: relative, with "/", without ".." or control characters
    offset: int  # of its data, in bytes from the start of the outermost file
    size: int  # in bytes


def entries(path: str, inside: TarEntry | None = None) -> Iterator[TarEntry]:
    """The plain files of a tar in their order; their data are not read. Folders are passed over.

    Args:
      path: local or gs://, not compressed.
      inside: an entry of it that is itself a tar; None for the file itself.

    ValueError: cut off, damaged, compressed, or with an entry that has no business there; names tar
    and entry.
    """
    tar = f"{path!r}" if inside is None else f"{path!r}, its entry {inside.name!r}"
    with open_binary(path, buffering=0) as file:
        unreadable: list[str] = []
        start = 0 if inside is None else inside.offset
        end = file_size(path) if inside is None else start + inside.size
        position, long_name = start, None
        while True:
            header = _read_at(file, position, min(BLOCK, end - position))
            if len(header) < BLOCK:
                raise ValueError(
                    f"Tar {tar}: cut off at byte {end - start}, without the empty block that ends "
                    "a tar. Copy or download it again."
                )
            if header.count(0) == BLOCK:
                listing.leave_out(file_names.NO_UTF8, unreadable)
                return
            info = _parse_header(header, tar, position - start, first=position == start)
            data, size = position + BLOCK, info.size
            if size < 0 or data + size > end:
                raise ValueError(
                    f"Tar {tar}: entry {info.name!r} claims {size} bytes from byte {data - start}, "
                    f"the tar has {end - start}. It is cut off or damaged: download it again."
                )
            position = data + -(-size // BLOCK) * BLOCK
            if info.type in (_LONG_NAME, _PAX, _GLOBAL_PAX):
                found = _attributes(file, data, info, tar)
                long_name = found if info.type != _GLOBAL_PAX and found else long_name
                continue
            name, long_name = long_name or info.name, None
            if not is_utf8(name):
                unreadable.append(f"{tar}: {file_names.shown(name)}")
                continue
            sound = False
            with listing.one_row():
                _check_entry(info, name, tar)
                sound = True
            if sound and info.type != tarfile.DIRTYPE:
                yield TarEntry(name.removeprefix("./"), data, size)


def read_entry(path: str, offset: int, size: int, name: str) -> bytes:
    """The data of one entry; `name` for the message.

    BadImageError: the file has become shorter.
    """
    with open_binary(path, buffering=0) as file:
        data = _read_at(file, offset, size)
    if len(data) < size:
        raise BadImageError(
            f"{name!r}: {path!r} ends inside it, {size - len(data)} of its {size} bytes are "
            "missing. The tar was cut off after it was listed; copy it again."
        )
    return data


def _read_at(file, position, size):
    file.seek(position)
    parts = []  # an unbuffered read may give less than is asked for
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _parse_header(header, tar, position, first):
    try:
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        if first and header[:2] == b"\x1f\x8b":
            why, remedy = "it is compressed (gzip)", "Decompress it first: its parts are jumped to."
        else:
            why, remedy = f"{error}", "It is no tar, or damaged: download it again."
        raise ValueError(f"Tar {tar}: no header at byte {position}: {why}. {remedy}") from None


def _attributes(file, data, info, tar):
    """The long name that precedes an entry; None if other attributes do."""

    def refuse(why):
        return ValueError(
            f"Tar {tar}: attributes before an entry, at byte {data}, {why}. Pack the files again "
            "with plain tar."
        )

    if info.size > MAX_ATTRIBUTES:
        raise refuse(f"take {info.size} bytes, at most {MAX_ATTRIBUTES} make sense")
    content = _read_at(file, data, info.size)
    if info.type == _LONG_NAME:
        return content.rstrip(b"\0").decode("utf-8", "surrogateescape")
    name = None
    while content.strip(b"\0"):
        length = content.partition(b" ")[0]  # of the whole line "27 path=some/name\n", in bytes
        end = int(length) if length.isdigit() and len(length) < 6 else 0
        if not len(length) + 1 < end <= len(content) or content[end - 1] != 10:
            raise refuse("are malformed")
        key, _, value = content[len(length) + 1 : end - 1].partition(b"=")
        content = content[end:]
        key = key.decode("utf-8", "replace")
        if key == "path" and info.type == _PAX:
            name = value.decode("utf-8", "surrogateescape")
        elif (key, value) == ("hdrcharset", b"BINARY"):  # names are no UTF-8
            continue
        elif key not in _HARMLESS_PAX and not key.startswith(("SCHILY.", "LIBARCHIVE.")):
            raise refuse(f"set {key!r}, which would change where or what the entry is")
    return name


def _check_entry(info, name, tar):
    kind = {
        tarfile.SYMTYPE: "a symbolic link",
        tarfile.LNKTYPE: "a hard link",
        tarfile.CHRTYPE: "a device",
        tarfile.BLKTYPE: "a device",
        tarfile.FIFOTYPE: "a pipe",
    }.get(info.type, f"of type {info.type!r}")
    plain = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
    if info.type not in plain or (info.type == tarfile.DIRTYPE and info.size):
        raise ValueError(
            f"Tar {tar}: entry {name!r} is {kind}; only plain files and folders belong into a tar "
            "of images. Use the original archive."
        )
    parts = name.split("/")
    if (
        not name
        or len(name) > MAX_NAME
        or name.startswith("/")
        or ".." in parts
        or "\\" in name
        or parts[0].endswith(":")
        or not name.isprintable()
    ):
        raise ValueError(
            f"Tar {tar}: entry {name[:MAX_NAME]!r} has a name that is absolute, leads out of the "
            "archive, or is not text. Use the original archive."
        )
