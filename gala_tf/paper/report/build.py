"""Builds the report's page: reads runs, groups them, writes Markdown, HTML, figures and CSV."""

import os
import sys

from gala_tf.data import files, places
from gala_tf.paper import published
from gala_tf.paper.report import by_image, contents, lines, page, provenance
from gala_tf.paper.report import runs as stored_runs
from gala_tf.paper.report.page import Heading, Paragraph

TITLE = "Learning what and where to attend: tables and figures"


def build(patterns, output_dir: str, split: str = "", table_lambda: float | None = None) -> str:
    """Writes the page; returns the path of its HTML file.

    Args:
        patterns: run directories, directories of them, or glob patterns.
        output_dir: made if need be.
        split: whose results; empty: `test`, or `validation` where there is no test split.
        table_lambda: the one that the tables show where several were run; None: the one with the
            highest mean validation top-1.

    Raises:
        ValueError: no runs, results that cannot be understood or contradict their run, or no
            --output_dir.
    """
    if not output_dir:
        raise ValueError("--output_dir is not set: name the directory of the page.")
    places.check_can_be_directory(output_dir, "output_dir")
    directories = stored_runs.find_run_directories(patterns)
    print(f"reading {len(directories)} runs, then drawing", file=sys.stderr, flush=True)
    found = stored_runs.read_runs(directories, split)
    sections = lines.make_sections(found, table_lambda)
    blocks = page_blocks(sections)
    tables = {
        f"{prefix}error_by_class.csv": text
        for section, prefix in zip(sections, prefixes(sections), strict=True)
        if (text := by_image.class_csv(section))
    }
    figures = [block.file for block in blocks if isinstance(block, page.Figure)]
    places.check_files(
        output_dir, ["report.md", "report.html", *figures, *tables], "report.md", f"# {TITLE}\n"
    )
    for block in blocks:
        if isinstance(block, page.Figure):
            files.write(os.path.join(output_dir, block.file), block.png)
    for name, text in tables.items():
        files.write(os.path.join(output_dir, name), text)
    files.write(os.path.join(output_dir, "report.md"), page.to_markdown(blocks))
    path = os.path.join(output_dir, "report.html")
    files.write(path, page.to_html(blocks))
    return path


def page_blocks(sections) -> list:
    """The whole page, top to bottom."""
    source = published.document()["source"]
    finished = sum(run.results is not None for section in sections for run in section.runs)
    total = sum(len(section.runs) for section in sections)
    blocks = [
        Heading(1, TITLE),
        Paragraph(
            f"{finished} finished runs of {total}, on {len(sections)} data set(s), by "
            f"python -m gala_tf.report. Published: {source}. Rows come in the paper's order, "
            "whatever their numbers; nothing that was given is left out without being named."
        ),
    ]
    for section, prefix in zip(sections, prefixes(sections), strict=True):
        blocks += contents.section_blocks(section, prefix)
    blocks += provenance.not_run_blocks(sections)
    return [*blocks, *provenance.provenance_blocks(sections)]


def prefixes(sections) -> list[str]:
    """What the names of each section's files begin with; nothing where there is one section."""
    if len(sections) == 1:
        return [""]
    return [f"{section.runs[0].data_set}-{section.split}-" for section in sections]
