"""The subcommands that measure a study: calibrate, simulate, statistics, quality, replay."""

import contextlib
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import sqlalchemy as sa
from absl import flags
from tqdm import tqdm

from data_prep.humans.game import (
    calibrate,
    calibration_report,
    masks,
    partners,
    played,
    players,
    quality,
    replay,
    serving,
    simulate,
    statistics,
    statistics_page,
)
from data_prep.humans.game.frames import Frames
from data_prep.humans.game.plan import Measuring, Plan, numbers
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.game.tables import contests, images, rounds
from data_prep.humans.studies import study
from data_prep.humans.studies.database import Database, open_database
from data_prep.humans.studies.sessions import new_token
from data_prep.humans.studies.tables import participants
from gala_tf import command


def _calibrate(settings, flag_values):
    """Writes the table, the recommended flagfile, the report and the masks into --output."""
    folder = _output(flag_values, "the folder to write")
    measuring = command.from_flags(Measuring, flag_values)
    database, partner = serving.prepare(settings)
    frames = Frames()
    with database.read() as connection:
        rows = _sample(connection, measuring.most_pictures, settings.study.seed)
        people = _real_paths(connection) if measuring.from_database else None
        digest = masks.images_hash(connection)
    found = calibrate.calibrate(
        [calibrate.Picture(row.id, frames.get(row.path).pixels, row.class_index) for row in rows],
        partner,
        settings.rules,
        calibrate.Settings(
            tuple(measuring.backgrounds.split(",")),
            numbers(measuring.partner_bubble_sides, int),
            numbers(measuring.top_ks, int),
            numbers(measuring.minimum_probabilities, float),
            measuring.repeats,
            settings.study.seed,
        ),
        people,
        progress=tqdm,
        pictures_sha256=digest,
    )
    best = calibration_report.write(found, folder)
    print(calibration_report.markdown(found, best))
    print(f"play with --flagfile={folder / 'game.flags'} --calibration={folder}")
    if measuring.keep_masks:
        with database.write() as connection:
            for row in rows:
                path = str((folder / "reference_masks" / f"{row.id}.png").resolve())
                here = images.update().where(images.c.id == row.id)
                connection.execute(here.values(is_catch=True, reference_path=path))


def _sample(connection, most, seed):
    """Pictures in play, at most so many."""
    rows = connection.execute(
        images.select()
        .where(images.c.class_index.is_not(None), images.c.retired_at.is_(None))
        .order_by(images.c.shuffle, images.c.id)
    ).all()
    if len(rows) <= most:
        return rows
    chosen = np.random.default_rng(seed).choice(len(rows), most, replace=False)
    return [rows[index] for index in sorted(chosen)]


def _real_paths(connection):
    """{picture: paths of real rounds}, without those whose flags tell of a script or a copy."""
    bad = set(quality.FLAGS)
    picture_of = {
        row.id: row.image
        for row in played.read(connection)
        if row.has_map and not row.flags & bad and row.state in ("recognised", "timed_out")
    }
    found = {}
    for round_id, path in played.paths(connection):
        if round_id in picture_of:
            found.setdefault(picture_of[round_id], []).append(path)
    return found


def _simulate(settings, flag_values):
    """Plays a study on a server of its own in simulated time, or at --url in real time."""
    plan = command.from_flags(Plan, flag_values)
    if flag_values.url:
        address = urlsplit(flag_values.url)
        told = simulate.in_real_time(
            plan, address.hostname, address.port or 80, players.PlantedMasks().sees
        )
    else:
        database, partner = serving.prepare(settings)
        frames = Frames()
        with database.read() as connection:
            seen = _masks(connection, settings, partner, frames)
        if isinstance(seen, players.PlantedMasks):
            partner = partners.load(
                "reference",
                settings.rules,
                classes=partner.classes,
                masks=seen,
                threshold=players.PLANTED_THRESHOLD,
            )
        told = simulate.simulate(plan, settings, database, partner, seen.sees, new_token, tqdm)
    kinds = {kind: list(told.kinds.values()).count(kind) for kind in players.KINDS}
    print(f"people: {kinds}")
    print(f"honest rounds: {told.states}; {told.rounds_s:.1f} rounds/s of real time")


def _masks(connection, settings, partner, frames):
    """What honest players see: reference masks, what the partner needs, or something made up."""

    def pixels_of(path):
        return frames.get(path).pixels

    if settings.partner.partition(":")[0] != "reference":
        return masks.StudyMasks(connection, pixels_of, partner)
    stored = masks.StudyMasks(connection, pixels_of)
    return stored if len(stored) else players.PlantedMasks()


def _statistics(settings, flag_values):
    """Prints the page beside the paper; writes all forms into --output if there is one."""
    database = open_database(settings.study.database)
    with database.read() as connection:
        rows = played.read(connection, flag_values.until or None)
        count = connection.execute(sa.select(sa.func.count()).select_from(contests)).scalar_one()
        latencies = played.latencies_ms(connection)
        hashes = connection.execute(
            sa.select(rounds.c.rules_hash, rounds.c.partner_hash).distinct()
        ).all()
        stored = study.settings_of(connection, settings.study.study)
    served = GameSettings.from_json(stored) if stored else settings
    rng = np.random.default_rng(settings.study.seed)
    found = statistics.measure(rows, count, latencies, rng)
    page = statistics_page.Page(
        settings.study.study,
        {
            "rules": ", ".join(sorted({one[0][:12] for one in hashes})),
            "partner": ", ".join(sorted({one[1][:12] for one in hashes})),
            "limit": f"{served.rules.limit_ms / 1000:g} s",
            "demonstration": "yes" if served.demo else "no",
        },
    )
    print(statistics_page.markdown(found, page))
    if flag_values.output:
        for path in statistics_page.write(found, page, Path(flag_values.output)):
            print(f"wrote {path}")


def _quality(settings, flag_values):
    """Scores catch rounds that are not scored yet, and prints who stands out."""
    database = open_database(settings.study.database)
    print(f"{score_catch_rounds(database, settings)} catch rounds scored")
    with database.read() as connection:
        rows = played.read(connection)
        signatures = {
            round_id: quality.signature(path, settings.rules)
            for round_id, path in played.paths(connection)
        }
        names = {row.id: row.display_name for row in connection.execute(participants.select())}
    rng = np.random.default_rng(settings.study.seed)
    print(quality.markdown(quality.judge(rows, signatures, rng), names))
    print("Nobody is excluded by this: python -m data_prep.studies participant exclude --who=NAME")


def score_catch_rounds(database: Database, settings: GameSettings) -> int:
    """Stores the score of catch rounds that have none; how many. Safe to repeat.

    The other picture whose mask the path must not fit as well is the next one by id.
    """
    with database.read() as connection:
        query = sa.select(images.c.id, images.c.reference_path)
        query = query.where(images.c.reference_path.is_not(None)).order_by(images.c.id)
        files = [tuple(row) for row in connection.execute(query)]
        unscored = {
            row.id: row.image
            for row in played.read(connection)
            if row.is_catch and row.has_map and row.catch_score is None
        }
        paths = {one: path for one, path in played.paths(connection) if one in unscored}
    if len(files) < 2:
        return 0
    following = {one: files[(index + 1) % len(files)][1] for index, (one, _) in enumerate(files)}
    own, read, scores = dict(files), {}, {}
    for round_id, path in paths.items():
        pair = own[unscored[round_id]], following[unscored[round_id]]
        for file in pair:
            read[file] = read[file] if file in read else quality.read_mask(file)
        scores[round_id] = quality.catch_score(path, *(read[one] for one in pair), settings.rules)
    with database.write() as connection:
        for round_id, score in scores.items():
            here = rounds.update().where(rounds.c.id == round_id)
            connection.execute(here.values(catch_score=score))
    return len(scores)


def _replay(settings, flag_values):
    """Asks a round's questions again; ValueError if one is answered otherwise."""
    if not flag_values.round:
        raise ValueError("Which round? python -m data_prep.clickme_game replay ID")
    database = open_database(settings.study.database)
    partner, frames = serving.load_partner(settings, database), Frames()
    with database.read() as connection, contextlib.suppress(BrokenPipeError):
        again = replay.replay(
            connection,
            flag_values.round,
            partner,
            settings.rules,
            lambda path: frames.get(path).pixels,
        )
    for one in again:
        verdict = "agrees" if one.agrees else f"was {one.stored}, is {one.again}"
        print(f"after {one.upto} bubbles: rank {one.stored[0]}, {verdict}")
    if not all(one.agrees for one in again):
        raise ValueError(f"Round {flag_values.round} does not replay.")


def _output(flag_values: flags.FlagValues, what: str) -> Path:
    if not flag_values.output:
        raise ValueError(f"--output is missing: {what}.")
    return Path(flag_values.output)


COMMANDS = {
    "calibrate": _calibrate,
    "simulate": _simulate,
    "statistics": _statistics,
    "quality": _quality,
    "replay": _replay,
}
