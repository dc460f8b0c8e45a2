"""Reads the tensors of a PyTorch weight file without PyTorch, and without running what it says.

A weight file is a pickle, and a pickle may name any function and have it called. This reader knows
four names (OrderedDict, the rebuilding of a tensor, two kinds of storage), gives each a harmless
stand-in of its own, and refuses every other name before anything is called.

The file's form is torch.save's before version 1.6: pickles of a magic number, of the protocol, of
the writer's sizes, of the tensors, of the storages' keys; then each storage: its number of elements
as int64, and the elements, little-endian.
"""

import collections
import dataclasses
import io
import math
import pickle
from pathlib import Path

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


class RefusedWeights(ValueError):
    """The file is not a plain weight file, or is damaged."""


@dataclasses.dataclass(frozen=True)
class _Storage:
    """A run of numbers that lies at the end of the file."""

    key: str
    dtype: str
    size: int


@dataclasses.dataclass(frozen=True)
class _View:
    """A tensor: a window into a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file by name.

    Raises:
      RefusedWeights: it names something else than tensors, or is cut off or damaged.
    """
    content = io.BytesIO(Path(path).read_bytes())
    try:
        if _Reader(content).load() != MAGIC or _Reader(content).load() != PROTOCOL:
            raise RefusedWeights("it is not of the form that torch.save wrote before 1.6")
        sizes = _Reader(content).load()
        if not sizes.get("little_endian"):
            raise RefusedWeights("its numbers are not little-endian")
        views = _Reader(content).load()
        keys = _Reader(content).load()
        return _tensors(views, _storages(content, views, keys))
    except RefusedWeights as error:
        raise RefusedWeights(f"{path}: refused, {error}.") from None
    # Damaged bytes make the unpickler raise nearly anything; nothing foreign was called by then.
    except Exception as error:
        raise RefusedWeights(f"{path}: refused, it is damaged ({error}).") from None


class _Reader(pickle.Unpickler):
    """The only names a file may use, and what they mean here."""

    def find_class(self, module, name):
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
            ("torch", "FloatStorage"): "<f4",
            ("torch", "LongStorage"): "<i8",
        }
        if (module, name) not in known:
            raise RefusedWeights(f"it asks for {module}.{name}, which no weight file needs")
        return known[module, name]

    def persistent_load(self, saved):
        kind, dtype, key, _, size, *_ = saved
        if kind != "storage" or dtype not in ("<f4", "<i8"):
            raise RefusedWeights(f"it refers to something that is no storage: {kind!r}")
        return _Storage(key, dtype, size)


class _Rebuild:
    """Stands for torch's function; without attributes that a pickle's BUILD could change."""

    __slots__ = ()

    def __call__(self, storage, offset, shape, strides, *_):
        if not isinstance(storage, _Storage):
            raise RefusedWeights("a tensor has no storage")
        return _View(storage, offset, shape, strides)


def _storages(content, views, keys):
    """{key: numbers} of all storages, from where the pickles end."""
    known = {view.storage.key: view.storage for view in views.values()}
    found = {}
    for key in keys:
        storage = known[key]
        size = int(np.frombuffer(content.read(8), "<i8")[0])
        if size != storage.size:
            raise RefusedWeights(f"a storage holds {size} numbers instead of {storage.size}")
        data = content.read(size * np.dtype(storage.dtype).itemsize)
        found[key] = np.frombuffer(data, storage.dtype, size)
    return found


def _tensors(views, storages):
    """{name: array}; every window must lie inside its storage."""
    tensors = {}
    for name, view in views.items():
        numbers = storages[view.storage.key]
        reach = sum((size - 1) * step for size, step in zip(view.shape, view.strides, strict=True))
        inside = 0 <= view.offset and view.offset + reach < len(numbers)
        sound = min(view.shape, default=1) >= 1 and min(view.strides, default=0) >= 0
        # A stride of 0 would make one number as many as the shape says: a bomb.
        if not (sound and inside and math.prod(view.shape) <= len(numbers)):
            raise RefusedWeights(f"tensor {name!r} reaches outside its storage")
        strides = [step * numbers.itemsize for step in view.strides]
        window = np.lib.stride_tricks.as_strided(numbers[view.offset :], view.shape, strides)
        tensors[name] = window.copy()
    return tensors
