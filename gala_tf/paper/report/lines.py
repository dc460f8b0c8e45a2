"""Which runs of a report stand together: those of a line, and the lines of a section.

Runs that differ in nothing but `--seed` are one line of a table; which row of the paper's it is
follows from their flags alone, never from where they lie. A section is one data set and split: two
are never in one table.
"""

import dataclasses

from gala_tf import config
from gala_tf.evaluation import naming, per_image
from gala_tf.paper.published import ROWS, row_of

REFERENCE = "gala_clickmaps"  # what the paper's stars compare every other row with
FULL_ILSVRC = 1_000_000  # training images; ClickMe has 329,036, the full ILSVRC12 1.28 million
NO_ROW = "no row of the paper"


def words_of(run_config: config.Config) -> str:
    """The name of a run's row; NO_ROW if it has none."""
    try:
        return row_name(row_of(run_config))
    except ValueError:
        return NO_ROW


def row_name(row: str) -> str:
    """The paper's name of a key; a network that the paper has not is called what it is."""
    return ROWS[row].name if row in ROWS else row


def flags_of(run_config: config.Config) -> dict:
    """{flag: value} of all that decides a run's result, except its seed."""
    idle = []  # without effect in this network: counted as if they were at their defaults
    if run_config.map_loss_weight == 0:
        idle += ["map_source", "map_target", "map_units", "map_resize"]
    if run_config.attention == "none":
        idle += ["reduction_ratio"]
    if run_config.attention in ("none", "se"):
        idle += ["saliency_bias"]
    default = config.Config()
    return {
        field.name: getattr(default if field.name in idle else run_config, field.name)
        for field in dataclasses.fields(run_config)
        if not field.metadata["same_result"] and field.name != "seed"
    }


@dataclasses.dataclass(frozen=True)
class Line:
    """Finished runs that differ in nothing but their seeds, in the order of these."""

    row: str  # a key of ROWS; for a network that the paper has not, its name
    label: str  # the row's name, and flags in which lines of the same row differ
    flags: dict  # from `flags_of`
    runs: tuple  # of `runs.StoredRun`, at least one

    @property
    def map_loss_weight(self) -> float:
        return self.flags["map_loss_weight"]

    def differs(self, other: "Line") -> int:
        """In how many flags."""
        return sum(str(self.flags[name]) != str(other.flags[name]) for name in self.flags)


def make_lines(runs) -> tuple[list[Line], list[tuple]]:
    """Finished runs of one data set as lines, in the order of ROWS, then of flags.

    And the repetitions among them, [(run left out, run that stands for it)]: two runs of the same
    flags and seed are one experiment made twice, and would make an interval over seeds too short.
    """
    groups, repeated = {}, []
    for run in runs:
        try:
            row = row_of(run.config)
        except ValueError:
            row = naming.network_name(run.config)
        # By flags, not by directory: a run may have been moved, or begun twice.
        group = groups.setdefault((row, tuple(flags_of(run.config).items())), {})
        standing = group.setdefault(run.config.seed, run)
        if standing is not run:
            repeated.append((run, standing))
    order = list(ROWS)

    def place(item):
        row, flags = item[0]
        known = order.index(row) if row in ROWS else len(order)
        # Numbers by size and before words, which Python does not compare with them.
        values = [
            (0, value, "") if isinstance(value, (int, float)) else (1, 0, str(value))
            for _, value in flags
        ]
        return known, row, values

    lines = []
    for (row, flags), group in sorted(groups.items(), key=place):
        members = tuple(group[seed] for seed in sorted(group))
        lines.append(Line(row, row_name(row), dict(flags), members))
    return with_labels(lines), repeated


def with_labels(lines) -> list[Line]:
    """The lines, each called after its row; where several share one, with the flags they differ in.

    Two rows of the same name would be two numbers that nobody can tell apart.
    """
    labelled = []
    for line in lines:
        alike = [other for other in lines if other.row == line.row]
        differ = [name for name in line.flags if len({str(x.flags[name]) for x in alike}) > 1]
        parts = [f"--{name}={flag_text(line.flags[name])}" for name in differ]
        label = row_name(line.row) + (f" ({' '.join(parts)})" if parts else "")
        labelled.append(dataclasses.replace(line, label=label))
    return labelled


def flag_text(value) -> str:
    """A flag's value as it is written on a command line."""
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def choose_lambdas(lines, table_lambda: float | None):
    """The lines that stand in the tables: of each sweep of lambda, one; others are in Figure 7.

    Where lines differ in nothing but `--map_loss_weight`, the one with the highest mean validation
    top-1 stands for them (the paper's rule: "weights that optimized accuracy on the validation
    ClickMe dataset"), the smallest lambda among equals; or `table_lambda`. The test split has no
    say. Returns (lines for the tables, sentences that say what was chosen, and why). ValueError:
    `table_lambda` is not among a sweep's, or validation was not logged.
    """
    sweeps = {}
    for line in lines:
        others = [(name, value) for name, value in line.flags.items() if name != "map_loss_weight"]
        sweeps.setdefault((line.row, tuple(others)), []).append(line)
    chosen, reasons = [], []
    for (row, _), sweep in sweeps.items():
        if len(sweep) == 1:
            chosen += sweep
            continue
        values = [line.map_loss_weight for line in sweep]
        listed = ", ".join(f"{value:g}" for value in values)
        if table_lambda is None:
            scores = [_mean_validation(line) for line in sweep]
            # Of equals the smallest lambda, in whatever order they come.
            best = max(range(len(sweep)), key=lambda i: (scores[i], -values[i]))
            each = (f"{v:g}: {100 * s:.1f} %" for v, s in zip(values, scores, strict=True))
            why = f"the highest mean validation top-1 ({', '.join(each)})"
        elif table_lambda in values:
            best, why = values.index(table_lambda), "as --table_lambda says"
        else:
            raise ValueError(
                f"--table_lambda={table_lambda:g}: {row_name(row)} was run with "
                f"--map_loss_weight={listed}. Give one of these, or none."
            )
        chosen.append(sweep[best])
        reasons.append(
            f"{row_name(row)} was run with lambda = {listed}; the tables show lambda = "
            f"{values[best]:g}, {why}."
        )
    return with_labels(chosen), reasons


def _mean_validation(line):
    for run in line.runs:
        if run.validation_top1 is None:
            raise ValueError(
                f"Run {run.name!r} has no validation top-1 in metrics.jsonl, by which the lambda "
                "of the tables is chosen. Copy that file, or say --table_lambda=..."
            )
    return sum(run.validation_top1 for run in line.runs) / len(line.runs)


def nearest_reference(line, lines) -> Line | None:
    """The GALA w/ ClickMe line that a line is compared with: fewest other flags differ.

    None if there is none, or the line is itself one.
    """
    references = [other for other in lines if other.row == REFERENCE]
    return None if line.row == REFERENCE else min(references, key=line.differs, default=None)


@dataclasses.dataclass(frozen=True)
class Section:
    """All runs of one data set and split."""

    runs: tuple  # in order of their names
    lines: list  # finished runs by flags
    chosen: list  # the lines of the tables: of each sweep of lambda, one
    reasons: list[str]  # why those, in sentences
    repeated: list  # [(run left out, run that stands for it)]

    @property
    def info(self):
        return self.runs[0].info

    @property
    def split(self) -> str:
        return self.runs[0].split

    @property
    def finished(self) -> int:
        return sum(run.results is not None for run in self.runs)


def make_sections(runs, table_lambda: float | None) -> list[Section]:
    """Runs by data set (its name and its shards' hashes) and split: never two in one table.

    ValueError: per-image results of other images than their neighbours', or no lambda can be
    chosen.
    """
    groups = {}
    for run in runs:
        groups.setdefault((run.info.name, run.data_set, run.split), []).append(run)
    sections = []
    for _, group in sorted(groups.items()):
        finished = [run for run in group if run.results is not None]
        with_images = [run for run in finished if run.images is not None]
        per_image.require_same_images(
            {f"per_image-{run.split}.csv of {run.name}": run.images for run in with_images}
        )
        lines, repeated = make_lines(finished)
        chosen, reasons = choose_lambdas(lines, table_lambda)
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
