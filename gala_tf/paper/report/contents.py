"""What a report says of one data set: its tables, tests and figures, top to bottom."""

from collections import Counter

from gala_tf import models
from gala_tf.evaluation import scores
from gala_tf.paper import published
from gala_tf.paper.report import by_image, figures, numbers, tables
from gala_tf.paper.report import lines as grouping
from gala_tf.paper.report.lines import Section, same_data
from gala_tf.paper.report.page import Bullets, Figure, Heading, Paragraph

# Sentences that are always the same: what the numbers mean, and what they do not.
INTERVALS = (
    "Brackets are 95 % intervals. With two seeds or more: Student's t over seeds, which speaks of "
    "networks not yet trained; those of errors end at 0 and 100 %. With one seed there is no "
    "such interval, and brackets are over images instead: Wilson's for errors; for maps a "
    "bootstrap, or, where a run has no per_image file, the normal interval of the standard error. "
    "Intervals of map scores take the ceiling as known."
)
TESTS = (
    "Two-sided paired tests over images against the network in the second column, as the paper's "
    "stars (p < 0.01, *). Differences are the network minus the one compared with. Permutation: "
    "each image's value averaged over seeds, then 10,000 random sign flips of the differences. "
    "McNemar: exact, for each seed that both have. These speak of other images for these trained "
    "networks; the differences over pairs of seeds speak of other seeds. p are not corrected for "
    "their number"
)
SIMULATED = (
    "The built-in data set is a miniature: its maps are simulated from the true figure, and "
    "its design was tuned for a task that such maps help with. Its numbers show that the mechanism "
    "works from end to end. They do not show that human attention helps, and they neither "
    "reproduce nor contradict the published ones."
)
OTHER_DATA = (
    "The published numbers are of other data than this section's, and of networks of full size: "
    "compare the order of rows and the direction of differences, not the values."
)
NOT_QUOTED = (
    "The published numbers are of other data than this section's, and are left out; "
    "--published=always puts them beside these, marked."
)
CHOSEN_HERE = "Weights were chosen on this very split, as in the paper: errors are optimistic."


def section_blocks(section: Section, prefix: str, quoted: bool = False) -> list:
    """A section's tables and figures; `prefix` begins the names of its files.

    Published numbers stand beside ours where our data is the paper's; if `quoted`, also elsewhere.
    """
    info, lines = section.info, section.chosen
    blocks = [Heading(2, _title(section)), Paragraph(_data_words(section))]
    if info.simulated:
        blocks.append(Paragraph(SIMULATED, note=True))
    if not same_data(info):
        blocks.append(Paragraph(OTHER_DATA if quoted else NOT_QUOTED, note=True))
    quoted = quoted or same_data(info)
    if section.split == section.runs[0].config.validation_split:
        blocks.append(Paragraph(CHOSEN_HERE, note=True))
    blocks += _left_out_blocks(section)
    if not lines:
        return [*blocks, Paragraph("No run of this data set is finished.")]
    relative = numbers.has_ceiling(lines)  # one unit for all of a section's map scores
    tested = compare_lines(lines)
    blocks += _table_blocks(section, tested, relative, quoted)
    blocks += _test_blocks(lines, tested)
    blocks += _map_blocks(lines, relative, prefix)
    blocks += _lambda_blocks(section, relative, prefix, quoted)
    blocks += by_image.image_blocks(lines, relative, prefix)
    blocks += _attention_blocks(lines, section.split, prefix)
    return blocks


def _title(section):
    """The data set by its name, the end of its folder, which people chose, and its shards."""
    run = section.runs[0]
    folder = "/".join(run.config.data_dir.rstrip("/").split("/")[-2:])
    return f"{section.info.name} ({folder}, shards {run.data_set}), {section.split} split"


def _data_words(section):
    info = section.info
    parts = ", ".join(f"{split.examples:,} {name}" for name, split in info.splits.items())
    sizes = sorted({_size_words(run.config) for run in section.runs})
    return (
        f"{info.num_classes} classes; {parts} images. {len(section.runs)} runs, "
        f"{section.finished} of them finished. Networks: {'; '.join(sizes)}. Rows have the paper's "
        "names, whatever the size."
    )


def _size_words(run_config):
    blocks = grouping.flag_text(run_config.stage_blocks)
    words = f"ResNet-({blocks})" if blocks else f"ResNet-{run_config.depth}"
    if run_config.stage_widths:
        words += f", {grouping.flag_text(run_config.stage_widths)} channels"
    if run_config.width_multiplier != 1:
        words += f", widths times {run_config.width_multiplier:g}"
    return f"{words}, {run_config.image_size} px, {run_config.epochs:g} epochs"


def _left_out_blocks(section):
    """Runs that were given and stand in no table: nothing is left out in silence."""
    items = []
    for run in section.runs:
        if run.results is None:
            row = grouping.words_of(run.config)
            items.append(f"{run.name}: unfinished ({row}, no results-{run.split}.json)")
    for pair in section.repeated:
        same = all(len({run.results[name] for run in pair}) == 1 for name in ("top1", "top5"))
        errors = [f"top-1 error {100 * (1 - run.results['top1']):.1f} %" for run in pair]
        items.append(
            f"{pair[0].name}: same flags and seed as {pair[1].name}, counted once; its results "
            + ("are the same" if same else f"differ ({'; '.join(errors)})")
        )
    return [Paragraph("Not in the tables:"), Bullets(tuple(items))] if items else []


def compare_lines(lines):
    """{label: (Paired, label of the reference)} of all lines whose runs have their images."""
    tested = {}
    for line in lines:
        reference = grouping.nearest_reference(line, lines)
        if reference and by_image.has_images(line, reference):
            tested[line.label] = (numbers.compare(line, reference), reference.label)
    return tested


def _table_blocks(section, tested, relative, quoted):
    lines, classes = section.chosen, section.info.num_classes
    unfinished = [run.config for run in section.runs if run.results is None]
    waiting = Counter(
        published.row_of(run_config)
        for run_config in unfinished
        if grouping.words_of(run_config) != grouping.NO_ROW
    )
    which = grouping.paper_tables(section.info)
    compared = {label: paired for label, (paired, _) in tested.items()}
    here = same_data(section.info)
    table = tables.paper_table(which, lines, compared, waiting, relative, here, quoted)
    by_lambda = {}  # of the rows with maps
    for line in lines:
        if line.map_loss_weight:
            by_lambda.setdefault(f"{line.map_loss_weight:g}", []).append(line.label)
    notes = [INTERVALS]
    for weight, labels in by_lambda.items():
        notes.append(f"Lambda (--map_loss_weight) {weight}: {', '.join(labels)}.")
    notes += section.reasons
    if tested:
        notes.append("* differs from GALA-ResNet-50 w/ ClickMe, p < 0.01 (tests below).")
    if classes <= scores.TOP5_CLASSES:
        notes.append(f"With {classes} classes, top-5 errors are 0: left out.")
    elif classes <= 10:
        notes.append(f"With {classes} classes, top-5 errors say little.")
    notes += tables.order_sentences(lines, relative, quoted)
    return [Heading(3, f"{table_names(which)}: errors and maps"), table, Bullets(tuple(notes))]


def table_names(which) -> str:
    """ "Tables 1 and 3" of (1, 3)."""
    return f"Table{'s' * (len(which) > 1)} {' and '.join(map(str, which))}"


def _test_blocks(lines, tested):
    blocks = [Heading(3, "The stars: paired tests")]
    if tested:
        blocks += [
            Paragraph(f"{TESTS} ({3 * len(tested)} permutation tests here)."),
            tables.errors_tests(tested),
            tables.maps_tests(tested),
        ]
    reference = grouping.REFERENCE
    untested = [x.label for x in lines if x.label not in tested and x.row != reference]
    if untested:
        why = f"{grouping.row_name(reference)} was not run"
        if any(line.row == reference for line in lines):
            why = "a run lacks its per_image file"
        blocks.append(Paragraph(f"Not tested, since {why}: {', '.join(untested)}."))
    return blocks if len(blocks) > 1 else []


def _map_blocks(lines, relative, prefix):
    lines = [line for line in lines if line.runs[0].results["maps"]]
    if not lines:
        return [Heading(3, "Maps"), Paragraph("No run has map scores: no image has a map.")]
    found = [run.results["human_ceiling"] for line in lines for run in line.runs]
    # One a data set, unless runs were evaluated with other blurs: each is said once.
    ceilings = sorted({(ceiling["value"], ceiling["estimator"]) for ceiling in found}, key=str)
    ceiling = numbers.ceiling_words(lines).capitalize()
    words = [
        f"{ceiling} {'none' if value is None else f'{value:.3f}'}: {estimator}."
        for value, estimator in ceilings
    ]
    places = []  # {layer name: the paper's number} a line
    for line in lines:
        first = line.runs[0]
        unit, stages = models.stage_layout(first.config.depth, first.config.stage_blocks)
        names = first.results["maps"]
        places.append({name: models.layer_number(name, stages, unit) for name in names})
    return [
        Heading(3, "Maps of the final layer, and baselines"),
        tables.maps_table(lines, relative),
        Bullets(tuple(words)),
        Heading(3, "Maps of each layer"),
        figures.layers(f"{prefix}layers.png", lines, places, relative),
        tables.layers_table(lines, places, relative),
    ]


def find_sweeps(lines) -> list[tuple]:
    """Lines of GALA that differ in lambda alone, two values or more, ascending, a tuple a sweep."""
    idle = ("map_loss_weight", "map_source", "map_target", "map_resize")  # the last of lambda 0
    groups = {}
    for line in lines:
        if line.row in ("gala", grouping.REFERENCE):
            key = tuple((name, value) for name, value in line.flags.items() if name not in idle)
            groups.setdefault(key, []).append(line)
    sweeps = [sorted(group, key=lambda line: line.map_loss_weight) for group in groups.values()]
    return [tuple(sweep) for sweep in sweeps if len(sweep) > 1]


def _lambda_blocks(section, relative, prefix, quoted):
    blocks = [Heading(3, "Figure 7: accuracy and maps against lambda")]
    caption = published.document()["figure_7"]
    points = []
    for point in caption["values"] if quoted else ():
        weight = point["lambda"]
        # The caption does not say which lambda its second number is of.
        points.append((caption["chosen_lambda"] if weight is None else weight, point["value"]))
    label = f"published (ClickMe{'' if same_data(section.info) else ': other data'})"
    floors = [line for line in section.lines if line.row == "resnet"]
    for i, sweep in enumerate(find_sweeps(section.lines)):
        floor = min(floors, key=sweep[0].differs, default=None)
        name = f"{prefix}figure7{f'-{i + 1}' if i else ''}.png"
        blocks.append(figures.figure7(name, sweep, floor, relative, points, label))
        blocks.append(tables.lambda_table(sweep, relative, quoted))
    if len(blocks) == 1:
        blocks.append(Paragraph("Not run: that takes GALA at two values of lambda or more."))
    return blocks


def _attention_blocks(lines, split, prefix):
    """Of each line the picture that the run with the best validation left."""
    blocks = [Heading(3, "Attention on test images" if split == "test" else "Attention on images")]
    for i, line in enumerate(lines):
        drawn = [run for run in line.runs if run.picture is not None]
        if not drawn:
            continue
        best = max(drawn, key=lambda run: (run.validation_top1 or -1.0, -run.config.seed))
        caption = f"{line.label}, run {best.name}"
        if best.validation_top1 is not None and len(line.runs) > 1:
            among = " of those drawn" if len(drawn) < len(line.runs) else ""
            caption += f": the seed with the highest validation top-1{among}"
        blocks.append(Figure(f"{prefix}attention-{i + 1}.png", best.picture, caption + "."))
    return blocks if len(blocks) > 1 else []
