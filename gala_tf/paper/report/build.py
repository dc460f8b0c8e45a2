"""Builds the report's page: reads runs, groups them, writes Markdown, HTML, figures and CSV."""

import os
import sys

from gala_tf.data import files, places
from gala_tf.paper import published
from gala_tf.paper.report import by_image, contents, lines, page, provenance
from gala_tf.paper.report import runs as stored_runs
from gala_tf.paper.report.page import Heading, Paragraph

TITLE = "Learning what and where to attend: tables and figures"


def build(
    patterns,
    output_dir: str,
    split: str = "",
    table_lambda: float | None = None,
    quoted: bool = False,
) -> str:
    """Writes the page; returns the path of its HTML file.

    Args:
        patterns: run directories, directories of them, or glob patterns.
        output_dir: made if need be.
        split: whose results; empty: `test`, or `validation` where there is no test split.
        table_lambda: the one that the tables show where several were run; None: the one with the
            highest mean validation top-1.
        quoted: the paper's numbers also beside those of other data.

    ValueError: no runs, results that cannot be understood or contradict their run, or no
    --output_dir.
    """
    if not output_dir:
        raise ValueError("--output_dir is not set: name the directory of the page.")
    places.check_can_be_directory(output_dir, "output_dir")
    directories = stored_runs.find_run_directories(patterns)
    print(f"reading {len(directories)} runs, then drawing", file=sys.stderr, flush=True)
    sections = lines.make_sections(stored_runs.read_runs(directories, split), table_lambda)
    blocks = page_blocks(sections, quoted)
    # The page itself last: where it is, all that it shows is.
    written = {block.file: block.png for block in blocks if isinstance(block, page.Figure)}
    for section, prefix in zip(sections, prefixes(sections), strict=True):
        if text := by_image.class_csv(section):
            written[f"{prefix}error_by_class.csv"] = text
    written["report.md"] = page.to_markdown(blocks)
    written["report.html"] = page.to_html(blocks)
    places.check_files(output_dir, [*written], "report.md", f"# {TITLE}\n")
    for name, content in written.items():
        files.write(os.path.join(output_dir, name), content)
    return os.path.join(output_dir, "report.html")


def page_blocks(sections, quoted: bool = False) -> list:
    """The whole page, top to bottom."""
    finished = sum(section.finished for section in sections)
    total = sum(len(section.runs) for section in sections)
    blocks = [
        Heading(1, TITLE),
        Paragraph(
            f"{finished} finished runs of {total}, on {len(sections)} data set(s), by python -m "
            f"gala_tf.report. Published: {published.document()['source']}. Rows come in the "
            "paper's order, whatever their numbers; nothing that was given is left out without "
            "being named."
        ),
    ]
    for section, prefix in zip(sections, prefixes(sections), strict=True):
        blocks += contents.section_blocks(section, prefix, quoted)
    blocks += provenance.not_run_blocks(sections)
    return [*blocks, *provenance.provenance_blocks(sections)]


def prefixes(sections) -> list[str]:
    """What the names of each section's files begin with; nothing where there is one section."""
    if len(sections) == 1:
        return [""]
    return [f"{section.runs[0].data_set}-{section.split}-" for section in sections]
