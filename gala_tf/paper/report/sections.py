"""Which runs of a report stand together: one section a data set and split, never two in a table."""

import dataclasses

from gala_tf.evaluation import per_image
from gala_tf.paper.report import lines as report_rows

FULL_ILSVRC = 1_000_000  # training images; ClickMe has 329,036, the full ILSVRC12 1.28 million


@dataclasses.dataclass(frozen=True)
class Section:
    """All runs of one data set and split.

    Attributes:
        runs: all of them, in order of their names.
        lines: finished runs by flags (`report_rows.make_lines`).
        chosen: the lines of the tables: of each sweep of lambda, one.
        reasons: why those, in sentences.
        repeated: [(run left out, run that stands for it)].
    """

    runs: tuple
    lines: list
    chosen: list
    reasons: list[str]
    repeated: list

    @property
    def info(self):
        return self.runs[0].info

    @property
    def split(self) -> str:
        return self.runs[0].split

    @property
    def tables(self) -> tuple[int, ...]:
        return paper_tables(self.info)


def make_sections(runs, table_lambda: float | None) -> list[Section]:
    """Runs by data set (its name and its shards' hashes) and split: never two in one table.

    Raises:
        ValueError: per-image results of other images than their neighbours', or no lambda can be
            chosen (`report_rows.choose_lambdas`).
    """
    groups = {}
    for run in runs:
        groups.setdefault((run.info.name, run.data_set, run.split), []).append(run)
    sections = []
    for _, group in sorted(groups.items()):
        finished = [run for run in group if run.results is not None]
        per_image.require_same_images(
            {
                f"per_image-{run.split}.csv of {run.name}": run.images
                for run in finished
                if run.images is not None
            }
        )
        lines, repeated = report_rows.make_lines(finished)
        chosen, reasons = report_rows.choose_lambdas(lines, table_lambda)
        sections.append(Section(tuple(group), lines, chosen, reasons, repeated))
    return sections


def paper_tables(info) -> tuple[int, ...]:
    """The tables of the paper that a data set's runs belong in.

    The full ILSVRC12 without maps is Table 2's, with maps on some images Table 4's. All else is
    Tables 1 and 3's: ClickMe itself, or what stands for it.
    """
    images = sum(split.examples for split in info.splits.values())
    if info.num_classes != 1000 or images < FULL_ILSVRC:
        return (1, 3)
    return (4,) if any(split.with_clickmap for split in info.splits.values()) else (2,)


def same_data(info) -> bool:
    """Whether the published numbers are of this data, as far as name and sizes tell."""
    clickme = info.num_classes == 1000 and "clickme" in info.name.lower()
    return paper_tables(info) != (1, 3) or clickme


def simulated(info) -> bool:
    """Whether it is the built-in data set, under whatever name."""
    return info.name == "quickstart" or "source=quickstart" in info.command
