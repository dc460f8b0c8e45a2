"""Perceptual hashes of all images of a source: in parallel, and kept so that a restart goes on."""

import contextlib
import functools
import hashlib
import itertools
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data_prep.merging import perceptual_hash
from data_prep.parallel import workers
from data_prep.sources import Item
from gala_tf.data.images import BadImageError
from gala_tf.data.schema import Example

FINE, DAMAGED, WITHOUT_MAP = 0, 1, 2  # Hashes.state
BLOCK, CHUNK = 4096, 32  # images in a file of the cache, and in a worker's task


class Hashes(NamedTuple):
    """Of N images, in the order of their items."""

    # uint64 [N, F, 4], of the frames in `perceptual_hash.FRAMES`; zeros unless decodable
    codes: np.ndarray
    labels: np.ndarray  # int32 [N], the source's own; -1 where damaged
    state: np.ndarray  # uint8 [N], FINE, DAMAGED (no image to decode) or WITHOUT_MAP
    map_digests: np.ndarray  # int64 [N], equal where all maps of two examples are equal


def hash_item(read: Callable[[Item], Example], item: Item) -> tuple[np.ndarray, int, int, int]:
    """One row of `Hashes`; BadImageError: the image is damaged."""
    example = read(item)
    codes = perceptual_hash.frame_codes(example.image, item.image_id)
    state = FINE if example.participant_maps else WITHOUT_MAP
    digest = hashlib.sha256()  # equal for equal maps, in equal order
    for counts in example.participant_maps:
        digest.update(f"{counts.shape}".encode() + counts.astype("<i8").tobytes())
    number = int.from_bytes(digest.digest()[:8], "big", signed=True)
    return codes, example.label, state, number


def hash_source(
    read: Callable[[Item], Example],
    items: Iterable[Item],
    total: int,
    what: str,
    num_workers: int = 1,
    cache_dir: str | None = None,
) -> Hashes:
    """Hashes of all items.

    Args:
      num_workers: processes that decode; the result does not depend on it.
      cache_dir: local folder of finished blocks, made if missing; None keeps nothing. A block is
        known by its items, by `read`'s arguments and the code's version, not by the files'
        contents: empty the folder when files were replaced under their old names.

    ValueError: cache_dir is not local; or what `read` raises, beside BadImageError.
    """
    if cache_dir and "://" in cache_dir:
        raise ValueError(f"The cache of hashes, {cache_dir!r}, must be a local folder.")
    blocks = []
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(
            tqdm(total=total, desc=f"hashing {what}", unit=" images", mininterval=0.5)
        )
        pool = _LazyPool(stack, num_workers)
        for block in _batches(items, BLOCK):
            path = _block_path(cache_dir, read, block) if cache_dir else None
            hashes = _load(path, len(block)) if path else None
            if hashes is None:
                hashes = _hash_block(read, block, pool, progress)
                if path:
                    _save(path, hashes)
            else:
                progress.update(len(block))
            blocks.append(hashes)
    if not blocks:
        return _empty(0)
    return Hashes(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _empty(count):
    return Hashes(
        np.zeros((count, len(perceptual_hash.FRAMES), perceptual_hash.WORDS), np.uint64),
        np.full(count, -1, np.int32),
        np.full(count, DAMAGED, np.uint8),
        np.zeros(count, np.int64),
    )


def _hash_chunk(read, items):
    hashes = _empty(len(items))
    for number, item in enumerate(items):
        try:
            row = hash_item(read, item)
        except BadImageError:
            continue
        for column, value in zip(hashes, row, strict=True):
            column[number] = value
    return hashes


class _LazyPool:
    """Processes, started when first needed: nothing starts where all is in the cache."""

    def __init__(self, stack, num_workers):
        self._stack, self._num_workers, self._pool = stack, num_workers, None

    def map(self, function, batches) -> Iterator:
        if self._num_workers <= 1:
            return map(function, batches)
        if self._pool is None:
            self._pool = self._stack.enter_context(workers.pool(self._num_workers))
        return self._pool.map(function, batches)


def _hash_block(read, block, pool, progress):
    parts = []
    for part in pool.map(functools.partial(_hash_chunk, read), _batches(block, CHUNK)):
        parts.append(part)
        progress.update(len(part.labels))
    return Hashes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _batches(items, size):
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _block_path(cache_dir, read, block):
    digest = hashlib.sha256(f"{perceptual_hash.VERSION}\n{_describe(read)}\n".encode())
    for item in block:
        digest.update(json.dumps(item).encode() + b"\n")
    return os.path.join(cache_dir, f"hashes-{digest.hexdigest()[:40]}.npz")


def _describe(read):
    """The function and its fixed arguments: the same keys of two folders are not the same images.

    An argument whose repr holds its address in memory only costs a cache that is never hit.
    """
    if isinstance(read, functools.partial):
        return f"{_describe(read.func)} {read.args!r} {sorted(read.keywords.items())!r}"
    return f"{read.__module__}.{read.__qualname__}" if hasattr(read, "__qualname__") else repr(read)


def _save(path, hashes):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.writing"
    with open(temporary, "wb") as file:
        np.savez(file, **hashes._asdict())
    os.replace(temporary, path)


def _load(path, count):
    """A block of the cache; None if it is missing or damaged: it is then made anew."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            hashes = Hashes(*(arrays[name] for name in Hashes._fields))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    wanted = _empty(count)
    fits = all(
        a.shape == b.shape and a.dtype == b.dtype for a, b in zip(hashes, wanted, strict=True)
    )
    return hashes if fits else None
