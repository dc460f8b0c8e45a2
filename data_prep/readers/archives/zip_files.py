"""Zip files by position: where each member lies, and one member read from the middle.

As `tfrecord_files` for TFRecords: the directory at the end is read as a stream, so memory does not
grow with the number of members, and a worker reads one without the directory. Nothing is unpacked
to disk, so names of members are only names. Stored and deflated members, and files above 4 GiB
(zip64). Format: PKWARE, APPNOTE.TXT 6.3, sections 4.3 to 4.5.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf

from gala_tf.data.images import BadImageError

_END = struct.Struct("<4s4H2LH")  # end of central directory
_LOCATOR64 = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")  # in the central directory
_LOCAL = struct.Struct("<4s5H3L2H")  # before a member's data
_USUAL_EXTRA = 100  # bytes of a local header's extra field: times, owner, zip64
_MAX_COMMENT = 65_535
_STORED, _DEFLATED = 0, 8


class Member(NamedTuple):
    """A file in a zip; positions and sizes in bytes."""

    name: str
    offset: int  # of its local header
    packed: int
    size: int  # unpacked, as the directory claims
    method: int
    crc: int


class DamagedZipError(BadImageError):
    """A zip file that is cut off or altered; the message names file and place."""


def _damaged(path, why):
    return DamagedZipError(f"Zip file {path!r} is damaged: {why}. Copy or download it again.")


def members(path: str) -> Iterator[Member]:
    """The members of a zip file in the order of its directory; their data are not read.

    DamagedZipError: no directory, or not the number of entries it should have.
    """
    file_size = tf.io.gfile.stat(path).length
    with tf.io.gfile.GFile(path, "rb") as file:
        count, offset, end = _directory(file, path, file_size)
        file.seek(offset)
        for number in range(count):
            head = file.read(_ENTRY.size)
            if len(head) < _ENTRY.size or head[:4] != b"PK\x01\x02":
                raise _damaged(path, f"entry {number} of {count} of its directory is not there")
            entry = _ENTRY.unpack(head)
            name_length, extra_length, comment_length = entry[10:13]
            rest = file.read(name_length + extra_length + comment_length)
            offset += _ENTRY.size + len(rest)
            if offset > end:
                raise _damaged(path, f"entry {number} reaches beyond its directory")
            name = _text(rest[:name_length], entry[3])
            if entry[3] & 1:
                raise ValueError(f"{path!r}: member {name!r} is encrypted. Unpack the zip first.")
            extra = rest[name_length : name_length + extra_length]
            yield _member(path, name, entry, extra)


def _text(name, flags):
    return name.decode("utf-8" if flags & 0x800 else "cp437", "replace")


def _packed(file, path, member):
    # Header and data in one read: GFile fills half a megabyte for the smallest.
    spare = _LOCAL.size + 4 * len(member.name) + _USUAL_EXTRA
    file.seek(member.offset)
    data = file.read(spare + member.packed)
    if len(data) < _LOCAL.size or data[:4] != b"PK\x03\x04":
        raise _damaged(path, f"no member {member.name!r} at byte {member.offset}")
    local = _LOCAL.unpack_from(data)
    name_end = _LOCAL.size + local[9]
    if _text(data[_LOCAL.size : name_end], local[2]) != member.name:
        raise _damaged(path, f"member {member.name!r} has another name at byte {member.offset}")
    start = name_end + local[10]
    if start > spare:
        file.seek(member.offset + start)
        return file.read(member.packed)
    return data[start : start + member.packed]


def _directory(file, path, file_size):
    """Number of entries, first byte, and end of the central directory."""
    start = max(0, file_size - _END.size - _MAX_COMMENT)
    file.seek(start)
    tail = file.read(file_size - start)
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise _damaged(path, f"no directory at the end of its {file_size} bytes")
    _, _, _, _, count, size, offset, _ = _END.unpack_from(tail, place)
    limit = start + place
    if count == 0xFFFF or size == 0xFFFFFFFF or offset == 0xFFFFFFFF:
        locator = place - _LOCATOR64.size
        if locator < 0 or tail[locator : locator + 4] != b"PK\x06\x07":
            raise _damaged(path, "it is larger than 4 GiB, but has no zip64 directory")
        limit = _LOCATOR64.unpack_from(tail, locator)[2]
        file.seek(min(limit, file_size))
        head = file.read(_END64.size)
        if len(head) < _END64.size or head[:4] != b"PK\x06\x06":
            raise _damaged(path, f"no zip64 directory at byte {limit}")
        *_, count, size, offset = _END64.unpack(head)
    if offset + size > limit or count * _ENTRY.size > size:
        raise _damaged(path, f"its directory, {count} entries at byte {offset}, does not fit")
    return count, offset, offset + size


def _member(path, name, entry, extra):
    wide = {"size": entry[9], "packed": entry[8], "offset": entry[16]}
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:  # zip64: the values that 32 bits do not hold, in this order
            field = extra[4 : 4 + length]
            for key in [key for key, value in wide.items() if value == 0xFFFFFFFF]:
                if len(field) < 8:
                    raise _damaged(path, f"the entry of member {name!r} is cut off")
                wide[key], field = struct.unpack_from("<Q", field)[0], field[8:]
        extra = extra[4 + length :]
    return Member(name=name, method=entry[4], crc=entry[7], **wide)


def read(path: str, member: Member, limit: int) -> bytes:
    """The data of a member, checked.

    `limit`: the most bytes it may have, unpacked: beyond it is refused, not inflated.

    DamagedZipError: cut off, altered, or not of the size the directory claims. BadImageError:
    larger than `limit`, or compressed in another way.
    """
    if member.size > limit or member.packed > 2 * limit:
        raise BadImageError(
            f"{path!r}: member {member.name!r} claims {member.size} bytes, of {member.packed} "
            f"packed; expected at most {limit}. It does not belong there."
        )
    with tf.io.gfile.GFile(path, "rb") as file:
        try:
            data = _packed(file, path, member)
        except tf.errors.OutOfRangeError as error:  # from seek, if that is beyond the end
            raise _damaged(path, f"it ends before member {member.name!r}") from error
    if member.method == _DEFLATED:
        try:
            data = zlib.decompressobj(-15).decompress(data, member.size + 1)
        except zlib.error as error:
            raise _damaged(path, f"member {member.name!r}: {error}") from error
    elif member.method != _STORED:
        raise BadImageError(
            f"{path!r}: member {member.name!r} is compressed by method {member.method}; only "
            "stored and deflated members can be read. Pack it again with a common zip."
        )
    if len(data) != member.size or zlib.crc32(data) != member.crc:
        raise _damaged(path, f"member {member.name!r} fails its size or its checksum")
    return data
