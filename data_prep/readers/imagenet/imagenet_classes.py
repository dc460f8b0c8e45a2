"""The 1000 classes of ILSVRC12, and the three orders in which files number them.

`imagenet_classes.tsv` has one class a line, sorted by its WordNet id: that id, the ILSVRC2012_ID
of the challenge's development kit, and the first of the class's words.

The orders give different numbers to one class, and a wrong one shows only as chance accuracy. So
labels are checked against files whose class is known: those named after their WordNet id, and a
few validation images. The ids and the validation images' classes are those of TensorFlow Datasets
(`imagenet2012`), the kit's order that of `imagenet_resized` there.
"""

import functools
import os
import re
from collections.abc import Mapping
from types import MappingProxyType

LABEL_ORDERS = MappingProxyType(
    {
        "sorted": "0...999 by sorted WordNet id: this project, TFDS, Keras, torchvision, ClickMe",
        "sorted_from_1": "1...1000 by sorted WordNet id, 0 = background: the classic TFRecords",
        "devkit": "ILSVRC2012_ID 1...1000: the development kit and its validation ground truth",
    }
)

# ILSVRC2012_val_XXXXXXXX: number -> WordNet id. In no two orders do these images agree.
KNOWN_VALIDATION = MappingProxyType(
    {
        1: "n01751748",  # sea snake
        2: "n09193705",  # alp
        3: "n02105855",  # Shetland sheepdog
        4: "n04263257",  # soup bowl
        5: "n03125729",  # cradle
        6: "n01735189",  # garter snake
        7: "n02346627",  # porcupine
        8: "n02776631",  # bakery
        293: "n01440764",  # tench
        1000: "n03018349",  # china cabinet
        10000: "n03908714",  # pencil sharpener
        25000: "n03595614",  # jersey
        49999: "n10148035",  # groom
        50000: "n02437616",  # llama
    }
)

_WNID_IN_STEM = re.compile(r"(?:^|_)(n\d{8})(?:_|$)")  # n01440764_10026; some add it to val names
_VALIDATION_STEM = re.compile(r"^ILSVRC2012_val_(\d{8})(?:_n\d{8})?$")


@functools.cache
def wnids() -> tuple[str, ...]:
    """The WordNet ids "n01440764" ..., sorted: index = label."""
    return tuple(row[0] for row in _table())


@functools.cache
def class_names() -> tuple[str, ...]:
    """A name for people, unique, in the order of `wnids`; with the id where two classes share it.

    Two are called "crane" (the bird, the machine), two "maillot".
    """
    first = [row[2] for row in _table()]
    return tuple(
        name if first.count(name) == 1 else f"{name} ({wnid})" for wnid, _, name in _table()
    )


def to_label(number: int, order: str) -> int:
    """The 0-based label by sorted WordNet id of a class that `order` gives `number`.

    ValueError: the order is not in LABEL_ORDERS, or the number is not one of it. The background (0)
    of "sorted_from_1" is no class.
    """
    labels = labels_by_number(order)
    if number not in labels:
        raise ValueError(
            f"Class number {number} is not in the label order {order!r} ({LABEL_ORDERS[order]}); "
            f"expected {min(labels)}...{max(labels)}. Name the order that these numbers have."
        )
    return labels[number]


def number_of(label: int, order: str) -> int:
    """The number that `order` gives the class of a 0-based label: the inverse of `to_label`."""
    if not 0 <= label < len(_table()):
        raise ValueError(f"A label must be in 0...{len(_table()) - 1}, got {label}.")
    return next(n for n, other in labels_by_number(order).items() if other == label)


def known_wnid(file_stem: str) -> str | None:
    """The class of an ImageNet file, as far as its name gives it away; None if it does not.

    `file_stem`: name without folder and ending: "n01440764_10026", "ILSVRC2012_val_00000293".
    """
    validation = _VALIDATION_STEM.match(file_stem)
    if validation and int(validation[1]) in KNOWN_VALIDATION:
        return KNOWN_VALIDATION[int(validation[1])]
    return wnid_in_name(file_stem)


def wnid_in_name(file_stem: str) -> str | None:
    """The WordNet id of one of the classes that stands in a file's name; None if none does."""
    in_stem = _WNID_IN_STEM.search(file_stem)
    return in_stem[1] if in_stem and in_stem[1] in labels_by_wnid() else None


def check_known(file_stem: str, label: int, order: str = "sorted") -> None:
    """Checks the label of an ImageNet file if its class is known; else does nothing.

    Args:
      file_stem: as for `known_wnid`.
      label: what `to_label(number, order)` made of the number that came with the file.
      order: so that the error can say what order that number is really in.

    ValueError: the label is another class's. It names the order that would explain it.
    """
    wnid = known_wnid(file_stem)
    if wnid is None or labels_by_wnid()[wnid] == label:
        return
    wanted, is_class = labels_by_wnid()[wnid], 0 <= label < len(_table())
    number = number_of(label, order) if is_class else label
    explained = [
        other for other in LABEL_ORDERS if other != order and number_of(wanted, other) == number
    ]
    if explained:
        fits = f"{number} is its number in the order {explained[0]!r}"
        remedy = f"{fits} ({LABEL_ORDERS[explained[0]]}): read the labels so."
    elif number_of(wanted, "devkit") == number + 1:
        remedy = f"{number} is its ILSVRC2012_ID less 1: add 1 and read the labels as 'devkit'."
    else:
        remedy = "No known order explains that: look for rows that moved, or for another data set."
    got = f"{wnids()[label]} ({class_names()[label]})" if is_class else "no class"
    raise ValueError(
        f"ImageNet's {file_stem!r} is of class {wnid} ({class_names()[wanted]}, label {wanted} by "
        f"sorted WordNet id), but got label {label}, {got}, from labels read in the order "
        f"{order!r}. {remedy}"
    )


@functools.cache
def _table():
    path = os.path.join(os.path.dirname(__file__), "imagenet_classes.tsv")
    with open(path, encoding="ascii") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return tuple((wnid, int(devkit_id), name) for wnid, devkit_id, name in rows)


@functools.cache
def labels_by_wnid() -> Mapping[str, int]:
    """WordNet id -> 0-based label."""
    return MappingProxyType({wnid: label for label, wnid in enumerate(wnids())})


@functools.cache
def labels_by_number(order: str) -> Mapping[int, int]:
    """Number in `order` -> 0-based label; ValueError: no such order."""
    if order not in LABEL_ORDERS:
        raise ValueError(
            f"Label order {order!r} is unknown. Expected one of: {', '.join(LABEL_ORDERS)}."
        )
    columns = {
        "sorted": range(len(_table())),
        "sorted_from_1": range(1, len(_table()) + 1),
        "devkit": [devkit_id for _, devkit_id, _ in _table()],
    }
    return MappingProxyType({number: label for label, number in enumerate(columns[order])})
