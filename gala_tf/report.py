"""The paper's tables and figures from runs, ours beside the published numbers, on one page.

    python -m gala_tf.report --runs=RUNS --output_dir=PAGE

Reads run directories, or directories of them, in any layout: which row and which lambda a run is
follows from its flags. Writes `report.md` with its PNG files, and `report.html`, one file that
opens from disk and loads nothing. The same runs give the same bytes.

Runs on different data sets are in sections of their own. Runs without results are listed.
"""

from absl import flags

from gala_tf import command


def main():
    """Builds the page as the flags say."""
    from gala_tf.paper.report import build

    values = flags.FLAGS
    print("wrote", build.build(values.runs, values.output_dir, values.split, values.table_lambda))


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
    command.are_paths("runs", "output_dir")
    command.run(
        main, kept="The runs are as they were; the same command writes the whole page anew."
    )
