"""Quality of play: simulated honest, random, copying and scripted people, found or left alone."""

import functools
import hashlib

import numpy as np
import pytest
from PIL import Image

from data_prep.humans.game import bubbles, painters, players, quality
from data_prep.humans.game.played import Played
from data_prep.humans.game.rules import Rules

RULES = Rules()
MASKS = players.PlantedMasks()


@functools.cache
def planted(picture):
    """What matters in a picture of this name."""
    return MASKS.get(hashlib.sha256(picture.encode()).hexdigest())


def path_of(kind, picture, rng):
    if kind == "honest":
        return painters.guided(planted(picture), RULES, rng)
    if kind == "scripted":
        places = rng.uniform(0, 256, (141, 2))
        return np.column_stack([places, 50.0 * np.arange(141)])
    return painters.uniform(RULES, rng)


def study(kinds, pictures=60, each=30, length=70, seed=0):
    """(rounds, signatures) of people of these kinds, as the server would have stored them."""
    rng, rows, signatures, sent = np.random.default_rng(seed), [], {}, set()
    for number, kind in enumerate(kinds):
        copied = path_of("random", "", rng)
        for picture in rng.permutation(pictures)[:each]:
            path = copied if kind == "copying" else path_of(kind, f"picture {picture}", rng)
            path = [tuple(point) for point in path[:length].tolist()]
            flags = set(bubbles.flags_of(path, RULES))
            digest = bubbles.path_hash(path)
            flags |= {"copied"} if digest in sent else set()
            sent.add(digest)
            row = Played(
                id=f"r{len(rows)}",
                participant=f"{kind} {number}",
                image=f"picture {picture}",
                wnid="",
                label="",
                state="recognised",
                skip_reason=None,
                closed_at=len(rows),
                first_bubble_ms=None,
                bubbles=len(path),
                last_ms=path[-1][2],
                points=None,
                flags=frozenset(flags),
                is_catch=False,
                catch_score=None,
            )
            rows.append(row)
            signatures[row.id] = quality.signature(path, RULES)
    return rows, signatures


KINDS = ["honest"] * 20 + ["random"] * 5 + ["copying"] * 2 + ["scripted"] * 2


@pytest.fixture(scope="module")
def people():
    """Everybody of KINDS, judged: 30 rounds a person, on 60 pictures."""
    return quality.judge(*study(KINDS), np.random.default_rng(1))


def test_dishonest_play_is_found_and_honest_play_left_alone(people):
    """Detection and false alarms."""
    assert len(people) == len(KINDS)
    rates = {}
    for kind in players.KINDS:
        some = [bool(one.stands_out) for one in people if one.participant.startswith(kind)]
        rates[kind] = sum(some) / len(some)
    print("share that stands out:", rates)
    assert rates["honest"] <= 0.05
    assert rates["random"] >= 0.8 and rates["copying"] == rates["scripted"] == 1
    reasons = {one.participant.split()[0]: " ".join(one.stands_out) for one in people}
    assert "z " in reasons["random"] and "copied" in reasons["copying"]
    assert "step" in reasons["scripted"]
    assert not people[-1].stands_out  # those who stand out come first


def test_random_paths_look_uniform_and_honest_ones_do_not(people):
    shares = {
        kind: np.mean([one.uniform for one in people if one.participant.startswith(kind)])
        for kind in ("honest", "random")
    }
    assert shares["honest"] < 0.5 and shares["random"] > 0.85


def test_the_same_chance_gives_the_same_table():
    rows, signatures = study(["honest"] * 5, each=6)
    tables = [
        quality.markdown(quality.judge(rows, signatures, np.random.default_rng(3)), {})
        for _ in range(2)
    ]
    assert tables[0] == tables[1] and tables[0].count("\n") == 7


# --------------------------------------------------------------------------- agreement


def test_a_map_is_never_compared_with_its_own():
    """A paints two pictures alike and is alone on both but for B, who paints elsewhere."""
    rows, _ = study(["honest", "honest"], pictures=4, each=4)
    vectors = {row.id: np.eye(256, dtype=np.float32)[int(row.participant[-1])] for row in rows}
    found = quality.compare(rows, vectors, np.random.default_rng(0))
    assert len(found) == 8
    for same, others in found.values():
        assert same == pytest.approx(-1 / 255) and others == pytest.approx(-1 / 255)


def test_pictures_of_one_person_are_not_compared():
    rows, signatures = study(["honest"], each=5)
    assert quality.compare(rows, signatures, np.random.default_rng(0)) == {}
    (person,) = quality.judge(rows, signatures, np.random.default_rng(0))
    assert person.compared == 0 and np.isnan(person.agreement_z) and not person.stands_out


def test_everybody_alike_gives_no_z():
    rows, signatures = study(["honest"] * 3, pictures=5, each=5)
    flat = {row.id: np.ones(256, np.float32) for row in rows}
    assert all(
        np.isnan(one.agreement_z) for one in quality.judge(rows, flat, np.random.default_rng(0))
    )


def test_few_rounds_are_not_judged():
    rows, signatures = study(["random"] * 4, pictures=8, each=3)
    people = quality.judge(rows, signatures, np.random.default_rng(0))
    assert not any(one.stands_out for one in people)


def test_shares_and_flags_are_counted():
    rows, signatures = study(["honest"], each=10)
    rows = [row._replace(state="skipped", bubbles=0) for row in rows[:6]] + [
        row._replace(is_catch=True, catch_score=0.0) for row in rows[6:]
    ]
    (person,) = quality.judge(rows, {}, np.random.default_rng(0))
    assert person.skipped == 0.6 and person.catch == 0 and person.catch_rounds == 4
    assert any("catch" in reason for reason in person.stands_out)


# --------------------------------------------------------------------------- catch rounds


def blob(x, y, radius=20):
    rows, columns = np.mgrid[:256, :256] + 0.5
    return (np.hypot(columns - x, rows - y) <= radius).astype(float)


def test_a_catch_round_needs_half_the_mask_and_more_than_anothers():
    here, there = blob(80, 80), blob(180, 180)
    over = [(x, y, 0) for x in range(60, 101, 7) for y in range(60, 101, 7)]
    both = over + [(x + 100, y + 100, 0) for x, y, _ in over]
    assert quality.catch_score(over, here, there, RULES) == 1
    assert quality.catch_score(over, there, here, RULES) == 0
    assert quality.catch_score(over[:6], here, there, RULES) == 0  # too little
    assert quality.catch_score(both, here, there, RULES) == 0  # no more than the other's


def test_masks_are_read_from_pictures_and_arrays(tmp_path):
    Image.fromarray((blob(80, 80) * 255).astype(np.uint8)).resize((512, 512)).save(
        tmp_path / "a.png"
    )
    np.save(tmp_path / "a.npy", blob(80, 80))
    for name in ("a.png", "a.npy"):
        mask = quality.read_mask(str(tmp_path / name))
        assert mask.shape == (256, 256) and mask[80, 80] > 0 and mask[200, 200] == 0


@pytest.mark.parametrize("content", [b"no picture", None])
def test_what_is_no_mask_is_refused(tmp_path, content):
    path = tmp_path / "a.npy"
    if content is None:
        np.save(path, np.zeros((4, 4)))
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="no reference mask"):
        quality.read_mask(str(path))
