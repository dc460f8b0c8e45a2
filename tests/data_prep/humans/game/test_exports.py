"""Exports, through the project's own readers; the same bytes twice; what was left out is said."""

import csv
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import sqlalchemy as sa
from game_world import TAB, World, line, winning

from data_prep.humans.game import exports
from data_prep.humans.game.exports import Choice
from data_prep.humans.game.rules import Rules
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.game.tables import rounds
from data_prep.humans.studies.sessions import token_hash
from data_prep.humans.studies.settings import StudySettings
from data_prep.humans.studies.tables import sessions
from data_prep.readers.clicks.click_files import parse_clicks

NOW = 1_800_000_000_000


def play(world):
    """Two finished rounds of Alice, one of Charlie's, and one that was skipped; Alice."""
    alice, charlie = world.person(), world.person()
    for person, path in (
        (alice, winning()),
        (alice, line(10, (9.5, 9.25))),
        (charlie, winning(39)),
    ):
        round_id = person.ask(tab=TAB).json()["round"]
        person.start(round_id)
        for first in range(0, len(path), 20):
            world.clock.advance(1000)
            person.bubbles(round_id, path[first : first + 20], first)
        person.end(round_id)
        world.clock.advance(3000)
    round_id = charlie.round()
    charlie.end(round_id, "skip", skip_reason="unclear")
    return alice


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A world in which was played; exports only read it."""
    with World(tmp_path_factory.mktemp("played")) as world:
        play(world)
        yield world


@pytest.fixture
def export(tmp_path):
    """Writes an export; its path and what was said."""

    def write(world, format, name="out", **options):
        path, choice = tmp_path / name, Choice(NOW, **options)
        return path, exports.write(world.database, world.settings, format, str(path), choice)

    return write


def test_clicks_csv(played, export, tmp_path):
    path, said = export(played, "clicks_csv")
    assert "3 rows; left out: 1 skipped" in said
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == 3 and len({row["user_id"] for row in rows}) == 2
    assert parse_clicks(rows[1]["clicks"])[0] == (9.5, 9.25)
    about = json.loads((tmp_path / "out.about.json").read_text())
    assert about["left_out"] == {"skipped": 1}


def test_the_metadata_tell_how_the_game_was_served(played, export, tmp_path):
    """Not what the flags of the export say: whoever exports may give none."""
    forgotten = GameSettings(demo=True, rules=Rules(limit_ms=1))
    written = exports.write(
        played.database, forgotten, "clicks_csv", str(tmp_path / "out"), Choice(NOW)
    )
    about = json.loads((tmp_path / "out.about.json").read_text())
    assert written and about["demo"] is False and about["rules"]["limit_ms"] == 7000
    assert about["rules_hash"] == [Rules().hash()] and len(about["partner_hash"]) == 1


def test_pictures_lie_in_class_folders(played, export):
    path, said = export(played, "images")
    found = sorted(one.relative_to(path).as_posix() for one in path.rglob("*.png"))
    assert f": {len(found)} rows" in said and 1 <= len(found) <= 3
    for name in found:
        assert (path / name).read_bytes() == (played.pictures / name).read_bytes()


def contents(path):
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return {one.relative_to(path): one.read_bytes() for one in path.rglob("*") if one.is_file()}
    return path.read_bytes()


@pytest.mark.parametrize("format", list(exports.FORMATS))
def test_the_same_bytes_twice(played, export, format):
    first, _ = export(played, format, "first")
    second, _ = export(played, format, "second")
    assert contents(first) == contents(second)
    with pytest.raises(ValueError, match="exists"):
        export(played, format, "first")


def test_csv_and_npz_hold_the_same(played, export):
    table = list(csv.DictReader(export(played, "clicks_csv", "a.csv")[0].open()))
    with np.load(export(played, "clicks_npz", "b.npz")[0], allow_pickle=False) as arrays:
        assert arrays["user_id"].tolist() == [row["user_id"] for row in table]
        ends = arrays["clickmap_offsets"].tolist()
        points = list(zip(arrays["clickmap_x"], arrays["clickmap_y"], strict=True))
    for row, begin, end in zip(table, ends, ends[1:], strict=False):
        assert list(parse_clicks(row["clicks"])) == points[begin:end]


def test_rounds_ndjson_has_every_round_and_its_questions(played, export):
    path, _ = export(played, "rounds_ndjson")
    found = [json.loads(text) for text in path.read_text().splitlines()]
    states = sorted(one["state"] for one in found)
    assert states == ["recognised", "recognised", "skipped", "timed_out"]
    first = next(one for one in found if one["queries"])
    assert len(first["drawing"]) == 3 and first["queries"][0]["rank"] >= 1


def test_maps_count_bubbles(played, export):
    path, _ = export(played, "maps")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        total = sum(int(np.load(archive.open(name)).sum()) for name in names)
    assert total > 40 * 14 * 14


def test_people_who_withdraw_are_gone_from_exports(world, export):
    alice = play(world)
    alice.http.delete("/api/me")
    _, said = export(world, "clicks_csv")
    assert said.endswith("1 rows; left out: 1 skipped, 2 without a bubble")
    path, _ = export(world, "participants_csv", "people.csv")
    assert alice.session["display_name"] not in path.read_text()


def test_pseudonyms_are_not_ids(played, export):
    path, _ = export(played, "clicks_csv", "a.csv")
    kept, _ = export(played, "clicks_csv", "b.csv", keep_ids=True)
    users = [{row["user_id"] for row in csv.DictReader(one.open())} for one in (path, kept)]
    assert not users[0] & users[1]


def test_keyboard_rounds_only_when_asked(world, alice, export):
    round_id = alice.ask().json()["round"]
    alice.start(round_id, input="keyboard")
    world.clock.advance(500)
    alice.bubbles(round_id, line(10))
    alice.end(round_id)
    assert "1 painted by keyboard" in export(world, "clicks_csv", "a")[1]
    assert ": 1 rows" in export(world, "clicks_csv", "b", include_keyboard=True)[1]


def test_late_bubbles_only_when_asked(world, export):
    alice = world.person()
    round_id = alice.round()
    alice.bubbles(round_id, line(10))
    world.clock.advance(7000)
    assert alice.end(round_id).json()["status"] == "timed_out"
    assert alice.bubbles(round_id, line(5, t0=500.0), 10).json()["stored"] == 15
    counts = {}
    for late in (False, True):
        path, _ = export(world, "clicks_csv", f"late {late}", include_late=late)
        counts[late] = len(parse_clicks(next(csv.DictReader(path.open()))["clicks"]))
    assert counts == {False: 10, True: 15}


def test_catch_scores_are_a_persons(tmp_path, export):
    """Readers leave out people by it, so all rows of one person say the same."""
    with World(tmp_path, catch_every=1) as world:
        alice = play(world)
        with world.database.write() as connection:
            mine = sa.select(rounds.c.id).where(rounds.c.state.in_(("recognised", "timed_out")))
            first, second, third = connection.execute(mine.order_by(rounds.c.closed_at)).scalars()
            for round_id, score in ((first, 1.0), (second, 0.0)):
                here = rounds.update().where(rounds.c.id == round_id)
                connection.execute(here.values(is_catch=True, catch_score=score))
        path, _ = export(world, "clicks_csv", "a.csv")
        scores = [row["user_catch_trial"] for row in csv.DictReader(path.open())]
        assert scores == ["0.5", "0.5", "1"]  # Alice passed one of two; Charlie met none
        with np.load(export(world, "clicks_npz", "b.npz")[0], allow_pickle=False) as arrays:
            assert arrays["user_catch_trial"].tolist() == [0.5, 0.5, 1]
        assert alice.session and third


def test_a_phone_stays_one_when_its_owner_withdraws(tmp_path, export):
    with World(tmp_path, study=StudySettings(withdrawn_maps="anonymise")) as world:
        alice = play(world)
        with world.database.write() as connection:
            mine = sessions.c.token_hash == token_hash(alice.http.cookies["study_session"])
            connection.execute(sessions.update().where(mine).values(device_class="phone"))
        before = [row["is_mobile"] for row in csv.DictReader(export(world, "clicks_csv")[0].open())]
        assert alice.http.delete("/api/me").status_code == 204
        path, _ = export(world, "clicks_csv", "after")
        assert [row["is_mobile"] for row in csv.DictReader(path.open())] == before
        assert before == ["true", "true", "false"]


@pytest.mark.slow
def test_from_the_game_into_shards(played, export, tmp_path):
    """`build_tfrecords --source=clickme_clicks` reads the export unchanged, `verify` is content."""
    path, _ = export(played, "clicks_csv", "clicks.csv")
    output = tmp_path / "shards"
    build = [
        *(sys.executable, "-m", "data_prep.build_tfrecords", "--source=clickme_clicks"),
        *(f"--clicks_file={path}", f"--input_dir={played.pictures}", "--click_frame=256"),
        *("--min_participants=1", f"--output_dir={output}", "--on_duplicate=drop"),
    ]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    verify = [sys.executable, "-m", "data_prep.verify", f"--data_dir={output}"]
    done = subprocess.run(verify, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
