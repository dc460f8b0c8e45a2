"""Two sources as one: the images of the first with the maps that the second has for some of them.

    python -m data_prep.build_tfrecords --source=imagenet --input_dir=ILSVRC2012 \
        --maps_source=clickme_release --maps_dir=clickme --match_report=report.csv ...

So a network can train on all of ILSVRC12 with maps on the part that has them (the paper's Table 4).
Classes, splits, names and images are the base's. Which image a map belongs to is told by its file's
name where it has one, else by the picture itself (`content_join.py`).

* A record of the maps' test split may lie on a training image: that an image is in one split alone
  is what keeps evaluation honest, and the base's splits rule. Such cases are counted, and
  --maps_splits leaves maps out by their own split.
* Several records of one image become so many participants; records with equal maps count once.
* A map of the central square, or of the image pressed into a square, is laid back (`map_frames`).
* An image that a builder turned by its EXIF orientation is known again only if the maps' makers
  turned it too; ImageNet has a few such. They end up in the report.
"""

import dataclasses
import functools
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from data_prep import sources
from data_prep.maps import count_maps, geometry
from data_prep.merging import by_content, by_name, map_frames, perceptual_hash
from data_prep.merging import pair as merge_pair
from data_prep.readers.imagenet.imagenet_classes import LABEL_ORDERS
from data_prep.sources import SOURCES, Item, Source, SourceOptions
from data_prep.sources.splits import SPLITS
from gala_tf.data.images import BadImageError
from gala_tf.data.schema import MAX_COUNT, Example

JOINS = ("auto", "name", "content")
OPTIONS = ("maps_source", "maps_dir", "join", "match_report", "maps_splits", "accept_doubtful")
BASES = ("imagenet", "imagenet_tfrecords", "folder")  # may be given maps


def options_read(name: str, maps_source: str) -> tuple[str, ...]:
    """Names of the options that mean something to `name`, with maps of `maps_source` ("": none).

    ValueError: no such source, or one that cannot be given others' maps.
    """
    own = SOURCES[name].reads
    if not maps_source:
        return (*own, "maps_source") if name in BASES else own
    if maps_source not in SOURCES:
        raise ValueError(
            f"--maps_source={maps_source!r} is unknown; known sources: {', '.join(SOURCES)}."
        )
    if name not in BASES:
        raise ValueError(
            f"--maps_source={maps_source} cannot be laid on --source={name}; that can be done "
            f"with {', '.join(BASES)}."
        )
    return (*own, *SOURCES[maps_source].reads, *OPTIONS)


def load(name: str, options: SourceOptions, **how: Any) -> Source:
    """The source `name` with the maps of `options.maps_source`; `how`: of `merge`'s arguments.

    The other source gets the same options, with `maps_dir` as its `input_dir`. ValueError: a source
    that cannot be merged so, no maps_dir, or as `merge`.
    """
    options_read(name, options.maps_source)
    if not options.maps_dir:
        raise ValueError(f"--maps_source={options.maps_source} reads files: give their --maps_dir.")
    base = options.replace(maps_source="", maps_dir="")
    images = sources.load_source(name, base)
    try:
        maps = sources.load_source(options.maps_source, base.replace(input_dir=options.maps_dir))
    except ValueError as error:
        if "--input_dir" not in str(error):
            raise
        # It knows its folder by another flag.
        raise ValueError(str(error).replace("--input_dir", "--maps_dir")) from error
    return merge(
        images,
        maps,
        join=options.join,
        report_path=options.match_report,
        accept_doubtful=options.accept_doubtful,
        maps_splits=[part.strip() for part in options.maps_splits.split(",")],
        **how,
    )


def merge(
    base: Source,
    maps: Source,
    *,
    join: str = "auto",
    report_path: str = "",
    num_workers: int = 1,
    cache_dir: str | None = None,
    accept_doubtful: bool = False,
    maps_splits: Sequence[str] = SPLITS,
    on_bad_image: str = "fail",
) -> Source:
    """Lays the maps of one source onto the images of another.

    A join by content reads every image of both once: some 600 ImageNet files a second and core.
    Memory: 100 bytes an image. Both lists lie in a temporary file.

    Args:
      join: "name", "content", or "auto": by name if half of the map records are named as an image
        of the base (a number is no name), or as ImageNet's files are.
      report_path: of the CSV table of records not joined for certain, its contact sheet beside it;
        "" writes none.
      num_workers: processes that hash.
      cache_dir: local folder that keeps hashes for another run; see `source_hashes.hash_source`.
      accept_doubtful: joins those, too, whose pictures correlate by
        `merge_pair.MIN_CORRELATION` at least.
      maps_splits: of the map records; the others are left out.
      on_bad_image: "fail", or "skip" map records whose image is damaged.

    ValueError: an unknown option, nothing to join, labels in another order, class names that do not
    fit, a damaged map record; later, from `read`, a pair that is not the same picture.
    """
    if join not in JOINS:
        raise ValueError(f"--join={join!r}: expected one of {', '.join(JOINS)}.")
    if not maps_splits or set(maps_splits) - set(SPLITS):
        raise ValueError(
            f"--maps_splits={','.join(maps_splits)!r}: expected some of {', '.join(SPLITS)}."
        )
    pair = merge_pair.Pair(base, maps, maps_splits)
    if join == "auto":
        join = "name" if pair.tables.are_named() else "content"
    if join == "name":
        frame, labels, notes = by_name.join(pair, report_path)
    else:
        frame, labels, notes = by_content.join(
            pair,
            report_path=report_path,
            num_workers=num_workers,
            cache_dir=cache_dir,
            accept_doubtful=accept_doubtful,
            on_bad_image=on_bad_image,
        )
    _print_summary(pair, join, frame, notes)
    merged = Source(
        class_names=base.class_names,
        items=_items(pair.tables),
        read=functools.partial(_read, base.read, maps.read, frame, labels),
        split_rule=(
            f"{base.split_rule}; maps of another source joined by {join} to "
            f"{pair.tables.joined_images()} of {pair.tables.count('base')} images, whatever the "
            "maps' own split"
        ),
        human_ceiling=maps.human_ceiling,
    )
    try:
        merged.read(next(item for item in _items(pair.tables) if json.loads(item.key)[1]))
    except BadImageError:
        pass  # will be met again, where --on_bad_image decides
    return merged


def _print_summary(pair, join, frame, notes):
    tables = pair.tables
    lines = [
        f"maps joined by {join} (frame: {frame}): {tables.joined_records():,} of "
        f"{tables.count('maps'):,} records, to {tables.joined_images():,} of "
        f"{tables.count('base'):,} images",
        "records: " + ", ".join(notes),
    ]
    if pair.left_out:
        lines.append(f"records of other splits left out (--maps_splits): {pair.left_out:,}")
    several, repeated = tables.several()
    if several:
        lines.append(f"images with several records: {several:,}; records repeated: {repeated:,}")
    crossing = [(m, b, count) for m, b, count in tables.splits() if m != b]
    if crossing:
        cases = ", ".join(f"{m} -> {b} {count:,}" for m, b, count in crossing)
        lines.append(
            f"records on images of another split (maps' -> image's): {cases}. The images' splits "
            "rule, so no image is in two; --maps_splits leaves maps out by their own"
        )
    print("\n".join(lines))


def _items(tables) -> Iterator[Item]:
    """The base's items, in order; key: [the base's key, [map items]], JSON."""
    for item, rows in itertools.groupby(tables.joined_rows(), key=lambda row: row[:3]):
        records = [row[3:] for row in rows if row[3] is not None]
        yield Item(item[0], item[1], json.dumps([item[2], records]))


def _read(base_read, maps_read, frame, labels, item: Item) -> Example:
    base_key, map_items = json.loads(item.key)
    example = base_read(Item(item.image_id, item.split, base_key))
    if not map_items:
        return example
    if example.participant_maps:
        raise ValueError(
            f"{item.image_id!r} has maps of its own, and others would be laid on it. Move its own "
            "maps away, or leave out --maps_source."
        )
    clicks: list[int] = []

    def maps():
        grey = perceptual_hash.open_grey(example.image, item.image_id)
        height, width = (
            example.image.shape[:2]
            if isinstance(example.image, np.ndarray)
            else geometry.displayed_size(example.image, example.image_id)
        )
        laid, seen = [], set()
        for record in (maps_read(Item(*map_item)) for map_item in map_items):
            _check_record(record, example, grey, frame, labels)
            own = tuple((counts.shape, counts.tobytes()) for counts in record.participant_maps)
            if own and own not in seen:
                seen.add(own)
                clicks.append(record.clicks)
                laid += [
                    map_frames.lay(counts, height, width, frame, record.image_id)
                    for counts in record.participant_maps
                ]
        return _within_limit(laid)

    with_maps = count_maps.attach(example, maps)
    return dataclasses.replace(with_maps, clicks=sum(clicks) if all(clicks) else 0)


def _check_record(record, example, grey, frame, labels):
    """ValueError unless the record is of the image's class, and its picture the image's."""
    translated = record.label if labels is None else (*labels, -1)[record.label]
    if labels != () and translated != example.label:
        raise ValueError(
            f"Map record {record.image_id!r} has label {record.label}, its image "
            f"{example.image_id!r} label {example.label}. Are the two sources' labels in different "
            f"orders ({', '.join(LABEL_ORDERS)})? Read one as the other is."
        )
    if not len(record.image):
        return
    picture = perceptual_hash.open_grey(record.image, record.image_id)
    agreement = merge_pair.agreement(grey, picture, frame)
    if agreement < merge_pair.MIN_CORRELATION:
        raise ValueError(
            f"Map record {record.image_id!r} was joined to image {example.image_id!r}, but their "
            f"pictures differ: correlation {agreement:.3f}, expected at least "
            f"{merge_pair.MIN_CORRELATION}. If files were replaced, empty the cache of hashes; if "
            "names mislead, pass --join=content."
        )


def _within_limit(maps):
    """Maps scaled down by one factor where their sum would exceed what a record can hold.

    Maps of fractions each come scaled up to that limit, so that two of them exceed it.
    """
    peak = np.sum(maps, axis=0, dtype=np.int64).max() if maps else 0
    if peak <= MAX_COUNT:
        return tuple(maps)
    # Less half a unit a map, so that rounding cannot lift the sum above the limit.
    scale = (MAX_COUNT - len(maps)) / peak
    return tuple(np.rint(counts * scale).astype(np.int64) for counts in maps)
