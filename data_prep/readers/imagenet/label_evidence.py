"""An ImageNet label, checked against all that tells the image's class.

A number read in a wrong order is a valid label of another class, so each record is checked.
"""

import functools
from collections.abc import Mapping

from data_prep.readers.imagenet import imagenet_classes


def checked_label(number: int, order: str, evidence: Mapping[str, str], where: str) -> int:
    """The 0-based label by sorted WordNet id, once everything agrees.

    Args:
      number: the recorded label; -1 for a missing one.
      order: which of `imagenet_classes.LABEL_ORDERS` it should be in.
      evidence: what tells the class -> the WordNet id that it tells, as
        {"synset": "n01440764", "file name": "n01440764"}. Empty: only the range is checked.
      where: file and record, for messages.

    Raises:
      ValueError: the evidence disagrees or is no class of ILSVRC12; or the number is another
        class's, and the message names the order that would explain it.
    """
    labels = _labels()
    told = set(evidence.values())
    if len(told) > 1 or not told <= labels.keys():
        says = " and ".join(f"the {what} says {wnid!r}" for what, wnid in evidence.items())
        raise ValueError(
            f"{where}: {says}; expected one of the 1000 WordNet ids of ILSVRC12, and the same from "
            "both. Were rows mixed up when the file was made? Write it again."
        )
    wnid = told.pop() if told else None
    label = _by_number(order).get(number)
    if label is None or (wnid is not None and labels[wnid] != label):
        raise ValueError(_wrong(number, order, wnid, where))
    return label


def _wrong(number, order, wnid, where):
    orders = imagenet_classes.LABEL_ORDERS
    expected = ""
    fits = [other for other in orders if wnid and _by_number(other).get(number) == _labels()[wnid]]
    if wnid is not None:
        wanted = next(n for n, label in _by_number(order).items() if label == _labels()[wnid])
        expected = f"{wanted} for {wnid}, "
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


@functools.cache
def _labels():
    """WordNet id -> label."""
    return {wnid: label for label, wnid in enumerate(imagenet_classes.wnids())}


@functools.cache
def _by_number(order):
    """Number in `order` -> label."""
    numbers = {}
    for number in range(len(_labels()) + 1):  # of orders from 0 and from 1
        try:
            numbers[number] = imagenet_classes.to_label(number, order)
        except ValueError:
            continue
    return numbers
