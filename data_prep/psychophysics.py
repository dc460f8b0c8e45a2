"""Rapid categorisation: do the features that a map marks suffice for people? (section 2.2, Fig. 2B)

    python -m data_prep.psychophysics --demo
    python -m data_prep.psychophysics stimuli --images=DIR --maps_a=clickme:SHARDS \\
        --maps_b=salicon:DIR --output_dir=STIM
    python -m data_prep.psychophysics --stimuli=STIM
    python -m data_prep.psychophysics simulate --stimuli=STIM --observers=120
    python -m data_prep.psychophysics export --output_dir=TABLES
    python -m data_prep.psychophysics analysis --output_dir=PAGE

Without a subcommand it serves the experiment. data_prep/humans/psychophysics/README.md tells more.
"""

import dataclasses
import sys

from absl import flags

from data_prep.humans.psychophysics.settings import (
    Choices,
    Exclusions,
    Input,
    Making,
    Page,
    Planted,
    Settings,
    Trials,
)
from data_prep.humans.studies import settings as study_settings
from data_prep.humans.studies.settings import StudySettings
from gala_tf import command

NO_FLAGS = ("study", "trials", "stand_in")  # of Settings: have flags of their own, or none


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Flags of the study, its trials and its stimuli."""
    for kind in (StudySettings, Trials, Input, Making, Exclusions, Choices, Page, Planted):
        command.define_flags(kind, flag_values)
    command.define_flags(Settings, flag_values, but=NO_FLAGS)
    for name in ("study", "database"):
        flag_values.set_default(name, getattr(Settings().study, name))


def settings_of(flag_values: flags.FlagValues) -> Settings:
    """The experiment that the flags describe."""
    fields = [field.name for field in dataclasses.fields(Settings) if field.name not in NO_FLAGS]
    return Settings(
        study=command.from_flags(StudySettings, flag_values),
        trials=command.from_flags(Trials, flag_values),
        **{name: flag_values[name].value for name in fields},
    )


def main() -> None:
    """Serves, or does what the subcommand says."""
    # Late: FastAPI, SQLAlchemy and SciPy take two seconds, and --help needs none.
    from data_prep.humans.psychophysics import commands

    commands.run(WORDS, settings_of(flags.FLAGS), flags.FLAGS)


if __name__ == "__main__":
    WORDS = study_settings.words_of(sys.argv) or ["serve"]
    define_flags()
    command.run(main, tensorflow=False)
