"""Measures how far people agree on where to look: a data set's human ceiling.

    python -m data_prep.reliability DIR --num_workers=8
    python -m data_prep.reliability DIR --grid=14 --store=two_participants
    python -m data_prep.reliability DIR --other=DIR2 --match=stem

Reads finished shards. Each estimator's value comes with a bootstrap interval over images, a null
from different images, and a permutation p; estimators are described in `raters/estimators.py`,
and each is another quantity, so that none is printed or stored without its name, blur and
resolution. --store writes one into dataset_info.json, where evaluation finds it. --other compares
the maps that two data sets hold of the same images, as the paper compares ClickMe with Clicktionary
(r = 0.59, 10 images).

The same flags give the same numbers, whatever --num_workers is. Cost, measured at 256x256 with
box:49 on a busy x86 core: about 10 ms for a map that is ranked, so 3 minutes for the paper's
estimator on 10,000 images, and half an hour for ten halvings of each.
"""

import shlex
import sys

from absl import flags

from data_prep.raters.flags import ReliabilityOptions
from gala_tf import command


def main() -> None:
    """Measures what the flags say, prints and writes it."""
    from data_prep.raters import report, results  # TensorFlow: after --help

    words = ["python", "-m", "data_prep.reliability", *sys.argv[1:]]
    print(results.format_table(report.run(flags.FLAGS, shlex.join(words))))


if __name__ == "__main__":
    command.define_flags(ReliabilityOptions)
    command.run(main, positional="data_dir", kept="The data set is as it was; start it again.")
