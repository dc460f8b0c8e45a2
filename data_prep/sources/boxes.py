"""Any images, with boxes from a CSV file.

    input_dir/boxes.csv         (--annotations names another)
        image,xmin,ymin,xmax,ymax,label,participant
        cat/a.jpg,10,20,110,220,cat,worker 7
        cat/b.jpg,,,,,cat,
    input_dir/cat/a.jpg, input_dir/cat/b.jpg

The first line names the columns, in any order; `label` and `participant` may be missing, others
are not read. The file is the list of images: one without boxes is a row without coordinates, and
has no map. Coordinates are edges, with fractions if need be, so a box covers the pixels whose
centres lie between them, and at least one; --box_units says whether they are pixels of the
displayed image or fractions of its sides, and is checked: no box of a file of pixels lies within
the first pixel, and no fraction exceeds 2. What lies outside the image is cut off; a box wholly
outside is an error.

Without a column `label` the class is the folder that holds the image. If the boxes of an image have
several labels, that of the largest decides, and the others are left out, and counted. Each
participant is a map of its own; a map counts the boxes that cover each pixel. If the first folder
of every image is train, val (or validation) or test, these are the splits; otherwise images are
dealt in proportion.
"""

import functools
import json
import math
import os
import sqlite3
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from data_prep.maps import count_maps, geometry, rasterise
from data_prep.readers import csv_rows, file_names, listing
from data_prep.readers.coco import masks
from data_prep.readers.images.image_files import leave_out_unlisted, read_image, relative_name
from data_prep.sources import Item, Source, SourceOptions
from data_prep.sources.splits import dealt, in_proportion, of_folder
from gala_tf.data.schema import Example

EDGES = ("xmin", "ymin", "xmax", "ymax")
_COLUMNS = ("image", *EDGES, "label", "participant")
_FARTHEST_FRACTION = 2.0


def load(options: SourceOptions) -> Source:
    """Reads the CSV file into a temporary database; no image yet.

    ValueError: no such file, columns missing, a row malformed, units that contradict --box_units,
    no class, or splits for some images only.
    """
    if not tf.io.gfile.isdir(options.input_dir):
        raise ValueError(f"--input_dir={options.input_dir!r} is not a folder; give the images'.")
    path = options.annotations or os.path.join(options.input_dir, "boxes.csv")
    database = _store(path, options.box_units)
    class_names = tuple(
        row[0] for row in database.execute("SELECT DISTINCT label FROM images ORDER BY label")
    )
    if not class_names:
        raise ValueError(f"{path!r} lists no images. Expected a row a box below the header.")
    has_splits = _check_splits(database, path)
    listed = "SELECT 1 FROM images WHERE image = ?"
    leave_out_unlisted(
        options.input_dir, "", lambda name: bool(database.execute(listed, (name,)).fetchone())
    )
    other = database.execute(
        "SELECT COUNT(*) FROM boxes JOIN images USING (image) WHERE boxes.label != images.label"
    ).fetchone()[0]
    if other:
        logging.warning("%d boxes are left out: their image has a larger one's label.", other)
    return Source(
        class_names=class_names,
        items=_items(options, database, class_names, has_splits),
        read=functools.partial(
            _read, options.input_dir, os.path.basename(path), options.box_units == "relative"
        ),
        split_rule="as the images' first folders say" if has_splits else in_proportion(options),
    )


def _store(path, units):
    """A database of the file's boxes, and of its images with their labels and splits."""
    if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
        raise ValueError(
            f"{path!r} does not exist, or is a folder. Expected a CSV file with the columns "
            f"{', '.join(_COLUMNS)}; --annotations names it."
        )
    # An empty name: a file of sqlite's that nobody else sees, and that vanishes when closed.
    database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
    database.execute(
        "CREATE TABLE boxes (line INTEGER PRIMARY KEY, image, label, participant, area, edges)"
    )
    farthest = cut = 0
    images, labels = file_names.Spellings(), file_names.Spellings()
    database.execute("BEGIN")
    for line, row in csv_rows.rows(path, _COLUMNS[:5], optional=_COLUMNS[5:]):
        with listing.one_row():
            if isinstance(row, ValueError):
                raise row
            where = f"{path!r}, line {line}"
            row = {name: cell.strip() for name, cell in row.items()}
            image = images.first(relative_name(row["image"], where))
            edges = _edges(row, where)
            area = (edges[2] - edges[0]) * (edges[3] - edges[1]) if edges else -1.0
            cells = (
                image,
                labels.first(_label(row, image, where)),
                row.get("participant", ""),
                area,
            )
            text = json.dumps(edges) if edges else None
            database.execute("INSERT INTO boxes VALUES (?, ?, ?, ?, ?, ?)", (line, *cells, text))
            if edges:
                farthest = max(farthest, *map(abs, edges))
                cut += min(edges) < 0 or max(edges) > 1
                if units == "relative" and farthest > _FARTHEST_FRACTION:
                    raise ValueError(
                        f"{where}: box {edges} is no fractions of an image's sides (0...1). Are "
                        "these pixels? Pass --box_units=pixels."
                    )
    database.execute("COMMIT")
    if units == "pixels" and 0 < farthest <= 1:
        raise ValueError(
            f"{path!r}: no coordinate exceeds {farthest:g}, so all boxes would lie within the "
            "first pixel. Are these fractions? Pass --box_units=relative."
        )
    if units == "relative" and cut:
        logging.warning("%d boxes reach out of their image, and are cut off at its border.", cut)
    database.executescript(
        """
        CREATE INDEX by_image ON boxes (image, line);
        CREATE TABLE images (image PRIMARY KEY, label, top);
        INSERT INTO images SELECT image, label, SUBSTR(image, 1, INSTR(image, '/') - 1) FROM (
            SELECT image, label, ROW_NUMBER() OVER (PARTITION BY image ORDER BY area DESC, line)
            AS place FROM boxes) WHERE place = 1;
        """
    )
    return database


def _edges(row, where):
    """[xmin, ymin, xmax, ymax] of a row; None if all four cells are empty."""
    texts = [row[name] for name in EDGES]
    if not any(texts):
        return None
    try:
        edges = [float(text) for text in texts]
    except ValueError:
        edges = [math.nan]
    if not all(abs(edge) < 1e9 for edge in edges) or edges[2] < edges[0] or edges[3] < edges[1]:
        raise ValueError(
            f"{where}: {', '.join(EDGES)} = {', '.join(texts)[:200]}: expected finite numbers, the "
            "maxima not below the minima; or four empty cells for an image without boxes."
        )
    return edges


def _label(row, image, where):
    label = row.get("label") if "label" in row else os.path.basename(os.path.dirname(image))
    if not label or ("label" not in row and of_folder(label)):
        raise ValueError(
            f"{where}: image {image!r} has no label: fill the column label, or put the image into "
            "a folder with the name of its class."
        )
    return label


def _check_splits(database, path):
    """Whether images lie in split folders; ValueError if only some do."""
    tops = {top for (top,) in database.execute("SELECT DISTINCT top FROM images")}
    inside = set(filter(of_folder, tops))
    if inside and tops - inside:
        raise ValueError(
            f"{path!r}: some images lie in split folders {sorted(inside)}, others in "
            f"{sorted(tops - inside)[:5]}. Put all of them into split folders, or none."
        )
    return bool(inside)


def _items(options, database, class_names, has_splits) -> Iterator[Item]:
    labels = {name: label for label, name in enumerate(class_names)}
    images = database.execute("SELECT image, label, top FROM images ORDER BY image")
    if has_splits:
        for image, name, top in images:
            yield _item(database, image, name, labels, of_folder(top))
        return
    keys = ((name, image, json.dumps([image, name])) for image, name, _ in images)
    for key, split in dealt(keys, options.split_proportions, options.seed):
        image, name = json.loads(key)
        yield _item(database, image, name, labels, split)


def _item(database, image, name, labels, split):
    boxes = database.execute(
        "SELECT line, participant, edges FROM boxes WHERE image = ? AND label = ? AND edges IS "
        "NOT NULL ORDER BY line",
        (image, name),
    )
    boxes = [(line, participant, json.loads(edges)) for line, participant, edges in boxes]
    return Item(image, split, json.dumps({"label": labels[name], "boxes": boxes}))


def _read(root, csv_name, relative, item: Item) -> Example:
    """Raises BadImageError: the image is missing or damaged, or a box lies wholly outside it."""
    key = json.loads(item.key)
    data = read_image(root, item.image_id, csv_name)
    height, width = geometry.displayed_size(data, item.image_id)
    example = Example(image_id=item.image_id, image=data, label=key["label"], split=item.split)
    return count_maps.attach(
        example, lambda: _maps(key["boxes"], item.image_id, csv_name, relative, height, width)
    )


def _maps(boxes, name, csv_name, relative, height, width):
    """A map of each participant."""
    people: dict[str, list] = {}
    for line, participant, edges in boxes:
        if relative:
            edges = (np.array(edges) * [width, height, width, height]).tolist()
        if not relative and (min(edges) < 0 or edges[2] > width or edges[3] > height):
            logging.log_first_n(
                logging.WARNING,
                "%r, line %d: box %s reaches out of image %r, %d wide and %d high; it is cut off "
                "at the border. (Said of five boxes a process.)",
                5,
                csv_name,
                line,
                edges,
                name,
                width,
                height,
            )
        box = masks.pixel_box(edges, height, width, f"{csv_name!r}, line {line}")
        people.setdefault(participant, []).append(box)
    return [rasterise.rasterise_boxes(found, height, width) for found in people.values()]
