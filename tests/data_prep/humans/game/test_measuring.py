"""What the measuring subcommands do with a database: catch rounds, masks, calibrations, files."""

import dataclasses
import tracemalloc

import game_world
import numpy as np
import pytest
from absl import flags
from PIL import Image

from data_prep import clickme_game
from data_prep.humans.game import calibrate, calibration_report, commands, masks, measuring, played
from data_prep.humans.game.partners.reference import picture_key
from data_prep.humans.game.rules import Rules
from data_prep.humans.game.tables import images, rounds


def draw_masks(world, folder, x=128, y=112, suffix=".png"):
    """A disc for every picture of the world."""
    rows, columns = np.mgrid[:256, :256]
    disc = (np.hypot(columns - x, rows - y) < 25).astype(np.uint8) * 255
    for path in sorted(world.pictures.rglob("*.png")):
        file = folder / path.relative_to(world.pictures).with_suffix(suffix)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(disc).save(file) if suffix == ".png" else np.save(file, disc)
    return folder


# --------------------------------------------------------------------------- masks


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_masks_meet_pictures_by_their_names(world, tmp_path, suffix):
    folder = draw_masks(world, tmp_path / "masks", suffix=suffix)
    (folder / "circle" / f"circle_0{suffix}").unlink()
    assert masks.attach(world.database, str(folder), str(world.pictures)) == 5
    with world.database.read() as connection:
        rows = connection.execute(images.select()).all()
        assert [row.path[-12:] for row in rows if not row.is_catch] == ["circle_0.png"]
        seen = masks.StudyMasks(connection, lambda path: world.service._frames.get(path).pixels)
    assert len(seen) == 5
    row = next(row for row in rows if row.is_catch)
    frame = world.service._frames.get(row.path)
    assert seen.get(picture_key(frame.pixels))[112, 128] == 255
    assert seen.sees(frame.jpeg)[10, 10] == 0
    assert seen.get("unknown", "none") == "none"


def test_masks_of_many_pictures_are_not_all_in_memory(world, tmp_path, monkeypatch):
    monkeypatch.setattr(masks, "KEPT", 2)
    masks.attach(world.database, str(draw_masks(world, tmp_path / "masks")), str(world.pictures))
    with world.database.read() as connection:
        seen = masks.StudyMasks(connection, lambda path: world.service._frames.get(path).pixels)
    tracemalloc.start()
    for key, mask in seen.items():
        assert np.array_equal(seen.get(key), mask)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(seen) == 6 and kept < 4 * mask.nbytes  # two, and the last of the loop


def test_masks_of_no_picture_are_refused(world, tmp_path):
    with pytest.raises(ValueError, match="no mask there"):
        masks.attach(world.database, str(tmp_path / "none"), str(world.pictures))


def test_without_files_the_partner_tells_what_matters(world):
    with world.database.read() as connection:
        seen = masks.StudyMasks(
            connection, lambda path: world.service._frames.get(path).pixels, world.partner
        )
    assert len(seen) == 6
    assert all(mask[128, 128] == 1 for _, mask in seen.items())


# --------------------------------------------------------------------------- catch rounds


def test_catch_rounds_are_scored_once(tmp_path):
    with game_world.World(tmp_path, catch_every=1) as world:
        score_catch_rounds_once(world, world.person(), tmp_path)


def score_catch_rounds_once(world, alice, tmp_path):
    folder = draw_masks(world, tmp_path / "masks")
    masks.attach(world.database, str(folder), str(world.pictures))
    with world.database.write() as connection:  # another place, so that the two can differ
        rows = connection.execute(images.select().order_by(images.c.id)).all()
        aside = draw_masks(world, tmp_path / "aside", x=30, y=30)
        for row in rows[1::2]:
            path = str(aside / row.reference_path.split("masks/")[1])
            here = images.update().where(images.c.id == row.id)
            connection.execute(here.values(reference_path=path))
    for _ in range(4):
        round_id = alice.round()
        world.clock.advance(3000)
        alice.bubbles(round_id, game_world.winning(60))
        world.clock.advance(4500)
        alice.end(round_id)
    assert measuring.score_catch_rounds(world.database, world.settings) == 4
    assert measuring.score_catch_rounds(world.database, world.settings) == 0
    with world.database.read() as connection:
        middle = {
            row.id: "aside" not in row.reference_path for row in connection.execute(images.select())
        }
        found = played.read(connection)
    # Who paints the middle passes where the mask lies there, and only there.
    assert all(row.catch_score == float(middle[row.image]) for row in found if row.has_map)


# --------------------------------------------------------------------------- calibrations


def test_a_public_address_needs_its_own_calibration(world, tmp_path):
    study = dataclasses.replace(world.settings.study, public_url="https://example.org")
    public = dataclasses.replace(world.settings, study=study)

    def require(settings):
        calibration_report.require(settings, world.database, world.partner)

    require(world.settings)
    require(dataclasses.replace(public, accept_uncalibrated=True))
    with pytest.raises(ValueError, match="there is no --calibration"):
        require(public)
    with world.database.read() as connection:
        digest = masks.images_hash(connection)
    pixels = np.zeros((256, 256, 3), np.uint8)
    found = calibrate.calibrate(
        [calibrate.Picture("a", pixels, 0)],
        world.partner,
        Rules(),
        calibrate.Settings(("mean",), (21,), (5,), (0.0,)),
        pictures_sha256=digest,
    )
    calibration_report.write(found, tmp_path / "calibration")
    calibrated = dataclasses.replace(public, calibration=str(tmp_path / "calibration"))
    require(calibrated)
    with pytest.raises(ValueError, match="did not try these rules"):
        require(dataclasses.replace(calibrated, rules=Rules(top_k=1)))


# --------------------------------------------------------------------------- the commands


@pytest.fixture
def still(tmp_path):
    """A world whose server does not run: its sweeper would end the simulation's rounds."""
    world = game_world.World(tmp_path)
    yield world
    world.service.asker.close()
    world.database.close()


def run(world, *words):
    values = flags.FlagValues()
    clickme_game.define_flags(values)
    database = world.folder / "game.db"
    names = [word for word in words if not word.startswith("--")]
    values(
        [
            "game",
            f"--database={database}",
            f"--images={world.pictures}",
            "--partner=reference",
            *(word for word in words if word.startswith("--")),
        ]
    )
    commands.run(names, clickme_game.settings_of(values), values)


def test_a_study_is_simulated_counted_and_judged_by_commands(still, capsys):
    run(still, "simulate", "--players=2", "--rounds=2", "--batch=64", "--random=0")
    assert "people: {'honest': 2" in capsys.readouterr().out
    run(still, "statistics", f"--output={still.folder / 'page'}")
    assert "| participants | 1,235 | 2 |" in capsys.readouterr().out
    run(still, "quality")
    assert "0 catch rounds scored" in capsys.readouterr().out
    run(
        still,
        "calibrate",
        f"--output={still.folder / 'calibration'}",
        "--backgrounds=mean",
        "--partner_bubble_sides=21",
        "--keep_masks",
    )
    assert "Recommended" in capsys.readouterr().out
    with still.database.read() as connection:
        assert all(row.is_catch for row in connection.execute(images.select()))
        some = connection.execute(rounds.select()).first()
    with pytest.raises(ValueError, match="with the partner"):  # made-up masks, which are not kept
        run(still, "replay", some.id)
    run(
        still,
        "calibrate",
        f"--output={still.folder / 'again'}",
        "--backgrounds=mean",
        "--partner_bubble_sides=21",
        "--from_database",
    )
    assert "the guided paths are people's" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, why",
    [
        (["calibrate"], "--output is missing"),
        (["calibrate", "--output=x", "--top_ks=a"], "expected numbers"),
        (["replay"], "Which round"),
        (["replay", "none"], "no round"),
        (["statistics"], "No round"),
        (["simulate", "--skipped=2"], "--skipped"),
    ],
)
def test_what_cannot_be_done_is_said(still, words, why):
    with pytest.raises(ValueError, match=why):
        run(still, *words)
