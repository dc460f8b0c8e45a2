"""Builds a data set: a source -> TFRecord shards and dataset_info.json.

    python -m data_prep.build_tfrecords --source=quickstart --output_dir=data/quickstart
    python -m data_prep.build_tfrecords --source=folder --input_dir=my_images --output_dir=my_data

The source is listed into a plan, shards are made by the plan, and then moved to their place. The
same command gives the same bytes, with any number of workers; started again after it was stopped
or killed, it makes the shards that are missing. Nothing appears in --output_dir under its final
name before all of it is made, and dataset_info.json comes last. --dry_run looks at everything
and writes nothing: all that is wrong, at once.
"""

import shlex
import sys

from absl import flags

from data_prep.building import flags as build_flags
from gala_tf import command


def main() -> int:
    """Builds what the flags say, and prints what there is now."""
    from data_prep.building import build, dry_run, summary  # TensorFlow: after --help

    if flags.FLAGS.dry_run:
        return 0 if dry_run.look(flags.FLAGS) else 1
    words = ["python", "-m", "data_prep.build_tfrecords", *sys.argv[1:]]
    print(summary.format_table(build.build(flags.FLAGS, shlex.join(words))))
    return 0


if __name__ == "__main__":
    build_flags.define()
    command.run(
        main,
        more=build_flags.sources_text(),
        kept="Finished shards stay in {output_dir}/.building: the same command goes on from them.",
    )
