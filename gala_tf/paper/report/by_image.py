"""What a report says image by image: error by class, calibration, accuracy against map score."""

import csv
import io

from gala_tf.evaluation import breakdowns, plots
from gala_tf.paper.report import figures, tables
from gala_tf.paper.report.lines import Section
from gala_tf.paper.report.page import Figure, Heading, Paragraph

MOST_TABLED_CLASSES = 30


def has_images(lines) -> bool:
    """Whether all runs of the lines have their per_image file."""
    return all(run.images is not None for line in lines for run in line.runs)


def image_blocks(lines, relative: bool, prefix: str) -> list:
    """The figures by image and their tables; names the lines without a per_image file."""
    with_images = [line for line in lines if has_images([line])]
    blocks = []
    if len(with_images) < len(lines):
        lacking = [line.label for line in lines if line not in with_images]
        words = f"No per_image file, so not in the figures by image: {', '.join(lacking)}."
        blocks.append(Paragraph(words))
    if not with_images:
        return blocks
    by_class = [breakdowns.error_by_class(_images(line)) for line in with_images]
    total, half = len(by_class[0]), plots.MOST_CLASSES // 2
    which = f" The {half} hardest and easiest of {total} classes." if total > 2 * half else ""
    blocks += [
        Heading(3, "Error by class"),
        Figure(
            f"{prefix}classes.png",
            figures.classes(with_images, by_class),
            f"{figures.CLASSES}{which}",
        ),
    ]
    if total <= MOST_TABLED_CLASSES:
        blocks.append(tables.classes_table(with_images, by_class))
    measured = [breakdowns.calibration(_images(line)) for line in with_images]
    fifths = [breakdowns.accuracy_by_map_score(_images(line)) for line in with_images]
    blocks += [
        Heading(3, "Calibration"),
        Figure(
            f"{prefix}calibration.png",
            figures.calibration(with_images, measured),
            figures.CALIBRATION,
        ),
        tables.calibration_table(with_images, measured),
        Heading(3, "Accuracy against map score"),
        Figure(
            f"{prefix}accuracy_maps.png",
            figures.accuracy_and_maps(with_images, fifths, relative),
            figures.ACCURACY_AND_MAPS,
        ),
    ]
    if any(fifths):
        blocks.append(tables.fifths_table(with_images, fifths))
    return blocks


def class_csv(section: Section) -> str | None:
    """Error of every class of every line as CSV, for data sets with more than a page holds."""
    lines = [line for line in section.chosen if has_images([line])]
    if not lines:
        return None
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["network", "seeds", "class", "images", "error", "low", "high", "interval"])
    for line in lines:
        names = line.runs[0].images["class_name"]
        for name, interval in breakdowns.error_by_class(_images(line)).items():
            texts = [f"{x:.4f}" for x in (interval.mean, interval.low, interval.high)]
            images = int((names == name).sum())
            writer.writerow([line.label, len(line.runs), name, images, *texts, interval.estimator])
    return file.getvalue()


def _images(line):
    return [run.images for run in line.runs]
