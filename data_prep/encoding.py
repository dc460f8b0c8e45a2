"""One example -> one serialised record: a pure function, so that worker processes can run it."""

import collections
import concurrent.futures
import dataclasses
import functools
import hashlib
import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from data_prep import geometry
from gala_tf import clickmaps, records

PENDING_PER_WORKER = 8  # examples read ahead: enough to keep workers busy, bounded in memory


@dataclasses.dataclass(frozen=True)
class Storage:
    """How examples are stored.

    Attributes:
      image_storage: "original", or "square" with `square_size` pixels a side.
      clickmap_blur: text for `clickmaps.parse_blur`, in pixels of the stored image.
      clickmap_grid: G, the side of the blurred grid kept for training.
    """

    image_storage: str
    square_size: int
    clickmap_blur: str
    clickmap_grid: int


class Encoded(NamedTuple):
    """A record and what the builder has to know about it; `digest` is of the source's pixels."""

    image_id: str
    split: str | None
    label: int
    digest: bytes
    height: int
    width: int
    participants: int
    has_clickmap: bool
    serialized: bytes


def encode(example: records.Example, storage: Storage) -> Encoded:
    """Decodes, checks and serialises one example.

    Raises:
      records.BadImageError: the image is damaged. ValueError: its maps do not fit it.
    """
    image = records.decode_image(example.image, example.image_id)
    # Pixels, not bytes: the same picture often comes in two files that differ in metadata.
    pixels = image.convert("RGB")
    digest = hashlib.sha256(f"{image.size}".encode() + pixels.tobytes()).digest()
    height, width = image.height, image.width
    total = records.sum_maps(example, (height, width))
    if storage.image_storage == "square":
        example = geometry.square_example(example, image, storage.square_size)
        height = width = storage.square_size
        total = records.sum_maps(example, (height, width))
    blurred = box = None
    if total is not None:
        blurred = blurred_grid(total, storage.clickmap_blur, storage.clickmap_grid)
        box = clickmaps.extent_box(total)
    return Encoded(
        image_id=example.image_id,
        split=example.split,
        label=example.label,
        digest=digest,
        height=height,
        width=width,
        participants=len(example.participant_maps),
        has_clickmap=box is not None,
        serialized=records.encode_example(
            example,
            blurred=blurred,
            # An empty map is a map, of no extent: somebody looked, and clicked nothing.
            box=(0.0, 0.0, 0.0, 0.0) if blurred is not None and box is None else box,
        ),
    )


def blurred_grid(counts: np.ndarray, blur: str, grid: int) -> np.ndarray:
    """Blurs a count map [H, W] exactly, then averages it over G x G cells of the whole image.

    Returns:
      uint8 [G, G] with its maximum at 255, or all zeros for an empty map.
    """
    values = clickmaps.blur_counts(counts, clickmaps.parse_blur(blur)).astype(np.float64)
    rows, columns = (_cells(size, grid) for size in counts.shape)
    values = rows @ values @ columns.T  # [G, H] [H, W] [W, G]
    peak = values.max()
    return np.rint(values * (255 / peak) if peak > 0 else values).astype(np.uint8)


@functools.lru_cache(maxsize=512)
def _cells(size: int, grid: int) -> np.ndarray:
    """[G, size]: overlap of each grid cell with each pixel."""
    return clickmaps.resample_matrix(size, grid, 0.0, size, "area", dtype="float64").numpy()


def encode_all(
    examples: Iterable[records.Example], storage: Storage, num_workers: int
) -> Iterator[Callable[[], Encoded]]:
    """Encodes examples, in order, whatever the number of worker processes.

    Yields:
      Functions that return the `Encoded` or raise what `encode` raised, so that the caller can
      leave a damaged image out and go on.
    """
    if num_workers <= 1:
        for example in examples:
            yield functools.partial(encode, example, storage)
        return
    # Spawned, not forked: TensorFlow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(num_workers, mp_context=context) as pool:
        examples = iter(examples)
        pending = collections.deque(
            pool.submit(encode, example, storage)
            for example in itertools.islice(examples, num_workers * PENDING_PER_WORKER)
        )
        while pending:
            done = pending.popleft()
            yield done.result
            for example in itertools.islice(examples, 1):
                pending.append(pool.submit(encode, example, storage))
