"""The built-in data set (`data_prep/quickstart.py`) as a source."""

import functools
import importlib.util
from collections.abc import Iterator

from data_prep import quickstart
from data_prep.sources import Item, Source, SourceOptions
from gala_tf.records import Example


def load(options: SourceOptions) -> Source:
    """Makes the images while they are read; the seed gives another data set.

    Raises:
      ValueError: scikit-image is not installed.
    """
    if importlib.util.find_spec("skimage") is None:
        raise ValueError(
            "--source=quickstart takes its photographs from scikit-image, which is not installed. "
            "Install the extra: pip install -e '.[quickstart]'"
        )
    return Source(
        class_names=tuple(quickstart.CLASS_NAMES),
        items=_items(options.seed),
        read=functools.partial(_read, options.seed),
        split_rule=f"made separately for each split, seed {options.seed}",
    )


def _items(seed) -> Iterator[Item]:
    for split, count in quickstart.IMAGES.items():
        for number in range(count):
            yield Item(quickstart.image_id(seed, split, number), split, str(number))


def _read(seed, item) -> Example:
    return quickstart.example(seed, item.split, int(item.key))
