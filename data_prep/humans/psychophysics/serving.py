"""Starts an experiment: database, stimuli, and uvicorn in one process or several."""

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data_prep.humans.psychophysics import demo, lists, manifest, sets
from data_prep.humans.psychophysics.app import make_app
from data_prep.humans.psychophysics.settings import Settings
from data_prep.humans.psychophysics.tables import stimuli, stimulus_sets
from data_prep.humans.studies import serving, workers
from data_prep.humans.studies.clocks import now_ms
from data_prep.humans.studies.database import Database, open_database
from data_prep.humans.studies.sessions import new_token

# What people do, as far as data of one study must not differ in it.
FIXED = ("stimulus_ms", "blank_ms", "fixation_ms", "blocks", "key_ends_trial", "training_passes")


def prepare(settings: Settings) -> tuple[Settings, Database]:
    """Settings and database of a study whose stimuli are as their manifest says.

    ValueError: stimuli that changed or that make no lists; a study begun with other settings.
    """
    if not settings.stimuli:
        raise ValueError("--stimuli is missing: the folder that `stimuli` made; or say --demo.")
    folder = Path(settings.stimuli)
    rows = manifest.read_manifest(folder)
    manifest.check_unchanged(folder, rows)
    about, digest = sets.settings_of(folder)
    settings = dataclasses.replace(settings, stand_in=about["stand_in"])
    _check_lists(settings, rows)
    database = open_database(settings.study.database)
    with database.write() as connection:
        _add(connection, settings, rows, about, digest)
    return settings, database


def _check_lists(settings, rows):
    full = [row for row in rows if row["level"] == "full" and row["source"] == rows[0]["source"]]
    images = [lists.Shown(row["image"], row["side"]) for row in full if not row["training"]]
    practice = [lists.Shown(row["image"], row["side"]) for row in full if row["training"]]
    if len(images) % settings.trials.blocks:
        raise ValueError(
            f"{len(images)} images do not make --blocks={settings.trials.blocks} blocks of one "
            "size. Change one of the two."
        )
    if not practice and settings.trials.training_passes:
        raise ValueError(
            "No image of the list has the role `training`: people would meet the task unprepared. "
            "Add some, which never come again, or say --training_passes=0."
        )
    lists.make(images, practice, settings.study.seed, "", 0, settings.trials.fixation_ms, 24)


def _add(connection, settings, rows, about, digest):
    study, values = settings.study.study, dataclasses.asdict(settings.trials)
    fixed = json.dumps({name: values[name] for name in FIXED}, sort_keys=True)
    known = connection.execute(
        stimulus_sets.select().where(stimulus_sets.c.study == study)
    ).one_or_none()
    if known is not None:
        if (known.hash, known.trials) != (digest, fixed):
            what = "stimuli" if known.hash != digest else f"rules ({', '.join(FIXED)})"
            raise ValueError(
                f"--study={study!r} was begun with other {what}; its data must not mix. Give the "
                "new one a new name (--study), and the same --exclusion_pool to keep people apart."
            )
        return
    connection.execute(
        stimulus_sets.insert().values(
            study=study, hash=digest, settings=json.dumps(about), trials=fixed, added_at=now_ms()
        )
    )
    names = ("image", "label", "side", "source", "level", "share_of_image", "sha256", "path")
    place = {image: n for n, image in enumerate(dict.fromkeys(row["image"] for row in rows))}
    connection.execute(
        stimuli.insert(),
        [
            {name: row[name] for name in names}
            | {"id": new_token()[:32], "study": study, "position": place[row["image"]]}
            | {"training": bool(row["training"])}
            for row in rows
        ],
    )


@contextlib.contextmanager
def prepared(settings: Settings) -> Iterator[tuple[Settings, Database]]:
    """`prepare`, of the built-in photographs too: what they make lives as long as this."""
    with contextlib.ExitStack() as stack:
        if settings.demo:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            settings = demo.prepare(settings, Path(folder))
        yield prepare(settings)


def serve(settings: Settings) -> None:
    """Prepares and serves until interrupted."""
    serving.check_address(settings.study)
    with prepared(settings) as (settings, database):
        if settings.allow_simulation:
            print("--allow_simulation: whoever asks can answer by program; not for real studies")
        listener = serving.opened(settings.study)
        with workers.further(_worker, settings.as_json(), settings.study, listener):
            app = make_app(settings, database, now_ms, new_token)
            serving.serve(app, settings.study, listener)


def _worker(settings_json):
    """A further worker's application: a database connection of its own."""
    settings = Settings.from_json(settings_json)
    return make_app(settings, open_database(settings.study.database), now_ms, new_token)
