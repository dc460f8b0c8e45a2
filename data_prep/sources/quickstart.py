"""The built-in data set (`data_prep/quickstart.py`) as a source."""

import importlib.util

from data_prep import quickstart
from data_prep.sources import Source, SourceOptions


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
        examples=quickstart.examples(seed=options.seed),
        count=sum(quickstart.IMAGES.values()),
        split_rule=f"made separately for each split, seed {options.seed}",
    )
