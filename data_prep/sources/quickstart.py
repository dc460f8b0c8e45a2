"""The built-in data set (`data_prep/sources/quickstart_maker.py`) as a source."""

import functools
import importlib.util
from collections.abc import Iterator

from data_prep.sources import Item, Source, SourceOptions, quickstart_maker
from gala_tf.data.records import Example


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
        class_names=tuple(quickstart_maker.CLASS_NAMES),
        items=_items(options.seed),
        read=functools.partial(_read, options.seed),
        split_rule=f"made separately for each split, seed {options.seed}",
    )


def _items(seed) -> Iterator[Item]:
    for split, count in quickstart_maker.IMAGES.items():
        for number in range(count):
            yield Item(quickstart_maker.image_id(seed, split, number), split, str(number))


def _read(seed, item) -> Example:
    return quickstart_maker.example(seed, item.split, int(item.key))
