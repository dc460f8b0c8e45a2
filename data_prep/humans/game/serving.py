"""Starts a game: database, pictures, partner, and uvicorn in one process or several."""

import dataclasses
import threading
from collections.abc import Iterator

from data_prep.humans.demo import DemoMissing
from data_prep.humans.demo import pictures as demo_pictures
from data_prep.humans.game import admin, calibration_report, frames, images, masks, partners
from data_prep.humans.game.app import make_app
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies import serving, workers
from data_prep.humans.studies.clocks import now_ms
from data_prep.humans.studies.database import Database, open_database
from data_prep.humans.studies.sessions import new_token


def prepare(settings: GameSettings) -> tuple[Database, partners.Partner]:
    """The database with its pictures in it, and the partner that knows their classes.

    Raises:
      ValueError: a folder, a file or a partner is at fault; or no picture can be played.
    """
    database = open_database(settings.study.database)
    image_set = settings.images or "demo"
    found = _demo() if settings.demo else images.in_folder(settings.images, settings.labels)
    added = images.add(database, found, image_set, settings.study.seed, new_token)
    for sentence in added.broken:
        print(f"left out: {sentence}")
    if added.new:
        print(f"{added.new} pictures added, {added.known} were known")
    if settings.allocation.startswith("list:"):
        images.set_list(database, settings.allocation.partition(":")[2])
    if settings.catch_masks:
        count = masks.attach(database, settings.catch_masks, settings.images)
        print(f"{count} pictures have a reference mask")
    partner = load_partner(settings, database)
    for sentence in images.meet(database, partner.classes):
        print(f"out of play: {sentence}")
    with database.read() as connection:
        if not images.in_play(connection):
            raise ValueError("There is no picture whose class the partner knows.")
    return database, partner


def load_partner(settings: GameSettings, database: Database) -> partners.Partner:
    """The partner; `reference` knows whatever classes and reference masks the pictures have."""
    spec = settings.partner or "demo"
    if spec.partition(":")[0] != "reference":
        return partners.load(spec, settings.rules)
    with database.read() as connection:
        return partners.load(
            spec,
            settings.rules,
            classes=images.classes_of(connection),
            masks=masks.StudyMasks(connection, lambda path: frames.make(path).pixels),
        )


def _demo() -> Iterator[images.Picture]:
    try:
        for picture in demo_pictures():
            if picture.in_play:
                yield images.Picture(str(picture.path), picture.wnid, picture.label)
    except DemoMissing as error:
        raise ValueError(f"{error} Or give pictures of your own by --images=DIR.") from error


def serve(settings: GameSettings) -> None:
    """Prepares and serves until interrupted."""
    serving.check_address(settings.study)
    database, partner = prepare(settings)
    calibration_report.require(settings, database, partner)
    listener = serving.opened(settings.study)
    with workers.further(_worker, settings.as_json(), settings.study, listener):
        app = make_app(settings, database, partner, now_ms, new_token)
        if settings.study.admin_port >= 0:
            _serve_admin(app, settings)
        serving.serve(app, settings.study, listener)


def _worker(settings_json):
    """A further worker's application: a database connection and a partner of its own."""
    settings = GameSettings.from_json(settings_json)
    database = open_database(settings.study.database)
    return make_app(settings, database, load_partner(settings, database), now_ms, new_token)


def _serve_admin(app, settings):
    """The live page, on a thread and a loopback port of its own, whatever the game's address."""
    study = dataclasses.replace(
        settings.study,
        host="127.0.0.1",
        port=settings.study.admin_port,
        public_url="",
        trusted_proxies="",
    )
    page, token = admin.make_admin(app.state.service, app, new_token)
    listener = serving.free_socket(study)
    address = serving.address_of(study, listener)
    print(f"admin {address}enter/{token} (works once)", flush=True)
    threading.Thread(target=serving.serve, args=(page, study, listener), daemon=True).start()
