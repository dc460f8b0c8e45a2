"""The paper's tables and figures from runs, ours beside the published numbers, on one page.

    python -m gala_tf.report --runs=RUNS --output_dir=PAGE

Reads run directories, or directories of them, in any layout: which row and which lambda a run is
follows from its flags. Writes `report.md` with its PNG files, and `report.html`, one file that
opens from disk and loads nothing. The same runs give the same bytes.

Runs on different data sets are in sections of their own. Runs without results are listed.
"""

import os

from absl import flags

from gala_tf import command
from gala_tf.data import files


def build(patterns, output_dir: str, split: str = "", table_lambda: float | None = None) -> str:
    """Writes the page; returns the path of its HTML file.

    Args:
        patterns: run directories, directories of them, or glob patterns.
        output_dir: of the page; made if need be.
        split: whose results; empty: `test`, or `validation` where there is no test split.
        table_lambda: the lambda that the tables show where several were run; None: the one with the
            highest mean validation top-1.

    Raises:
        ValueError: no runs, results that cannot be understood or contradict their run, or no
            --output_dir.
    """
    from gala_tf.paper.report import contents, page
    from gala_tf.paper.report import runs as report_runs
    from gala_tf.paper.report import sections as report_sections

    if not output_dir:
        raise ValueError("--output_dir is not set: name the directory of the page.")
    directories = report_runs.find_run_directories(patterns)
    runs = report_runs.read_runs(directories, split)
    sections = report_sections.make_sections(runs, table_lambda)
    blocks = page_blocks(sections)
    for block in blocks:
        if isinstance(block, page.Figure):
            files.write(os.path.join(output_dir, block.file), block.png)
    for section, prefix in zip(sections, prefixes(sections), strict=True):
        text = contents.class_csv(section)
        if text:
            files.write(os.path.join(output_dir, f"{prefix}error_by_class.csv"), text)
    files.write(os.path.join(output_dir, "report.md"), page.to_markdown(blocks))
    path = os.path.join(output_dir, "report.html")
    files.write(path, page.to_html(blocks))
    return path


def page_blocks(sections) -> list:
    """The whole page, top to bottom."""
    from gala_tf.paper import published
    from gala_tf.paper.report import contents, provenance
    from gala_tf.paper.report.page import Heading, Paragraph

    source = published.document()["source"]
    finished = sum(run.results is not None for section in sections for run in section.runs)
    total = sum(len(section.runs) for section in sections)
    blocks = [
        Heading(1, "Learning what and where to attend: tables and figures"),
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


def main():
    """Builds the page as the flags say."""
    values = flags.FLAGS
    print("wrote", build(values.runs, values.output_dir, values.split, values.table_lambda))


if __name__ == "__main__":
    flags.DEFINE_list(
        "runs", None, "Run directories, directories of them, or globs.", required=True
    )
    flags.DEFINE_string("output_dir", None, "Directory of the page.", required=True)
    flags.DEFINE_string("split", "", "Split of the results; default: test, else validation.")
    flags.DEFINE_float(
        "table_lambda",
        None,
        "The lambda that the tables show where a network was run with several; default: the one "
        "with the highest mean validation top-1.",
    )
    command.run(main)
