"""What a report says image by image: error by class, calibration, accuracy against map score."""

import csv
import io

from gala_tf.evaluation import breakdowns
from gala_tf.paper.report import figures, tables
from gala_tf.paper.report.lines import Section
from gala_tf.paper.report.page import Heading, Paragraph

MOST_TABLED_CLASSES = 30


def has_images(*lines) -> bool:
    """Whether all runs of the lines have their per_image file."""
    return all(run.images is not None for line in lines for run in line.runs)


def image_blocks(lines, relative: bool, prefix: str) -> list:
    """The figures by image and their tables; names the lines without a per_image file."""
    lacking = [line.label for line in lines if not has_images(line)]
    lines = [line for line in lines if has_images(line)]
    blocks = []
    if lacking:
        words = f"No per_image file, so not in the figures by image: {', '.join(lacking)}."
        blocks.append(Paragraph(words))
    if not lines:
        return blocks
    by_class = [breakdowns.error_by_class(_images(line)) for line in lines]
    blocks += [Heading(3, "Error by class")]
    blocks += [figures.classes(f"{prefix}classes.png", lines, by_class)]
    if len(by_class[0]) <= MOST_TABLED_CLASSES:  # of more, `class_csv` has all
        blocks.append(tables.classes_table(lines, by_class))
    measured = [breakdowns.calibration(_images(line)) for line in lines]
    fifths = [breakdowns.accuracy_by_map_score(_images(line)) for line in lines]
    blocks += [
        Heading(3, "Calibration"),
        figures.calibration(f"{prefix}calibration.png", lines, measured),
        tables.calibration_table(lines, measured),
        Heading(3, "Accuracy against map score"),
        figures.accuracy_and_maps(f"{prefix}accuracy_maps.png", lines, fifths, relative),
    ]
    if any(fifths):
        blocks.append(tables.fifths_table(lines, fifths))
    return blocks


def class_csv(section: Section) -> str | None:
    """Error of every class of every line as CSV; None without per_image files."""
    lines = [line for line in section.chosen if has_images(line)]
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
