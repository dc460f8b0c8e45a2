"""The boxes inside the classic ImageNet TFRecords.

image/object/bbox/{xmin,xmax,ymin,ymax}: edges as fractions of width and height, one value a box,
clamped to 0...1 and put in order by their writer (tensorflow/models,
research/slim/datasets/process_bounding_boxes.py). No values: nobody drew a box.
"""

import numpy as np

from data_prep.readers.examples.example_fields import Fields

EDGES = ("xmin", "ymin", "xmax", "ymax")
DIGITS = 4  # that they had as text, before they became float32


def fractions(data: bytes, where: str) -> list[list[float]]:
    """Boxes (xmin, ymin, xmax, ymax) of a record, as `imagenet_boxes.box_map` takes them.

    Args:
      data: the record, a tf.train.Example.
      where: file and record, for messages.

    Raises:
      ValueError: the record has no features for boxes, or not a valid box.
    """
    fields = Fields(data, where)
    edges = {edge: fields.floats(f"image/object/bbox/{edge}") for edge in EDGES}
    absent = [edge for edge, values in edges.items() if values is None]
    if absent:
        raise ValueError(
            f"{where}: no feature image/object/bbox/{absent[0]}, so no boxes: tensorflow/tpu's "
            "imagenet_to_gcs.py and TFDS leave them out. Build without --boxes, or from images and "
            "files of boxes (--source=imagenet)."
        )
    lengths = {edge: len(values) for edge, values in edges.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(
            f"{where}: image/object/bbox has {lengths} values, expected as many of each edge. "
            "Write the record again, or build without --boxes."
        )
    boxes = np.array([edges[edge] for edge in EDGES], np.float64).T.round(DIGITS)  # [M, 4]
    in_order = (boxes[:, :2] <= boxes[:, 2:]).all(1)
    good = in_order & (boxes >= 0).all(1) & (boxes <= 1).all(1)  # NaN fails every comparison
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        raise ValueError(
            f"{where}: box {first} (xmin, ymin, xmax, ymax) is {boxes[first].tolist()}, expected "
            "minima <= maxima, all in 0...1. Write the record again, or build without --boxes."
        )
    return boxes.tolist()
