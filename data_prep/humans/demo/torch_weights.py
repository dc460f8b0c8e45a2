"""Reads the tensors of a PyTorch weight file without PyTorch, and without running what it says.

A weight file is a pickle, and a pickle may name any function and have it called. So no unpickler
runs here: this reader walks through the opcodes itself, knows the few that tensors need, and four
names (OrderedDict, the rebuilding of a tensor, two kinds of storage), which stay words. Any other
opcode or name is refused; nothing that a file names is ever imported or called.

The file's form is torch.save's before version 1.6: pickles of a magic number, of the protocol, of
the writer's sizes, of the tensors, of the storages' keys; then each storage: its number of elements
as int64, and the elements, little-endian.
"""

import dataclasses
import io
import math
import pickletools
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
        if _load(content) != MAGIC or _load(content) != PROTOCOL:
            raise RefusedWeights("it is not of the form that torch.save wrote before 1.6")
        sizes = _load(content)
        if not sizes.get("little_endian"):
            raise RefusedWeights("its numbers are not little-endian")
        views = _load(content)
        keys = _load(content)
        return _tensors(views, _storages(content, views, keys))
    except RefusedWeights as error:
        raise RefusedWeights(f"{path}: refused, {error}.") from None
    # Damaged bytes make the reader raise nearly anything; nothing of the file's was ever called.
    except Exception as error:
        raise RefusedWeights(f"{path}: refused, it is damaged ({error}).") from None


STORAGES = {"torch FloatStorage": "<f4", "torch LongStorage": "<i8"}
NAMES = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", *STORAGES}
_MARK = object()


def _load(content):
    """The value of the pickle that begins here; leaves `content` behind its end."""
    stack, memo = [], {}
    for opcode, argument, _ in pickletools.genops(content):
        name = opcode.name
        if name in ("PROTO", "STOP"):
            continue
        if name in ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"):
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name == "GLOBAL":
            if argument not in NAMES:
                asked = argument.replace(" ", ".")
                raise RefusedWeights(f"it asks for {asked}, which no weight file needs")
            stack.append(_Name(argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in _STEPS:
            _STEPS[name](stack)
        else:
            raise RefusedWeights(f"it holds the opcode {name}, which no weight file needs")
    return stack.pop()


class _Name(str):
    """One of NAMES; a class of its own, so that a text with the same letters is none."""


_CONSTANTS = {  # new ones each time: lists and dicts are changed later
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}


def _since_mark(stack):
    """Takes the values since the last MARK off, and the MARK."""
    values = []
    while (value := stack.pop()) is not _MARK:
        values.append(value)
    return values[::-1]


def _tuple_of(count):
    def step(stack):
        stack[-count:] = [tuple(stack[-count:])]

    return step


def _append(stack):
    value = stack.pop()
    _list(stack).append(value)


def _appends(stack):
    values = _since_mark(stack)
    _list(stack).extend(values)


def _list(stack):
    if type(stack[-1]) is not list:
        raise RefusedWeights("it appends to something that is no list")
    return stack[-1]


def _set_items(stack, values):
    if type(stack[-1]) is not dict:
        raise RefusedWeights("it fills something that is no dictionary")
    stack[-1].update(zip(values[::2], values[1::2], strict=True))


def _build(stack):
    """Drops what torch attaches to a dictionary (versions of its layers): no tensor needs it."""
    stack.pop()
    if type(stack[-1]) is not dict:
        raise RefusedWeights("it changes something that is no dictionary")


def _storage(stack):
    kind, dtype, key, _, size, *_ = stack.pop()
    if kind != "storage" or not isinstance(dtype, _Name) or dtype not in STORAGES:
        raise RefusedWeights(f"it refers to something that is no storage: {kind!r}")
    stack.append(_Storage(key, STORAGES[dtype], size))


def _reduce(stack):
    """What would be a call: only these two, and neither is one."""
    arguments, name = stack.pop(), stack.pop()
    if not isinstance(name, _Name) or name in STORAGES:
        raise RefusedWeights("it calls something that is no function")
    if name == "collections OrderedDict":
        if arguments:
            raise RefusedWeights("it fills a dictionary in an unknown way")
        stack.append({})
        return
    storage, offset, shape, strides, *_ = arguments
    if not isinstance(storage, _Storage):
        raise RefusedWeights("a tensor has no storage")
    stack.append(_View(storage, offset, shape, strides))


_STEPS = {
    "TUPLE": lambda stack: stack.append(tuple(_since_mark(stack))),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": lambda stack: _set_items(stack, [*reversed([stack.pop(), stack.pop()])]),
    "SETITEMS": lambda stack: _set_items(stack, _since_mark(stack)),
    "BUILD": _build,
    "BINPERSID": _storage,
    "REDUCE": _reduce,
}


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
