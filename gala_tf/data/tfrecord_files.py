"""TFRecord files: written whole; read by position, so that many workers share a large one.

A record is framed as: length (uint64), masked CRC-32C of the length (uint32), data, masked CRC-32C
of the data (uint32), little-endian; https://www.tensorflow.org/tutorials/load_data/tfrecord.
The reader is our own: TensorFlow's goes from front to back, and names neither record nor byte.
"""

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import google_crc32c
import tensorflow as tf

from gala_tf.data.dataset_info import Shard
from gala_tf.data.files import file_size, open_binary
from gala_tf.data.images import BadImageError

HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")
MAX_RECORD_BYTES = 2**31 - 1  # of a protocol buffer


class Span(NamedTuple):
    """Where a record's data lie in a file, in bytes."""

    offset: int
    length: int


class DamagedFileError(BadImageError):
    """A TFRecord file that is cut off or altered; the message names file, record and byte."""


def masked_crc(data: bytes) -> int:
    """The checksum as TFRecord files store it: CRC-32C, turned by 15 bits and shifted."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def write_shard(path: str, serialized: Iterable[bytes]) -> Shard:
    """Writes one local TFRecord file under a temporary name, then renames it."""
    temporary = f"{path}.{os.getpid()}.writing"  # not that of another process at the same shard
    count = 0
    # No compression: JPEG and PNG do not shrink, and reading gzip costs 3 to 6 times as much.
    with tf.io.TFRecordWriter(temporary) as writer:
        for record in serialized:
            writer.write(record)
            count += 1
    with open(temporary, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    size = os.path.getsize(temporary)
    os.replace(temporary, path)
    return Shard(os.path.basename(path), count, size, digest)


def _damaged(path, record, offset, why):
    return DamagedFileError(
        f"TFRecord file {path!r} is damaged: record {record}, at byte {offset}: {why}. Copy or "
        "download the file again, or build it again."
    )


def spans(path: str) -> Iterator[Span]:
    """Where the records of a file lie, in order; the data themselves are not read.

    DamagedFileError: the file ends inside a record, or a length fails its checksum. A file cut
    between two records is only a shorter file: compare the number of records with a known one.
    """
    size = file_size(path)
    with open_binary(path) as file:
        offset = record = 0
        while offset < size:
            file.seek(offset)
            header = file.read(HEADER.size)
            if len(header) < HEADER.size:
                why = f"the file ends after {len(header)} bytes of its head"
                raise _damaged(path, record, offset, why)
            length, crc = HEADER.unpack(header)
            if masked_crc(header[:8]) != crc or length > MAX_RECORD_BYTES:
                why = "its length fails its checksum"
                if record == 0 and header.startswith(b"\x1f\x8b"):
                    why = "the file is compressed by gzip; decompress it first (gunzip)"
                raise _damaged(path, record, offset, why)
            end = offset + HEADER.size + length + FOOTER.size
            if end > size:
                raise _damaged(
                    path, record, offset, f"it should end at byte {end}, the file ends at {size}"
                )
            yield Span(offset + HEADER.size, length)
            offset, record = end, record + 1


def read(path: str, span: Span, record: int | str = "?") -> bytes:
    """The data of one record, checked.

    `record`: its number, for the message.

    DamagedFileError: the file is shorter, or the data fail their checksum.
    """
    with open_binary(path) as file:
        return _read(file, path, span, record)


def _read(file, path, span, record):
    file.seek(span.offset)
    data = file.read(span.length)
    footer = file.read(FOOTER.size)  # on its own: cutting it off would copy the data
    if len(footer) < FOOTER.size:
        raise _damaged(path, record, span.offset, "the file ends inside it")
    if FOOTER.unpack(footer)[0] != masked_crc(data):
        raise _damaged(path, record, span.offset, "its data fail their checksum")
    return data


def records(path: str) -> Iterator[bytes]:
    """All records of a file, in order, each checked; DamagedFileError: as `spans` and `read`."""
    with open_binary(path) as file:
        for record, span in enumerate(spans(path)):
            yield _read(file, path, span, record)
