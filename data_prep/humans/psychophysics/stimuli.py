"""The stimulus generator: from images and two map sources to verified PNG files and a manifest.

Of an image and a source the `count` most important pixels, in the order of the flood fill, are
moved to the middle of the frame and shown on the image's own phase scramble. The scramble, the
noise of the flood fill and `count` are the same for both sources, so only the map differs.

    STIM/<source>/<image>/<level>.png   lossless; full.png is the image itself, not moved
    STIM/<source>/<image>/order.npz     the order, and the shift
    STIM/manifest.csv                   one line a stimulus, with checksums of all that goes in
    STIM/settings.json                  what it was made with
    STIM/contact_sheet.png              to be looked at

Each image is verified from the files as written (`verify.py`). What is there and still right is not
made again; the same input gives the same bytes.
"""

import functools
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from data_prep.humans.psychophysics import flood_fill, phase_scramble, verify
from data_prep.humans.psychophysics.levels import FRAME, FULL, LEVEL_NAMES, PIXELS, pixels_shown
from data_prep.humans.psychophysics.manifest import MANIFEST, Row, digest
from data_prep.humans.psychophysics.pictures import Picture, square, to_image
from data_prep.humans.psychophysics.settings import Making
from data_prep.humans.studies import writing
from data_prep.parallel import workers
from gala_tf import __version__

MOST_FAULTS = 20  # named in one message
LEAST_PIXELS = 100  # at 100 %, so that 1 % is one


class Work(NamedTuple):
    """All that goes into the stimuli of one image."""

    picture: Picture
    image_file: Path
    counts: tuple[np.ndarray, np.ndarray]  # int64 [256, 256] of both sources
    sources: tuple[str, str]
    seed: int
    making: Making


# --------------------------------------------------------------------------- one image


def box_blur(counts: np.ndarray, blur: str) -> np.ndarray:
    """Sums over K x K windows, zeros outside: int64, exact.

    Sums of floats leave residues, which would break ties in an order that depends on the machine.
    """
    if blur == "none":
        return counts
    side = int(blur.removeprefix("box:"))
    for axis in (0, 1):
        pad = [(side // 2 + 1, side // 2) if one == axis else (0, 0) for one in (0, 1)]
        sums = np.pad(counts, pad).cumsum(axis)
        counts = sums.take(range(side, sums.shape[axis]), axis) - sums.take(
            range(sums.shape[axis] - side), axis
        )
    return counts


def centring(shown: np.ndarray) -> tuple[int, int]:
    """The shift (y, x) that brings the bounding box of the 100 % region to the middle.

    The box, not the centroid: a box of at most 256 px always fits, so no pixel is lost.
    """
    shift = []
    for axis in (1, 0):
        (places,) = np.nonzero(shown.any(axis))
        first, last = int(places[0]), int(places[-1])
        shift.append((FRAME - (last - first + 1)) // 2 - first)
    return shift[0], shift[1]


def compose(
    image: np.ndarray, scrambled: np.ndarray, shown: np.ndarray, shift: tuple[int, int]
) -> np.ndarray:
    """The image's shown pixels, moved, on the scramble, which is not."""
    made = scrambled.copy()
    rows, columns = np.nonzero(shown)
    made[rows + shift[0], columns + shift[1]] = image[rows, columns]
    return made


def chance_of(seed: int, name: str, purpose: str) -> np.random.Generator:
    """Draws of one image for one purpose, whatever other images there are."""
    digest = hashlib.sha256(f"{seed}:{purpose}:{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def make_image(work: Work, folder: Path) -> list[Row]:
    """Makes, writes and verifies all stimuli of one image; what is there already stays.

    ValueError: an all-zero map, or a fill that holds too little of its map; the image is named.
    """
    data = work.image_file.read_bytes()
    key = digest(data, *(counts.tobytes() for counts in work.counts), repr(work[3:]), __version__)
    kept = folder / ".made" / f"{work.picture.folder}.json"
    if (rows := _kept(kept, key, folder)) is not None:
        return rows
    picture, making = work.picture, work.making
    image = square(data, picture.name, making.color)
    scrambled = phase_scramble.scramble(image, chance_of(work.seed, picture.name, "scramble"))
    verify.check_scramble(picture.name, image, scrambled)
    blurred = [box_blur(counts, making.blur) for counts in work.counts]
    for source, importance in zip(work.sources, blurred, strict=True):
        if not importance.any():
            raise ValueError(f"{picture.name}: its map in {source!r} is all zero. Leave it out.")
    count = _count(making.support, blurred)
    if count < LEAST_PIXELS:
        raise ValueError(
            f"{picture.name}: 100 % would be {count} pixels, so 1 % none. Blur the maps "
            f"(--blur=box:49), or give them a support of at least {LEAST_PIXELS} pixels."
        )
    made = functools.partial(
        _make_source, work, folder, image, phase_scramble.to_uint8(scrambled), count, digest(data)
    )
    rows = [
        row
        for source, counts, importance in zip(work.sources, work.counts, blurred, strict=True)
        for row in made(source, counts, importance)
    ]
    kept.parent.mkdir(exist_ok=True, parents=True)
    writing.write(kept, json.dumps({"key": key, "rows": rows}))
    return rows


def _count(support, blurred):
    if support == "min":
        return min(int(np.count_nonzero(importance)) for importance in blurred)
    return round(float(support.partition(":")[2]) * PIXELS)


def _make_source(work, folder, image, scrambled, count, image_sha256, source, counts, importance):
    picture, making = work.picture, work.making
    chance = chance_of(work.seed, picture.name, "flood fill")  # the same for both sources
    order = flood_fill.reveal_order(importance, chance, making.alpha, making.tau)
    shape = flood_fill.shape_of(importance, order, count)
    if shape.capture < making.min_capture:
        raise ValueError(
            f"{picture.name}, {source}: the fill holds {shape.capture:.1%} of the importance that "
            f"{count} pixels can, less than --min_capture={making.min_capture}. Its important "
            "parts lie far apart, and what is shown is one region: blur the maps more, leave the "
            "image out, or lower --min_capture."
        )
    shift = centring(order < count)
    here = folder / source / picture.folder
    here.mkdir(parents=True, exist_ok=True)
    order_file = io.BytesIO()
    np.savez_compressed(order_file, order=order, shift=np.asarray(shift))
    writing.write(here / "order.npz", order_file.getvalue())
    rows, written = [], {}
    for level in LEVEL_NAMES:
        shown = pixels_shown(level, count)
        pixels = image if level == FULL else compose(image, scrambled, order < shown, shift)
        png = io.BytesIO()
        # Level 1: noise does not shrink, and the search for repetitions takes most of the time.
        to_image(pixels).save(png, "PNG", compress_level=1)
        path = here / f"{level}.png"
        writing.write(path, png.getvalue())
        written[level] = np.asarray(Image.open(path)).reshape(image.shape)
        rows.append(
            Row(
                source=source,
                image=picture.name,
                label=picture.label,
                side=picture.side,
                training=int(picture.training),
                level=level,
                path=path.relative_to(folder).as_posix(),
                pixels_at_100=count,
                pixels_shown=shown,
                share_of_image=round(shown / PIXELS, 6),
                shift_y=0 if level == FULL else shift[0],
                shift_x=0 if level == FULL else shift[1],
                seed=work.seed,
                capture=round(shape.capture, 5),
                outline=round(shape.outline, 3),
                holes=round(shape.holes, 5),
                sha256=digest(png.getvalue()),
                image_sha256=image_sha256,
                map_sha256=digest(counts.tobytes()),
                version=__version__,
            )
        )
    shown_at = {level: pixels_shown(level, count) for level in LEVEL_NAMES[:-1]}
    verify.check_levels(
        f"{picture.name}, {source}", image, scrambled, order, shift, shown_at, written
    )
    return rows


def _kept(path, key, folder):
    """The rows of an image made before, if nothing has changed since, inputs and outputs."""
    try:
        kept = json.loads(path.read_text())
        rows = [Row(*row) for row in kept["rows"]]
        same = kept["key"] == key and all(
            digest((folder / row.path).read_bytes()) == row.sha256 for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return rows if same else None


# --------------------------------------------------------------------------- all images


def make_all(
    works: Sequence[Work],
    folder: Path,
    num_workers: int,
    progress: Callable[[Iterable], Iterator] = iter,
) -> list[Row]:
    """Stimuli of all images, `num_workers` at a time; the manifest comes last.

    ValueError: names all images at fault; the others are made, and not made again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    attempt = functools.partial(_attempt, folder=folder)
    if num_workers > 1 and len(works) > 1:
        with workers.pool(num_workers) as pool:
            futures = [pool.submit(attempt, work) for work in works]
            made = [future.result() for future in progress(futures)]
    else:
        made = [attempt(work) for work in progress(works)]
    faults = [one for one in made if isinstance(one, str)]
    if faults:
        shown = "\n".join(faults[:MOST_FAULTS])
        raise ValueError(f"{len(faults)} of {len(works)} images cannot be used:\n{shown}")
    rows = [row for one in made for row in one]
    writing.write_csv(folder / MANIFEST, Row._fields, rows)
    return rows


def _attempt(work, folder):
    """The rows of an image, or what is wrong with it."""
    try:
        return make_image(work, folder)
    except ValueError as error:
        return str(error)
