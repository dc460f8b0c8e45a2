"""What all published forms of ClickMe share: how labels are numbered, and the human ceiling."""

import os
import re

from data_prep.readers.imagenet import imagenet_classes
from gala_tf import metrics
from gala_tf.data.images import BadImageError

# Of ClickMe's maps, whoever publishes them.
HUMAN_CEILING = {
    "value": metrics.PAPER_HUMAN_CEILING,
    "estimator": "mean Spearman of two random participants per image, 49x49 blur, 10,000 images",
    "source": "Linsley et al. 2019, appendix",
}


def read_label(number: int, order: str, name: str, file_path: str = "") -> int:
    """The 0-based label of a class's number, checked against the name of its file if known.

    ValueError: `order` has no such number, or the file's class is another; it says which order
    would fit. BadImageError: no order has such a number.
    """
    stem = os.path.splitext(re.split(r"[/\\]", file_path)[-1])[0]
    try:
        label = imagenet_classes.to_label(number, order)
    except ValueError as error:
        fitting = [
            other
            for other in imagenet_classes.LABEL_ORDERS
            if number in imagenet_classes.labels_by_number(other)
        ]
        if not fitting:
            raise BadImageError(
                f"{name}: label {number} is in no order of ImageNet's 1000 classes "
                f"({', '.join(imagenet_classes.LABEL_ORDERS)}). Leave it out."
            ) from error
        remedy = " or ".join(f"--label_order={other}" for other in fitting if other != order)
        raise ValueError(f"{name}: {error} Labels with {number} may be {remedy}.") from error
    try:
        imagenet_classes.check_known(stem, label, order)
    except ValueError as error:
        raise ValueError(f"{name}: {error} (--label_order={order})") from error
    return label
