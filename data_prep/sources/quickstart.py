"""The built-in data set (`data_prep/quickstart.py`) as a source."""

from data_prep.sources import Source, SourceOptions


def load(options: SourceOptions) -> Source:
    """Makes the images while they are read; the seed gives another data set."""
    from data_prep import quickstart  # here, since it needs the [quickstart] extra

    return Source(
        class_names=tuple(quickstart.CLASS_NAMES),
        examples=quickstart.examples(seed=options.seed),
        count=None,
        split_rule=f"made separately for each split, seed {options.seed}",
    )
