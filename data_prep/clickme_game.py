"""The ClickMe game: people paint what matters in a picture, a network looks through the bubbles.

    python -m data_prep.clickme_game
    python -m data_prep.clickme_game --images=DIR
    python -m data_prep.clickme_game export --format=clicks_csv --output=clicks.csv
    python -m data_prep.clickme_game images add --images=DIR
    python -m data_prep.clickme_game images retire --image=PATH --reason=TEXT
    python -m data_prep.clickme_game images quickstart --output=DIR
    python -m data_prep.clickme_game contest add --name=NAME --begins=2026-01-05 --ends=2026-01-12
    python -m data_prep.clickme_game contest list
    python -m data_prep.clickme_game calibrate --output=DIR
    python -m data_prep.clickme_game simulate --partner=reference --players=30
    python -m data_prep.clickme_game statistics --output=DIR
    python -m data_prep.clickme_game quality
    python -m data_prep.clickme_game replay ROUND

Without a subcommand it serves the game: with the built-in pictures, or with those of --images.
data_prep/humans/README.md tells how to run it for real.
"""

import dataclasses
import sys

from absl import flags

from data_prep.humans.game.plan import Measuring, Plan
from data_prep.humans.game.rules import Rules
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies import settings as study_settings
from data_prep.humans.studies.settings import StudySettings
from gala_tf import command

NO_FLAGS = ("study", "rules", "demo")  # of GameSettings: have flags of their own, or none


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of single subcommands."""

    format: str = command.flag("clicks_csv", "export: which format.")
    output: str = command.flag("", "export: the file to write.")
    until: int = command.flag(0, "export: only rounds closed before, UTC in ms.")
    include_late: bool = command.flag(False, "export: bubbles that came after the end, too.")
    include_keyboard: bool = command.flag(False, "export: rounds painted by keyboard, too.")
    keep_ids: bool = command.flag(False, "export: ids in place of pseudonyms.")
    name: str = command.flag("", "contest: its name.")
    begins: str = command.flag("", "contest add: YYYY-MM-DD[THH:MM], UTC.")
    ends: str = command.flag("", "contest add: YYYY-MM-DD[THH:MM], UTC.")
    prizes: str = command.flag("", "contest add: what is won, as text.")
    image: str = command.flag("", "images retire: id or path.")
    reason: str = command.flag("", "images retire: why.")


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Flags of the study, the rules, the game, and of single subcommands."""
    for kind in (StudySettings, Rules, Options, Measuring):
        command.define_flags(kind, flag_values)
    command.define_flags(GameSettings, flag_values, but=NO_FLAGS)
    command.define_flags(Plan, flag_values, but=["seed"])  # the study's


def settings_of(flag_values: flags.FlagValues) -> GameSettings:
    """The game that the flags describe."""
    fields = [field.name for field in dataclasses.fields(GameSettings)]
    values = {name: flag_values[name].value for name in fields if name not in NO_FLAGS}
    return GameSettings(
        study=command.from_flags(StudySettings, flag_values),
        rules=command.from_flags(Rules, flag_values),
        demo=not flag_values.images,
        **values,
    )


def main() -> None:
    """Plays, or does what the subcommand says."""
    # Late: FastAPI and SQLAlchemy take a second, and --help needs neither.
    from data_prep.humans.game import commands

    commands.run(WORDS, settings_of(flags.FLAGS), flags.FLAGS)


if __name__ == "__main__":
    WORDS = study_settings.words_of(sys.argv) or ["serve"]
    define_flags()
    command.run(main, tensorflow=False)
