"""What a report says of one data set: its tables, tests and figures, top to bottom."""

import io
from collections import Counter

from gala_tf.paper import published
from gala_tf.paper.report import figures
from gala_tf.paper.report import lines as report_rows
from gala_tf.paper.report import numbers as statistics
from gala_tf.paper.report import tables as report_tables
from gala_tf.paper.report import words as report_words
from gala_tf.paper.report.page import Bullets, Figure, Heading, Paragraph
from gala_tf.paper.report.sections import Section, same_data, simulated

MOST_TABLED_CLASSES = 30


def section_blocks(section: Section, prefix: str) -> list:
    """A section's tables and figures; `prefix` begins the names of its files."""
    info, lines = section.info, section.chosen
    title = f"{info.name} (shards {section.runs[0].data_set}), {section.split} split"
    blocks = [Heading(2, title), Paragraph(_data_words(section))]
    if simulated(info):
        blocks.append(Paragraph(report_words.SIMULATED, note=True))
    elif not same_data(info):
        blocks.append(Paragraph(report_words.OTHER_DATA, note=True))
    if section.split == section.runs[0].config.validation_split:
        words = "Weights were chosen on this very split, as in the paper: errors are optimistic."
        blocks.append(Paragraph(words, note=True))
    blocks += _unfinished_blocks(section)
    if not lines:
        return [*blocks, Paragraph("No run of this data set is finished.")]
    relative = statistics.has_ceiling(lines)
    tested = compare_lines(lines)
    blocks += _table_blocks(section, lines, tested, relative)
    blocks += _test_blocks(lines, tested)
    blocks += _map_blocks(lines, relative, prefix)
    blocks += _lambda_blocks(section, relative, prefix)
    blocks += _image_blocks(lines, relative, prefix)
    blocks += _overlay_blocks(lines, section.split, prefix)
    return blocks


def _data_words(section):
    info = section.info
    parts = ", ".join(f"{split.examples:,} {name}" for name, split in info.splits.items())
    finished = sum(run.results is not None for run in section.runs)
    sizes = sorted({_size_words(run.config) for run in section.runs})
    return (
        f"{info.num_classes} classes; {parts} images. {len(section.runs)} runs, {finished} of them "
        f"finished. Networks: {'; '.join(sizes)}. Rows have the paper's names, whatever the size."
    )


def _size_words(run_config):
    blocks = report_rows.flag_text(run_config.stage_blocks)
    words = f"ResNet-({blocks})" if blocks else f"ResNet-{run_config.depth}"
    if run_config.stage_widths:
        words += f", {report_rows.flag_text(run_config.stage_widths)} channels"
    if run_config.width_multiplier != 1:
        words += f", widths times {run_config.width_multiplier:g}"
    return f"{words}, {run_config.image_size} px, {run_config.epochs:g} epochs"


def _unfinished_blocks(section):
    items = []
    for run in section.runs:
        if run.results is None:
            row = report_rows.words_of(run.config)
            items.append(f"{run.name}: unfinished ({row}, no results-{run.split}.json)")
    for left_out, standing in section.repeated:
        fields = ("top1", "top5")
        same = all(left_out.results[name] == standing.results[name] for name in fields)
        items.append(
            f"{left_out.name}: same flags and seed as {standing.name}, counted once; its results "
            + ("are the same" if same else f"differ ({_errors(left_out)}; {_errors(standing)})")
        )
    return [Paragraph("Not in the tables:"), Bullets(tuple(items))] if items else []


def _errors(run):
    return f"top-1 error {100 * (1 - run.results['top1']):.1f} %"


def compare_lines(lines):
    """{label: (Paired, label of the reference)} of all lines whose runs have their images."""
    tested = {}
    for line in lines:
        reference = report_rows.nearest_reference(line, lines)
        if reference and _has_images([line, reference]):
            tested[line.label] = (statistics.compare(line, reference), reference.label)
    return tested


def _has_images(lines):
    return all(run.images is not None for line in lines for run in line.runs)


def _table_blocks(section, lines, tested, relative):
    waiting = Counter(
        report_rows.row_of(run.config)
        for run in section.runs
        if run.results is None and report_rows.words_of(run.config) != report_rows.NO_ROW
    )
    table = report_tables.paper_table(
        section.tables,
        lines,
        {label: paired for label, (paired, _) in tested.items()},
        waiting,
        relative,
        same_data(section.info),
    )
    notes = [report_words.INTERVALS, *_lambda_words(lines), *section.reasons]
    if tested:
        notes.append("* differs from GALA-ResNet-50 w/ ClickMe, p < 0.01 (tests below).")
    if section.info.num_classes <= 10:
        notes.append(f"With {section.info.num_classes} classes, top-5 errors say little.")
    notes += report_tables.order_sentences(lines, relative)
    names = " and ".join(map(str, section.tables))
    heading = f"Table{'s' * (len(section.tables) > 1)} {names}: errors and maps"
    return [Heading(3, heading), table, Bullets(tuple(notes))]


def _lambda_words(lines):
    """Which lambda the rows with maps were trained with."""
    weights = {}
    for line in lines:
        if line.map_loss_weight:
            weights.setdefault(f"{line.map_loss_weight:g}", []).append(line.label)
    return [
        f"Lambda (--map_loss_weight) {weight}: {', '.join(labels)}."
        for weight, labels in weights.items()
    ]


def _test_blocks(lines, tested):
    blocks = [Heading(3, "The stars: paired tests")]
    untested = [
        line.label
        for line in lines
        if line.label not in tested and line.row != report_rows.REFERENCE
    ]
    if tested:
        blocks += [
            Paragraph(f"{report_words.TESTS} ({3 * len(tested)} permutation tests here)."),
            report_tables.errors_tests(tested),
            report_tables.maps_tests(tested),
        ]
    if untested:
        why = (
            "a run lacks its per_image file"
            if any(line.row == report_rows.REFERENCE for line in lines)
            else f"{report_rows.row_name(report_rows.REFERENCE)} was not run"
        )
        blocks.append(Paragraph(f"Not tested, since {why}: {', '.join(untested)}."))
    return blocks if len(blocks) > 1 else []


def layer_numbers(line) -> dict[str, int]:
    """{layer name: the paper's number} of a line's scored layers."""
    from gala_tf import models

    first = line.runs[0]
    unit, stages = models.stage_layout(first.config.depth, first.config.stage_blocks)
    return {name: models.layer_number(name, stages, unit) for name in first.results["maps"]}


def _map_blocks(lines, relative, prefix):
    lines = [line for line in lines if line.runs[0].results["maps"]]
    if not lines:
        return [Heading(3, "Maps"), Paragraph("No run has map scores: no image has a human map.")]
    ceilings = {
        (run.results["human_ceiling"]["value"], run.results["human_ceiling"]["estimator"])
        for line in lines
        for run in line.runs
    }
    words = [
        f"Human ceiling {'none' if value is None else f'{value:.3f}'}: {estimator}."
        for value, estimator in sorted(ceilings, key=str)
    ]
    numbers = [layer_numbers(line) for line in lines]
    figure = figures.layers(lines, numbers, relative)
    return [
        Heading(3, "Maps of the final layer, and baselines"),
        report_tables.maps_table(lines, relative),
        Bullets(tuple(words)),
        Heading(3, "Maps of each layer"),
        Figure(f"{prefix}layers.png", figure, report_words.LAYERS),
        report_tables.layers_table(lines, numbers, relative),
    ]


def find_sweeps(lines) -> list[tuple]:
    """Lines of GALA that differ in lambda alone, two values or more, ascending, a tuple a sweep."""
    groups = {}
    for line in lines:
        if line.row in ("gala", report_rows.REFERENCE):
            idle = ("map_loss_weight", "map_source", "map_target", "map_resize")
            key = tuple((name, value) for name, value in line.flags.items() if name not in idle)
            groups.setdefault(key, []).append(line)
    sweeps = [sorted(group, key=lambda line: line.map_loss_weight) for group in groups.values()]
    return [tuple(sweep) for sweep in sweeps if len(sweep) > 1]


def _lambda_blocks(section, relative, prefix):
    caption = published.document()["figure_7"]
    weight = caption["chosen_lambda"]
    quoted = [
        (weight if value.map_loss_weight is None else value.map_loss_weight, value.value)
        for value in published.values()
        if value.where == "Figure 7"
    ]
    blocks = [Heading(3, "Figure 7: accuracy and maps against lambda")]
    for i, sweep in enumerate(find_sweeps(section.lines)):
        floors = [line for line in section.lines if line.row == "resnet"]
        floor = min(
            floors,
            key=lambda line: sum(line.flags[n] != sweep[0].flags[n] for n in line.flags),
            default=None,
        )
        words = report_words.FIGURE_7
        if relative:
            words += (
                " Hollow: the numbers of the paper's caption, of ClickMe; it gives no lambda for "
                f"{quoted[-1][1]:.2f}, which is drawn at the chosen {weight}."
            )
        name = f"{prefix}figure7{f'-{i + 1}' if i else ''}.png"
        label = f"published (ClickMe{'' if same_data(section.info) else ': other data'})"
        png = figures.figure7(sweep, floor, relative, quoted, label)
        blocks += [Figure(name, png, words), report_tables.lambda_table(sweep, relative)]
    if len(blocks) == 1:
        blocks.append(Paragraph("Not run: that takes GALA at two values of lambda or more."))
    return blocks


def _image_blocks(lines, relative, prefix):
    with_images = [line for line in lines if _has_images([line])]
    blocks = []
    if len(with_images) < len(lines):
        lacking = [line.label for line in lines if line not in with_images]
        words = f"No per_image file, so not in the figures by image: {', '.join(lacking)}."
        blocks.append(Paragraph(words))
    if not with_images:
        return blocks
    by_class = [statistics.error_by_class(line) for line in with_images]
    png, shown = figures.classes(with_images, by_class)
    total = len(by_class[0])
    which = "" if shown == total else f" The {shown // 2} hardest and easiest of {total} classes."
    blocks += [
        Heading(3, "Error by class"),
        Figure(
            f"{prefix}classes.png",
            png,
            f"{report_words.CLASSES}{which}",
        ),
    ]
    if total <= MOST_TABLED_CLASSES:
        blocks.append(report_tables.classes_table(with_images, by_class))
    tables = [statistics.calibration(line) for line in with_images]
    fifths = [statistics.accuracy_by_map_score(line) for line in with_images]
    blocks += [
        Heading(3, "Calibration"),
        Figure(
            f"{prefix}calibration.png",
            figures.calibration(with_images, tables),
            report_words.CALIBRATION,
        ),
        report_tables.calibration_table(with_images, tables),
        Heading(3, "Accuracy against map score"),
        Figure(
            f"{prefix}accuracy_maps.png",
            figures.accuracy_and_maps(with_images, fifths, relative),
            report_words.ACCURACY_AND_MAPS,
        ),
    ]
    if any(fifths):
        blocks.append(report_tables.fifths_table(with_images, fifths))
    return blocks


def _overlay_blocks(lines, split, prefix):
    blocks = [Heading(3, "Attention on test images" if split == "test" else "Attention on images")]
    for i, line in enumerate(lines):
        drawn = [run for run in line.runs if run.picture is not None]
        if not drawn:
            continue
        best = max(drawn, key=lambda run: (run.validation_top1 or -1.0, -run.config.seed))
        caption = (
            f"{line.label}, run {best.name}: the seed with the highest validation top-1"
            f"{' of those drawn' if len(drawn) < len(line.runs) else ''}"
            if best.validation_top1 is not None and len(line.runs) > 1
            else f"{line.label}, run {best.name}"
        )
        blocks.append(Figure(f"{prefix}attention-{i + 1}.png", best.picture, caption + "."))
    return blocks if len(blocks) > 1 else []


def class_csv(section: Section) -> str | None:
    """Error of every class of every line as CSV, for data sets with more than a page holds."""
    import csv

    lines = [line for line in section.chosen if _has_images([line])]
    if not lines:
        return None
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["network", "seeds", "class", "images", "error", "low", "high", "interval"])
    for line in lines:
        names = line.runs[0].images["class_name"]
        for name, interval in statistics.error_by_class(line).items():
            numbers = [f"{x:.4f}" for x in (interval.mean, interval.low, interval.high)]
            images = int((names == name).sum())
            writer.writerow(
                [line.label, len(line.runs), name, images, *numbers, interval.estimator]
            )
    return file.getvalue()
