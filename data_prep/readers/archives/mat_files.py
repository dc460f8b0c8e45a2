"""SALICON's MAT files: the points of each observer."""

import io
import struct
import zlib

import numpy as np
import tensorflow as tf
from scipy.io import loadmat

from gala_tf.data.images import BadImageError

MAX_BYTES = 1 << 26  # of a file, and of what any of its variables unpacks to
_COMPRESSED = 15  # miCOMPRESSED, in MathWorks' "MAT-File Format"


def read_gaze(path: str, field: str) -> list[np.ndarray]:
    """The points of each observer in a file of SALICON's LSUN edition; local or gs://.

    `field`: "fixations", or "location" of the mouse.

    Returns a float64 [N, 2] an observer, (x, y) counted from 1; N may be 0. BadImageError: missing,
    no MAT file of version 5, too large, without gaze.<field>, or points that are not finite numbers
    [N, 2].
    """
    gaze = _load(path)
    if gaze.dtype.names is None or field not in gaze.dtype.names:
        raise BadImageError(
            f"{path!r}: gaze must be a struct with {field!r}, got fields {gaze.dtype.names}. Is "
            "this a file of SALICON's fixations/?"
        )
    observers = []
    for number, points in enumerate(gaze[field].ravel(), 1):
        points = np.asarray(points)
        if points.size == 0:
            points = np.zeros((0, 2))
        if points.dtype.kind not in "iuf" or points.ndim != 2 or points.shape[1] != 2:
            raise BadImageError(
                f"{path!r}: gaze({number}).{field} must be numbers [N, 2], got {points.dtype} "
                f"{list(points.shape)}. Download the file again."
            )
        if not np.isfinite(points).all():
            raise BadImageError(f"{path!r}: gaze({number}).{field} has points that are not finite.")
        observers.append(points.astype(np.float64))
    return observers


def _load(path):
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except tf.errors.NotFoundError as error:
        raise BadImageError(f"{path!r} does not exist any more.") from error
    try:
        _check_size(data)
        variables = loadmat(io.BytesIO(data), variable_names=["gaze"])
        return np.asarray(variables["gaze"])
    except KeyError as error:
        raise BadImageError(f"{path!r} holds no variable gaze: no file of SALICON's.") from error
    # scipy raises nearly anything for files that are damaged.
    except Exception as error:
        raise BadImageError(
            f"{path!r} cannot be read as a MAT file of version 5: {error}. Download it again."
        ) from error


def _check_size(data):
    """ValueError for a variable that is cut off, damaged, or unpacks to more than MAX_BYTES.

    scipy does not look at the checksum of what it unpacks, nor take a file that ends early ill.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise ValueError("its header is not that of version 5")
    offset = 128
    while offset < len(data):
        kind, length = struct.unpack_from(order + "II", data, offset)
        offset += 8
        if offset + length > len(data):
            raise ValueError("it ends inside a variable")
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            if len(unpacker.decompress(data[offset : offset + length], MAX_BYTES)) == MAX_BYTES:
                raise ValueError(f"a variable unpacks to more than {MAX_BYTES} bytes")
            if not unpacker.eof:
                raise ValueError("it ends inside a compressed variable")
        offset += length
