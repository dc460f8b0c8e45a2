"""Which class an image of ILSVRC12 shows: from the usual lists, and from a record's own evidence.

The lists are of the 50,000 validation images:

    490                                              the development kit's list: line n is image n,
                                                     ILSVRC2012_ID (label order "devkit")
    n01751748                                        the TensorFlow tools' list: line n is image n
    ILSVRC2012_val_00000001.JPEG 65                  Caffe's val.txt (label order "sorted")
    ILSVRC2012_val_00000001,n01751748 1 2 3 4 ...    Kaggle's LOC_val_solution.csv, with boxes

What numbers mean is checked on the images whose class is known (`imagenet_classes`).
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from data_prep.readers import listing
from data_prep.readers.imagenet import imagenet_classes

NUM_VALIDATION = 50_000
USUAL_FILES = (  # relative to the images' root
    "ILSVRC2012_validation_ground_truth.txt",
    "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt",
    "imagenet_2012_validation_synset_labels.txt",
    "LOC_val_solution.csv",
    "val.txt",
)
_MAX_BYTES = 2**25  # the largest of these lists has 2 MB
_IMAGE = re.compile(r"(?:.*/)?ILSVRC2012_val_(\d{8})(?:_n\d{8})?(?:\.jpe?g)?", re.IGNORECASE)
_WNID = re.compile(r"n\d{8}")


class GroundTruth(NamedTuple):
    """Labels of the validation images."""

    # int16 [50001], number of the image -> label by sorted WordNet id; -1: not listed
    labels: np.ndarray
    path: str  # of the list
    form: str  # in words


def image_number(name: str) -> int | None:
    """1...50000 of "ILSVRC2012_val_00000001.JPEG" (path and ending optional); None of others."""
    match = _IMAGE.fullmatch(name)
    number = int(match[1]) if match else 0
    return number if 1 <= number <= NUM_VALIDATION else None


def read_ground_truth(path: str, order: str = "auto") -> GroundTruth:
    """Reads and checks a list in any of the forms above.

    Args:
      path: local or gs://.
      order: what its numbers mean, of `imagenet_classes.LABEL_ORDERS`; "auto": what they usually
        do in a list of its form, as above.

    ValueError: malformed, not of these images, or its numbers are in another order, which the
    message names.
    """
    values, named = _parse(path)
    if all(_WNID.fullmatch(value) for value in values.values()):
        labels, form = _from_wnids(path, values), "WordNet ids"
    else:
        if order == "auto":
            order = "sorted" if named else "devkit"
        labels, form = _from_numbers(path, values, order), f"numbers in the order {order!r}"
    full = len(values) == NUM_VALIDATION
    if full and not (np.bincount(labels[1:], minlength=1000) == 50).all():
        label = int(np.argmax(np.bincount(labels[1:], minlength=1000) != 50))
        raise ValueError(
            f"Ground truth {path!r}: ILSVRC12 has 50 validation images of every class, this list "
            f"{(labels == label).sum()} of {imagenet_classes.wnids()[label]}. Download it again."
        )
    if not full:
        logging.warning("%r lists %d of the 50,000 validation images.", path, len(values))
    return GroundTruth(labels, path, f"{form}, {'by image name' if named else 'line n = image n'}")


def _parse(path):
    """Image number -> class as written; and whether the lines name their images."""
    size = tf.io.gfile.stat(path).length
    if size > _MAX_BYTES:
        raise ValueError(
            f"Ground truth {path!r} has {size} bytes; no list of 50,000 classes has. Is it the "
            "right file?"
        )
    with tf.io.gfile.GFile(path, "rb") as file:
        lines = file.read().decode("utf-8-sig", "replace").splitlines()
    first = 1 if lines and lines[0].replace(" ", "").lower() == "imageid,predictionstring" else 0
    values, columns = {}, None
    for index, line in enumerate(lines[first:]):
        parts = line.replace(",", " ").split()
        columns = columns or min(len(parts), 2)
        number = image_number(parts[0]) if len(parts) > 1 else index + 1
        value = parts[min(1, len(parts) - 1)] if parts else ""
        valid = _WNID.fullmatch(value) or (value.isascii() and value.isdigit() and len(value) < 6)
        if min(len(parts), 2) == columns and valid and number is not None and number not in values:
            values[number] = value
        else:
            listing.fault(
                f"Ground truth {path!r}, line {index + first + 1}: expected a class (number or "
                "WordNet id), or an image ILSVRC2012_val_XXXXXXXX and its class, each image once; "
                f"got {line[:80]!r}."
            )
    if not values or max(values) > NUM_VALIDATION:
        raise ValueError(
            f"Ground truth {path!r} has {len(values)} lines; expected one for each of the "
            f"{NUM_VALIDATION} validation images of ILSVRC12."
        )
    return values, columns == 2


def _from_wnids(path, values):
    by_wnid = imagenet_classes.labels_by_wnid()
    labels = np.full(NUM_VALIDATION + 1, -1, np.int16)
    for number, wnid in values.items():
        known = imagenet_classes.KNOWN_VALIDATION.get(number, wnid)
        if wnid not in by_wnid:
            listing.fault(
                f"Ground truth {path!r}: {wnid} of image {number} is none of ILSVRC12's 1000 "
                "classes. Is it the list of another data set?"
            )
        elif known != wnid:
            listing.fault(
                f"Ground truth {path!r}: image {number} is of class {known}, the list says {wnid}. "
                "Its lines moved, or it is of another data set: download it again."
            )
        else:
            labels[number] = by_wnid[wnid]
    return labels


def _from_numbers(path, values, order):
    for image, value in values.items():
        if not value.isdigit():
            listing.fault(
                f"Ground truth {path!r} mixes numbers and WordNet ids, as {value} of image {image}."
            )
    numbers = {image: int(value) for image, value in values.items() if value.isdigit()}
    _check_order(path, numbers, order)
    labels = np.full(NUM_VALIDATION + 1, -1, np.int16)
    for image, number in numbers.items():
        try:
            labels[image] = imagenet_classes.to_label(number, order)
        except ValueError as error:
            listing.fault(f"Ground truth {path!r}, image {image}: {error}")
    return labels


def _check_order(path: str, numbers: Mapping[int, int], order: str) -> None:
    """ValueError if the numbers of the known images are another order's; names the one it is."""
    known = {
        image: (numbers[image], imagenet_classes.wnids().index(wnid))
        for image, wnid in imagenet_classes.KNOWN_VALIDATION.items()
        if image in numbers
    }
    if not known:
        logging.warning(
            "%r lists no image whose class is known, so that nothing proves its label order %r.",
            path,
            order,
        )
        return
    fitting = [
        other
        for other in imagenet_classes.LABEL_ORDERS
        if all(imagenet_classes.number_of(label, other) == n for n, label in known.values())
    ]
    if order in fitting:
        return
    image, (number, label) = next(
        (image, found)
        for image, found in known.items()
        if imagenet_classes.number_of(found[1], order) != found[0]
    )
    if fitting:
        explained = imagenet_classes.LABEL_ORDERS[fitting[0]]
        remedy = (
            f"They are in the order {fitting[0]!r} ({explained}): pass "
            f"--ground_truth_order={fitting[0]}."
        )
    elif all(imagenet_classes.number_of(c, "devkit") - 1 == n for n, c in known.values()):
        remedy = "They are ILSVRC2012_ID less 1: add 1 to each."
    elif all(n == image for image, (n, _) in known.items()):
        remedy = "It counts the images and has no classes: give the list of classes."
    else:
        remedy = "They fit no known order: the lines moved, or it is of another data set."
    raise ValueError(
        f"Ground truth {path!r}: its numbers are not in the order {order!r}: image {image} is "
        f"number {imagenet_classes.number_of(label, order)} there, {number} here. {remedy}"
    )


def checked_label(number: int, order: str, evidence: Mapping[str, str], where: str) -> int:
    """The 0-based label by sorted WordNet id, once everything agrees.

    A number read in a wrong order is a valid label of another class, so each record is checked.

    Args:
      number: the recorded label; -1 for a missing one.
      order: which of `imagenet_classes.LABEL_ORDERS` it should be in.
      evidence: what tells the class -> the WordNet id that it tells, as
        {"synset": "n01440764", "file name": "n01440764"}. Empty: only the range is checked.
      where: file and record, for messages.

    ValueError: the evidence disagrees or is no class of ILSVRC12; or the number is another class's,
    and the message names the order that would explain it.
    """
    labels = imagenet_classes.labels_by_wnid()
    told = set(evidence.values())
    if len(told) > 1 or not told <= labels.keys():
        says = " and ".join(f"the {what} says {wnid!r}" for what, wnid in evidence.items())
        raise ValueError(
            f"{where}: {says}; expected one of the 1000 WordNet ids of ILSVRC12, and the same from "
            "both. Were rows mixed up when the file was made? Write it again."
        )
    wnid = told.pop() if told else None
    label = imagenet_classes.labels_by_number(order).get(number)
    if label is None or (wnid is not None and labels[wnid] != label):
        raise ValueError(_wrong(number, order, wnid, where))
    return label


def _wrong(number, order, wnid, where):
    orders, expected, fits = imagenet_classes.LABEL_ORDERS, "", []
    if wnid is not None:
        label = imagenet_classes.labels_by_wnid()[wnid]
        expected = f"{imagenet_classes.number_of(label, order)} for {wnid}, "
        fits = [other for other in orders if imagenet_classes.number_of(label, other) == number]
    if number == -1:
        seems = "-1 stands for a missing label"
    elif fits:
        seems = "The labels seem to be in the order " + " or ".join(
            f"{other!r} ({orders[other]})" for other in fits
        )
    else:
        seems = "No order known here gives that"
    return (
        f"{where}: label {number}, expected {expected}{order!r} ({orders[order]}). {seems}. Write "
        "the files again with their own writer, or build from images and labels."
    )
