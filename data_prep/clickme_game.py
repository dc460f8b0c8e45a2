"""The ClickMe game: people paint what matters in a picture, a network looks through the bubbles.

    python -m data_prep.clickme_game                       play with the built-in pictures
    python -m data_prep.clickme_game --images=DIR          with pictures of your own
    python -m data_prep.clickme_game export --format=clicks_csv --output=clicks.csv
    python -m data_prep.clickme_game images add|retire     pictures
    python -m data_prep.clickme_game contest add|list|close
    python -m data_prep.clickme_game calibrate --output=DIR   how hard it is, and flags
    python -m data_prep.clickme_game simulate              a study of simulated players
    python -m data_prep.clickme_game statistics --output=DIR  ours beside the paper's
    python -m data_prep.clickme_game quality               how honestly people play
    python -m data_prep.clickme_game replay ROUND          asks the stored questions again

data_prep/humans/README.md tells how to run it for real.
"""

import sys

from absl import app, flags, logging

from data_prep.humans.game.plan import Measuring, Plan
from data_prep.humans.game.rules import Rules
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies import settings as study_settings
from data_prep.humans.studies.settings import StudySettings


def declare_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Flags of the study, the rules, the game, and of single subcommands."""
    for kind in (StudySettings, Rules, GameSettings, Plan, Measuring):
        study_settings.declare(kind, flag_values)
    words = dict(flag_values=flag_values)
    flags.DEFINE_string("format", "clicks_csv", "export: which format", **words)
    flags.DEFINE_string("output", "", "export: the file or folder to write", **words)
    flags.DEFINE_integer("until", 0, "export: only rounds closed before, UTC in ms", **words)
    flags.DEFINE_bool("include_late", False, "export: bubbles that came after the end", **words)
    flags.DEFINE_bool("include_keyboard", False, "export: rounds painted by keyboard", **words)
    flags.DEFINE_bool("keep_ids", False, "export: ids in place of pseudonyms", **words)
    flags.DEFINE_string("name", "", "contest: its name", **words)
    flags.DEFINE_string("begins", "", "contest add: YYYY-MM-DD[THH:MM], UTC", **words)
    flags.DEFINE_string("ends", "", "contest add: YYYY-MM-DD[THH:MM], UTC", **words)
    flags.DEFINE_string("prizes", "", "contest add: what is won, as text", **words)
    flags.DEFINE_string("image", "", "images retire: id or path", **words)
    flags.DEFINE_string("reason", "", "images retire: why", **words)


def settings_of(flag_values: flags.FlagValues) -> GameSettings:
    """The game that the flags describe."""
    values = {name: getattr(flag_values, name) for name in study_settings.flag_names(GameSettings)}
    return GameSettings(
        study=study_settings.from_flags(StudySettings, flag_values),
        rules=study_settings.from_flags(Rules, flag_values),
        demo=not flag_values.images,
        **values,
    )


def main(words: list[str]) -> None:
    """Runs one subcommand; what a person can mend ends in one line."""

    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(
            logging.WARNING
        )  # before Alembic is imported, which tells its plugins
    # Late: FastAPI and SQLAlchemy take a second, and --help needs neither.
    from data_prep.humans.game import commands

    try:
        commands.run(words[1:] or ["serve"], settings_of(flags.FLAGS), flags.FLAGS)
    except ValueError as error:
        logging.debug("the error below comes from here", exc_info=True)
        sys.exit(f"error: {error} (--verbosity=1 shows where)")


if __name__ == "__main__":
    declare_flags()
    app.run(main)
