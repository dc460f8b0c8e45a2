"""Arrays of an NPZ file: sizes are checked before anything is inflated, and no object is loaded."""

import io
import math
import tokenize
import zipfile
import zlib
from typing import BinaryIO

import numpy as np

from gala_tf.data.images import BadImageError

MAX_HEADER_BYTES = 10_000  # of an NPY file: what NumPy itself takes to be safe

# What NumPy raises for the head of a damaged NPY file, which it reads as a Python expression.
HEADER_ERRORS = (
    ValueError,
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    OverflowError,
    RecursionError,
    MemoryError,  # too many brackets
)


def read_arrays(data: bytes, limits: dict[str, int], name: str) -> dict[str, np.ndarray]:
    """Some arrays of an NPZ file.

    `limits`: array -> the most bytes of values it may have.

    Returns array -> its values, read-only, dtype and shape as stored. BadImageError: no NPZ file,
    an array missing, too large, cut off, or of Python objects.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {key: _array(archive, key, limit) for key, limit in limits.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, *HEADER_ERRORS) as error:
        raise BadImageError(
            f"{name}: not the NPZ file expected, with arrays {', '.join(limits)}: {error}. Fetch "
            "it again, or leave it out."
        ) from error


def read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran's order, and dtype of an NPY file; one of HEADER_ERRORS."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"it is of NPY version {version}, expected 1.0 or 2.0")
    return readers[version](file, max_header_size=MAX_HEADER_BYTES)


def _array(archive, key, limit):
    try:
        info = archive.getinfo(f"{key}.npy")
    except KeyError:
        raise ValueError(f"it has {archive.namelist()[:10]}, not {key!r}") from None
    if info.file_size > limit + MAX_HEADER_BYTES:
        raise ValueError(f"{key!r} claims {info.file_size} bytes, expected at most {limit}")
    if info.flag_bits & 1:
        raise ValueError(f"{key!r} is encrypted")
    raw = archive.read(info)  # no more than file_size, and its checksum is checked
    file = io.BytesIO(raw)
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError(f"{key!r} holds Python objects, which are never loaded")
    count = math.prod(shape)  # of Python's integers: a shape may be made to overflow NumPy's
    if count * dtype.itemsize != len(raw) - file.tell():
        raise ValueError(
            f"{key!r} should be {dtype} {list(shape)}, but has {len(raw) - file.tell()} bytes"
        )
    values = np.frombuffer(raw, dtype, count, file.tell())
    return values.reshape(shape, order="F" if fortran else "C")
