"""NPZ files of raw clicks, read in pieces: memory does not grow with the file.

Arrays, one row a submission, as src/utils.py of serre-lab/human_clickme_data_processing reads them:

    file_pointer      text [N]: "imagenet/val/n01751748/ILSVRC2012_val_00000001.JPEG"
    clickmap_x        [N] lists of numbers, in the order of clicking
    clickmap_y        [N]
    user_id           [N]
    user_catch_trial  [N], 0...1: share of the catch trials the participant passed
    is_mobile         [N] lists of one truth value, or of none

Lists of unequal length make an array of Python objects, which NumPy stores as a pickle; and a
pickle can run code when it is read. Such files are refused. CONVERSION turns one that you trust
into the layout read here, with the same names and plain numbers in place of lists:

    clickmap_x, clickmap_y  numbers [sum of all clicks], one submission after another
    clickmap_offsets        integers [N + 1]: submission n has clicks offsets[n] to below
                            offsets[n + 1]
    is_mobile               truth values [N]

Without clickmap_offsets, clickmap_x and clickmap_y may be numbers [N, M]: M clicks each. The last
two columns may be missing, and a numeric `timestamp` [N] may be there.
"""

import contextlib
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from data_prep.readers.archives.npz_files import HEADER_ERRORS, read_header
from data_prep.readers.clicks.click_files import (
    BadRowError,
    Submission,
    check_number_of_clicks,
    check_score,
)

COLUMNS = ("file_pointer", "clickmap_x", "clickmap_y", "user_id")
CHUNK = 4096  # submissions read at a time
MAX_ITEM_BYTES = 1 << 14  # of one name: 4096 characters
_KINDS = {  # dtype kinds a column may have
    "file_pointer": "US",
    "clickmap_x": "iuf",
    "clickmap_y": "iuf",
    "clickmap_offsets": "iu",
    "user_id": "USiu",
    "user_catch_trial": "iuf",
    "is_mobile": "biuf",
    "timestamp": "iuf",
}

# What zipfile and NumPy raise for altered files. RuntimeError: encrypted, or packed in a way that
# Python lacks; ValueError: among others, names that are not text.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    KeyError,
    OverflowError,
)

CONVERSION = """\
import numpy as np
data = np.load("clicks.npz", allow_pickle=True)  # may run code: only for a file you trust
xs, ys = data["clickmap_x"], data["clickmap_y"]
assert [len(x) for x in xs] == [len(y) for y in ys]
columns = {
    "file_pointer": np.asarray(data["file_pointer"].tolist(), str),
    "user_id": np.asarray([str(user) for user in data["user_id"].tolist()]),
    "clickmap_x": np.asarray([value for x in xs for value in x]),
    "clickmap_y": np.asarray([value for y in ys for value in y]),
    "clickmap_offsets": np.cumsum([0] + [len(x) for x in xs]),
}
if "user_catch_trial" in data:
    columns["user_catch_trial"] = np.asarray(data["user_catch_trial"].tolist(), float)
if "is_mobile" in data:
    first = [np.ravel(value) for value in data["is_mobile"]]
    columns["is_mobile"] = np.asarray([bool(len(value) and value[0]) for value in first])
np.savez_compressed("clicks_plain.npz", **columns)
"""


class ClicksFileError(ValueError):
    """A file of clicks that cannot be read on; the message names it."""


def read_npz(path: str) -> Iterator[Submission | BadRowError]:
    """The submissions of an NPZ file, local or gs://, in its order.

    A row that cannot be understood comes as an error, not raised, so that the caller can count it.
    ClicksFileError: not an NPZ file, damaged, a column missing, of the wrong type or length, or of
    Python objects.
    """
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(tf.io.gfile.GFile(path, "rb"))
            archive = stack.enter_context(zipfile.ZipFile(file))
            for name in archive.namelist():
                # Names are stored twice; damage to one would hide a column that may be missing.
                archive.open(name).close()
            members = {name.removesuffix(".npy") for name in archive.namelist()}
            missing = [name for name in COLUMNS if name not in members]
            if missing:
                raise ClicksFileError(
                    f"Clicks {path!r}: arrays {', '.join(missing)} are missing; it holds "
                    f"{sorted(members)!r:.300}. Expected at least {', '.join(COLUMNS)}."
                )
            columns = {
                name: _Column(stack, archive, name, path) for name in _KINDS if name in members
            }
            yield from _submissions(path, columns)
    except ClicksFileError:
        raise
    except (*_DAMAGE, tf.errors.OpError) as error:
        raise ClicksFileError(
            f"Clicks {path!r} cannot be read as NPZ: {error}. Fetch the file again."
        ) from error


class _Column:
    """One array of an NPZ file, read from front to back."""

    def __init__(self, stack, archive, name, path):
        self.name, self._path = name, path
        self._file = stack.enter_context(archive.open(f"{name}.npy"))
        try:
            self.shape, fortran, self.dtype = read_header(self._file)
        except HEADER_ERRORS as error:
            raise self._error(f"is no NPY array: {error}. Fetch the file again.") from error
        if self.dtype.hasobject:
            raise self._error(
                "holds Python objects, which NumPy reads only by pickle, and a pickle may run "
                "code. If you trust the file, turn it into plain numbers once, by\n\n"
                f"{CONVERSION}\nand give clicks_plain.npz."
            )
        if self.dtype.kind not in _KINDS[name] or not 0 < self.dtype.itemsize <= MAX_ITEM_BYTES:
            raise self._error(
                f"is of dtype {self.dtype}, expected a kind of {', '.join(_KINDS[name])} and 1 to "
                f"{MAX_ITEM_BYTES} bytes a value."
            )
        if not self.shape or (fortran and len(self.shape) > 1) or len(self.shape) > 2:
            raise self._error(f"has shape {self.shape}, expected rows. Save it anew, C-contiguous.")
        size = archive.getinfo(f"{name}.npy").file_size - self._file.tell()
        if math.prod(self.shape) * self.dtype.itemsize != size:
            raise self._error(
                f"should be {self.dtype} {list(self.shape)}, but has {size} bytes. Fetch the file "
                "again."
            )

    def _error(self, what):
        return ClicksFileError(f"Clicks {self._path!r}: array {self.name!r} {what}")

    def expect(self, condition, expectation):
        if not condition:
            raise self._error(f"has shape {self.shape} and dtype {self.dtype}, {expectation}")

    def read(self, rows: int) -> np.ndarray:
        """The next rows: [rows, ...]."""
        each = math.prod(self.shape[1:])
        data = self._file.read(rows * each * self.dtype.itemsize)
        if len(data) != rows * each * self.dtype.itemsize:
            raise self._error("ends early. Fetch the file again.")
        return np.frombuffer(data, self.dtype).reshape(rows, *self.shape[1:])

    def finish(self):
        """The checksum is compared only when the end is reached."""
        if self._file.read(1):
            raise self._error("goes on behind its last row. Fetch the file again.")


def _submissions(path, columns):
    number = columns["file_pointer"].shape[0]
    per_click = {"clickmap_x", "clickmap_y"}
    flat = "clickmap_offsets" in columns
    for name, column in columns.items():
        if name in per_click:
            column.expect(
                len(column.shape) == 2 - flat and column.shape == columns["clickmap_x"].shape,
                "expected clickmap_x and clickmap_y of one shape, [clicks] with clickmap_offsets "
                "or [submissions, clicks] without.",
            )
        length = {"clickmap_offsets": number + 1}.get(name, number)
        if not (flat and name in per_click):
            column.expect(
                column.shape[0] == length and (name in per_click or column.shape[1:] in ((), (1,))),
                f"expected {length} rows, since file_pointer has {number}.",
            )
    end = int(columns["clickmap_offsets"].read(1).reshape(())) if flat else 0
    if end:
        raise ClicksFileError(f"Clicks {path!r}: clickmap_offsets begin with {end}, expected 0.")
    singles = [name for name in columns if name not in per_click]
    for start in range(0, number, CHUNK):
        rows = min(CHUNK, number - start)
        chunk = {name: columns[name].read(rows).reshape(rows) for name in singles}
        for row in range(rows):
            where = f"{path!r}, row {start + row}"
            count = None
            if flat:
                begin, end = end, int(chunk["clickmap_offsets"][row])
                count = end - begin
                if count < 0 or end > columns["clickmap_x"].shape[0]:
                    raise ClicksFileError(
                        f"Clicks {where}: clickmap_offsets go from {begin} to {end}; expected them "
                        f"not to fall, nor to pass {columns['clickmap_x'].shape[0]}, the number of "
                        "clicks. Convert the file again."
                    )
            yield _submission(where, {k: v[row] for k, v in chunk.items()}, columns, count)
    if flat and end != columns["clickmap_x"].shape[0]:
        raise ClicksFileError(
            f"Clicks {path!r}: clickmap_offsets end with {end}, but there are "
            f"{columns['clickmap_x'].shape[0]} clicks. Convert the file again."
        )
    for column in columns.values():
        column.finish()


def _submission(where, fields, columns, count):
    try:
        check_number_of_clicks(columns["clickmap_x"].shape[-1] if count is None else count)
    except ValueError as error:
        # The clicks behind it could be reached only by reading these.
        raise ClicksFileError(f"Clicks {where}: {error}. Convert the file again.") from None
    x, y = (
        columns[name].read(1 if count is None else count).reshape(-1).tolist()
        for name in ("clickmap_x", "clickmap_y")
    )
    try:
        image_path, user = _text(fields["file_pointer"]), _text(fields["user_id"])
    except UnicodeDecodeError as error:
        return BadRowError(f"Clicks {where}: not UTF-8 text: {error}. Remove the row.")
    if not image_path or not user:
        return BadRowError(
            f"Clicks {where}: {'user_id' if image_path else 'file_pointer'} is empty. Fill it, or "
            "remove the row."
        )
    score = None
    if "user_catch_trial" in fields:
        try:
            score = check_score(float(fields["user_catch_trial"]))
        except ValueError as error:
            return BadRowError(f"Clicks {where}: {error}. Convert the file again.")
    time = fields.get("timestamp")
    return Submission(
        where=where,
        image_path=image_path,
        clicks=tuple(zip(x, y, strict=True)),
        user=user,
        timestamp=None if time is None or not np.isfinite(time) else float(time),
        catch_score=score,
        # NaN, as an empty list in the original, is no statement that it was a phone.
        mobile=None if "is_mobile" not in fields else bool(np.nan_to_num(fields["is_mobile"])),
    )


def _text(value):
    return (value.decode("utf-8") if isinstance(value, bytes) else str(value)).strip()
