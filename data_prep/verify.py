"""Reads every record of a data set once and names every fault.

    python -m data_prep.verify my_data
    python -m data_prep.verify my_data --num_workers=4 --nosheets

Ends with status 0 and a table if all is well, else with 1 and a list of file, record and reason;
DIR/verify/ then holds faults.csv (all of them), contact sheets to look at, and statistics.
"""

import dataclasses
import os
from dataclasses import dataclass

from gala_tf import command


@dataclass(frozen=True)
class VerifyOptions:
    """What is verified, and how thoroughly."""

    data_dir: str = command.flag(
        "", "Data set to verify; an argument without a name, too.", path=True
    )
    output_dir: str = command.flag(
        "", "Where sheets and statistics go (local or gs://); default: DIR/verify.", path=True
    )
    num_workers: int = command.flag(
        os.cpu_count() or 1, "Processes; each reads one shard at a time. Default: one a core."
    )
    blur_sample: int = command.flag(
        16,
        "Of the small blurred maps, one in so many is computed anew (1: all; takes twice as long).",
    )
    sheets: bool = command.flag(
        True, "Draw contact sheets and statistics; without, faults.csv alone."
    )
    class_pages: int = command.flag(5, "Contact sheets by class, of 10 classes each.")


def main() -> int:
    """Verifies what the command line says; the exit status is 1 if there is a fault."""
    from data_prep.verification import dataset_checks, report  # TensorFlow: after --help

    options = command.from_flags(VerifyOptions)
    if not options.data_dir:
        raise ValueError("Say which data set: python -m data_prep.verify DIR.")
    verdict = dataset_checks.verify(**dataclasses.asdict(options))
    print(report.format_report(verdict))
    return int(bool(verdict.faults))


if __name__ == "__main__":
    command.define_flags(VerifyOptions)
    command.run(main, positional="data_dir", kept="The data set is as it was; start it again.")
