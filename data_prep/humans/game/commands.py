"""What the subcommands of `data_prep.clickme_game` do."""

import datetime
import os
from pathlib import Path

import sqlalchemy as sa
from absl import flags

from data_prep.humans.game import contests, exports, images, measuring, serving
from data_prep.humans.game.plan import Measuring
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.game.tables import contests as contests_table
from data_prep.humans.game.tables import images as images_table
from data_prep.humans.studies import participants as people
from data_prep.humans.studies.clocks import now_ms
from data_prep.humans.studies.database import open_database
from data_prep.humans.studies.sessions import new_token
from gala_tf import command


def run(words: list[str], settings: GameSettings, flag_values: flags.FlagValues) -> None:
    """Runs `words`, for example ["contest", "add"]; ValueError lists what there is."""
    run_words = COMMANDS.get(" ".join(words[:2])) or COMMANDS.get(words[0])
    if run_words is None:
        raise ValueError(f"{' '.join(words)!r} is no subcommand; there are {', '.join(COMMANDS)}.")
    if words[0] == "replay" and len(words) == 2:
        flag_values.round = words[1]
    run_words(settings, flag_values)


def _serve(settings, flag_values):
    serving.serve(settings)


def _export(settings, flag_values):
    if not flag_values.output:
        raise ValueError("--output is missing: the file or folder to write.")
    choice = exports.Choice(
        until_ms=flag_values.until or now_ms(),
        include_late=flag_values.include_late,
        include_keyboard=flag_values.include_keyboard,
        keep_ids=flag_values.keep_ids,
    )
    database = open_database(settings.study.database)
    if flag_values.format.startswith("clicks"):  # these tell each person's share of catch rounds
        measuring.score_catch_rounds(database, settings)
    print(exports.write(database, settings, flag_values.format, flag_values.output, choice))
    # So that whoever withdraws later can be told which files still hold what they painted.
    with database.write() as connection:
        path = os.path.abspath(flag_values.output)
        people.log(connection, "export", path, flag_values.format, now_ms())


def _images_add(settings, flag_values):
    database, _ = serving.prepare(settings)
    with database.write() as connection:
        count = images.in_play(connection)
        people.log(connection, "images add", settings.images or "demo", "", now_ms())
    print(f"{count} pictures are in play")


def _images_retire(settings, flag_values):
    if not flag_values.reason:
        raise ValueError("--reason is missing: it is kept with the picture.")
    with open_database(settings.study.database).write() as connection:
        wanted = sa.or_(
            images_table.c.id == flag_values.image, images_table.c.path == flag_values.image
        )
        found = connection.execute(sa.select(images_table.c.id).where(wanted)).scalar()
        if found is None:
            raise ValueError(f"--image={flag_values.image!r} is no picture's id or path.")
        images.retire(connection, found, flag_values.reason, now_ms())
    print(f"retired {found}")


def _images_quickstart(settings, flag_values):
    """Pictures and masks to try the whole way with, in a new folder."""
    # Late: it takes its figures from scipy's filters, which serving never needs.
    from data_prep.humans.demo import figures

    counts = command.from_flags(Measuring, flag_values).pictures
    if not flag_values.output or len(counts) != 3:
        raise ValueError("--output=DIR and --pictures=TRAIN,VALIDATION,TEST are needed.")
    folder = Path(flag_values.output)
    count = figures.write(folder, counts, settings.study.seed)
    print(f"{count} pictures; play with --images={folder}/pictures --catch_masks={folder}/masks")


def _contest_add(settings, flag_values):
    if not flag_values.name:
        raise ValueError("--name is missing.")
    begins, ends = (_instant(flag_values, name) for name in ("begins", "ends"))
    with open_database(settings.study.database).write() as connection:
        contests.add(
            connection,
            new_token()[:32],
            flag_values.name,
            begins,
            ends,
            flag_values.prizes,
        )
        people.log(connection, "contest add", flag_values.name, "", now_ms())


def _contest_list(settings, flag_values):
    with open_database(settings.study.database).read() as connection:
        query = contests_table.select().order_by(contests_table.c.begins_at)
        for row in connection.execute(query):
            begins, ends = (_shown(value) for value in (row.begins_at, row.ends_at))
            print(f"{row.name}: {begins} to {ends}; {row.prizes or 'no prizes'}")


def _contest_close(settings, flag_values):
    with open_database(settings.study.database).write() as connection:
        contests.close(connection, flag_values.name, now_ms())
        people.log(connection, "contest close", flag_values.name, "", now_ms())


def _instant(flag_values, name):
    try:
        time = datetime.datetime.fromisoformat(getattr(flag_values, name))
    except ValueError:
        raise ValueError(
            f"--{name}={getattr(flag_values, name)!r}: expected YYYY-MM-DD[THH:MM], UTC."
        ) from None
    return round(time.replace(tzinfo=time.tzinfo or datetime.UTC).timestamp() * 1000)


def _shown(instant_ms):
    time = datetime.datetime.fromtimestamp(instant_ms / 1000, datetime.UTC)
    return f"{time:%Y-%m-%d %H:%M} UTC"


COMMANDS = {
    "serve": _serve,
    "export": _export,
    "images add": _images_add,
    "images retire": _images_retire,
    "images quickstart": _images_quickstart,
    "contest add": _contest_add,
    "contest list": _contest_list,
    "contest close": _contest_close,
    **measuring.COMMANDS,
}
