"""The generator: order of reveal, scramble, composition, files; adversarial maps; bad input."""

import csv
import dataclasses
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from data_prep.humans.psychophysics import flood_fill, generate, manifest, phase_scramble, stimuli
from data_prep.humans.psychophysics.levels import LEVEL_NAMES, LEVELS, pixels_shown
from data_prep.humans.psychophysics.pictures import Picture
from data_prep.humans.psychophysics.settings import Input, Making
from data_prep.humans.psychophysics.stimuli import Work, make_all

# Of the two sources' stimuli at 100 %, in both colour modes; change them only with the generator.
GOLDEN = {
    "rgb": ("69e5", "b0cf"),
    "gray": ("1101", "b5b1"),
}


def blob(y, x, spread=20, side=256):
    rows, columns = np.mgrid[:side, :side]
    return (100 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * spread**2))).astype(int)


def photograph(seed=0, size=(256, 256)):
    noise = np.random.default_rng(seed).normal(size=(*size, 3)).cumsum(0).cumsum(1)
    return ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)


def one_pixel():
    counts = np.zeros((256, 256), int)
    counts[200, 30] = 5
    return counts


ADVERSARIAL = {
    "flat": np.ones((256, 256), int),
    "one pixel": one_pixel(),
    "two far blobs": blob(40, 40) + blob(210, 210),
    "at the border": blob(0, 128),
}

OTHERS = [name for name in ADVERSARIAL if name != "two far blobs"]


def work(tmp_path, a, b, making=None, seed=0, name="one/zebra.png"):
    path = tmp_path / "images" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photograph()).save(path)
    picture = Picture(name, "zebra", "target", False, (name, name))
    return Work(picture, path, (a, b), ("clickme", "salicon"), seed, making or Making())


# --------------------------------------------------------------------------- the parts


def test_levels_are_the_papers():
    assert len(LEVELS) == 11 and LEVELS[0] == 1 and LEVELS[-1] == 100
    assert LEVEL_NAMES == (
        *("1", "1.6", "2.5", "4", "6.3", "10", "15.8", "25.1", "39.8", "63.1", "100"),
        "full",
    )
    assert [pixels_shown(level, 10_000) for level in ("1", "39.8", "100", "full")] == [
        *(100, 3981, 10_000),
        65_536,
    ]


@examples(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(2, 20),
    st.integers(2, 20),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_any_map_is_revealed_in_one_connected_region(seed, height, width, alpha):
    rng = np.random.default_rng(seed)
    importance = rng.integers(0, 3, (height, width)) * 1.0
    importance[0, 0] += 1
    order = flood_fill.reveal_order(importance, rng, alpha)
    assert sorted(order.ravel()) == list(range(height * width))
    assert order.ravel()[importance.argmax()] == 0
    for count in (1, height * width // 2, height * width):
        assert ndimage.label(order < max(count, 1))[1] == 1


def test_without_noise_the_order_is_that_of_a_naive_search():
    """An independent one: at each turn the best of all neighbours, found anew."""
    importance = np.random.default_rng(3).integers(0, 9, (12, 9)) * 1.0
    order = flood_fill.reveal_order(importance, np.random.default_rng(0), alpha=0.3, tau=0)
    first = divmod(int(importance.argmax()), 9)
    far = [[np.hypot(y - first[0], x - first[1]) for x in range(9)] for y in range(12)]
    score = 0.7 * importance / importance.max() - 0.3 * np.array(far) / np.hypot(12, 9)
    shown = {first}
    for turn in range(1, 108):
        beside = {(y + b, x + a) for y, x in shown for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0))}
        beside = [p for p in beside - shown if 0 <= p[0] < 12 and 0 <= p[1] < 9]
        best = max(beside, key=lambda p: (score[p], -p[0] * 9 - p[1]))
        assert order[best] == turn
        shown.add(best)


def test_numbers_of_a_shape_by_hand():
    importance = np.ones((5, 5))
    order = np.full((5, 5), 99)
    ring = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2), (3, 3)]
    for turn, place in enumerate(ring):
        order[place] = turn
    found = flood_fill.shape_of(importance, order, 8)
    assert found.capture == 1 and found.holes == 1 / 8
    assert found.outline == pytest.approx((12 + 4) / (2 * np.sqrt(np.pi * 8)))


def test_all_zero_has_no_order():
    with pytest.raises(ValueError, match="not all zero"):
        flood_fill.reveal_order(np.zeros((4, 4)), np.random.default_rng(0))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_scramble_keeps_amplitudes_means_and_covariance(channels):
    image = photograph()[..., :channels].astype(float)
    made = phase_scramble.scramble(image, np.random.default_rng(0))
    assert phase_scramble.amplitude_error(image, made) < 1e-12
    assert np.allclose(made.mean((0, 1)), image.mean((0, 1)))
    covariance = [np.cov(one.reshape(-1, channels).T) for one in (image, made)]
    assert np.allclose(*covariance, rtol=1e-9)
    assert np.abs(made - image).mean() > 20


def test_a_naive_scramble_is_seen():
    """Independent phases at all frequencies, and the real part taken, halve the power."""
    image = photograph().astype(float)
    phase = np.random.default_rng(0).uniform(-np.pi, np.pi, (256, 256, 1))
    means = image.mean((0, 1))
    turned = np.fft.fft2(image - means, axes=(0, 1)) * np.exp(1j * phase)
    naive = np.fft.ifft2(turned, axes=(0, 1)).real + means
    with pytest.raises(RuntimeError, match="amplitudes"):
        stimuli.verify.check_scramble("x", image, naive)


def test_blur_is_the_exact_sum_over_windows():
    counts = np.random.default_rng(0).integers(0, 60_000, (9, 12))
    blurred = stimuli.box_blur(counts, "box:5")
    padded = np.pad(counts, 2)
    naive = [[padded[y : y + 5, x : x + 5].sum() for x in range(12)] for y in range(9)]
    assert blurred.dtype == np.int64 and (blurred == naive).all()


@pytest.mark.parametrize("place", [(0, 0, 1, 1), (200, 0, 256, 256), (3, 250, 9, 256)])
def test_the_bounding_box_comes_to_the_middle(place):
    top, left, bottom, right = place
    shown = np.zeros((256, 256), bool)
    shown[top:bottom, left:right] = True
    y, x = stimuli.centring(shown)
    moved = np.roll(shown, (y, x), (0, 1))
    rows, columns = np.nonzero(moved)
    for low, high in ((rows.min(), rows.max()), (columns.min(), columns.max())):
        assert abs(low - (255 - high)) <= 1


# --------------------------------------------------------------------------- one image


@pytest.mark.parametrize(
    "name",
    ["two far blobs", *(pytest.param(n, marks=pytest.mark.slow) for n in OTHERS)],
)
def test_stimuli_of_an_adversarial_map_hold_what_they_must(tmp_path, name):
    """`make_image` verifies every level itself; here, what it has told the manifest."""
    making = Making(min_capture=0)
    rows = stimuli.make_image(work(tmp_path, ADVERSARIAL[name], blob(120, 90), making), tmp_path)
    assert len(rows) == 24
    by_source = [[row for row in rows if row.source == s] for s in ("clickme", "salicon")]
    assert [r.pixels_shown for r in by_source[0]] == [r.pixels_shown for r in by_source[1]]
    for of_source in by_source:
        assert len({(row.shift_y, row.shift_x) for row in of_source[:-1]}) == 1
        assert (of_source[-1].shift_y, of_source[-1].shift_x) == (0, 0)
    full = [np.asarray(Image.open(tmp_path / one[-1].path)) for one in by_source]
    assert (full[0] == photograph()).all() and (full[1] == full[0]).all()


def test_what_is_wrong_in_a_file_is_seen(tmp_path):
    image = photograph()
    order = flood_fill.reveal_order(blob(100, 100), np.random.default_rng(0))
    scrambled = phase_scramble.to_uint8(255.0 - image)
    shift = stimuli.centring(order < 900)
    shown_at = {"50": 450, "100": 900}
    good = {
        level: stimuli.compose(image, scrambled, order < count, shift)
        for level, count in shown_at.items()
    } | {"full": image}
    check = stimuli.verify.check_levels
    check("x", image, scrambled, order, shift, shown_at, good)
    y, x = np.argwhere(order == 10)[0] + shift
    for place, rule in (((y, x), "inside"), ((2, 3), "outside")):
        bad = good["100"].copy()
        bad[place] ^= 1
        with pytest.raises(RuntimeError, match=rule):
            check("x", image, scrambled, order, shift, shown_at, good | {"100": bad})
    with pytest.raises(RuntimeError, match="full"):
        check("x", image, scrambled, order, shift, shown_at, good | {"full": good["100"]})
    torn = order.copy()
    torn[order == 5], torn[200, 200] = order[200, 200], 5
    with pytest.raises(RuntimeError, match="connected"):
        check("x", image, scrambled, torn, shift, shown_at, good)
    with pytest.raises(RuntimeError, match="permutation"):
        check("x", image, scrambled, np.minimum(order, 7), shift, shown_at, good)


@pytest.mark.slow
@pytest.mark.parametrize("color", ["rgb", "gray"])
def test_the_same_seed_gives_the_same_bytes(tmp_path, color):
    hashes = []
    for number, seed in enumerate((0, 0, 1) if color == "gray" else (0,)):
        made = work(tmp_path, blob(90, 120), blob(160, 60), Making(color=color), seed)
        rows = stimuli.make_image(made, tmp_path / str(number))
        hashes.append({row.path: row.sha256 for row in rows})
    if color == "gray":
        assert hashes[0] == hashes[1]
        changed = [path for path in hashes[0] if hashes[0][path] != hashes[2][path]]
        assert len(changed) == 22  # all but the full image
    shown = [hashes[0][f"{s}/one_zebra/100.png"][:4] for s in ("clickme", "salicon")]
    assert tuple(shown) == GOLDEN[color]


def test_an_all_zero_map_and_a_poor_fill_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"one/zebra.png: its map in 'salicon' is all zero"):
        stimuli.make_image(work(tmp_path, blob(90, 90), 0 * blob(1, 1)), tmp_path)
    far = work(tmp_path, blob(20, 20, 9) + blob(235, 235, 9), blob(90, 90), Making(alpha=1))
    with pytest.raises(ValueError, match=r"one/zebra.png, clickme: .*--min_capture"):
        stimuli.make_image(far, tmp_path)
    small = work(tmp_path, one_pixel(), blob(90, 90), Making(blur="none"))
    with pytest.raises(ValueError, match="100 % would be 1 pixels"):
        stimuli.make_image(small, tmp_path)


def test_all_images_at_fault_are_named_at_once(tmp_path):
    nothing = np.zeros((256, 256), int)
    works = [work(tmp_path, nothing, nothing, name=f"zebra{number}.png") for number in (1, 2)]
    with pytest.raises(ValueError, match=r"(?s)2 of 2 images .*zebra1.png.*zebra2.png"):
        make_all(works, tmp_path / "set", 1)
    assert not (tmp_path / "set" / "manifest.csv").exists()


@pytest.mark.parametrize(
    "wrong", [{"blur": "box:4"}, {"blur": "gaussian:3,1"}, {"support": "fixed:2"}, {"alpha": 2}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=f"--{next(iter(wrong))}"):
        Making(**wrong)


# --------------------------------------------------------------------------- a whole set


@pytest.mark.slow
def test_a_set_is_resumed_and_a_changed_stimulus_is_seen(tmp_path):
    works = [
        work(tmp_path, blob(90, 90), blob(99, 60), name=f"zebra{number}.png") for number in (1, 2)
    ]
    folder = tmp_path / "set"
    make_all(works, folder, 1)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    text = (folder / "manifest.csv").read_bytes()
    damaged = folder / "clickme" / "zebra1" / "10.png"
    rows = manifest.read_manifest(folder)
    manifest.check_unchanged(folder, rows)
    damaged.write_bytes(damaged.read_bytes() + b" ")
    with pytest.raises(ValueError, match=r"zebra1.10.png has changed since"):
        manifest.check_unchanged(folder, rows)
    damaged.unlink()
    with pytest.raises(ValueError, match=r"zebra1.10.png is missing from"):
        manifest.check_unchanged(folder, rows)
    make_all(works, folder, 1)
    assert (folder / "manifest.csv").read_bytes() == text
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    assert all((after[p] == before[p]) == ("zebra2" in str(p)) for p in after)
    assert not list(folder.rglob("*.writing"))
    changed = [works[0]._replace(making=dataclasses.replace(Making(), tau=0.05)), works[1]]
    make_all(changed, folder, 1)
    assert (folder / "manifest.csv").read_bytes() != text


class Folder:
    """Images, their list, and maps as files."""

    def __init__(self, root: Path):
        self.root = root
        self.lines = [["Image", "label", "Side"]]
        self.size = (256, 320)
        for number, (label, side) in enumerate((("zebra", "target"), ("couch", "distractor"))):
            name = f"{label}.png"
            self.lines.append([name, label, side])
            (root / "images").mkdir(exist_ok=True)
            Image.fromarray(photograph(number, self.size)).save(root / "images" / name)
            for source in ("a", "b"):
                self.write_map(
                    source, label, np.pad(blob(120, 90 + 30 * number), [(0, 0), (0, 64)])
                )

    def write_map(self, source, label, counts):
        folder = self.root / f"maps_{source}"
        folder.mkdir(exist_ok=True)
        np.save(folder / f"{label}.npy", counts)

    def generate(self, **changes):
        with open(self.root / "images" / "images.csv", "w") as file:
            csv.writer(file).writerows(self.lines)
        given = Input(
            images=str(self.root / "images"),
            maps_a=f"clickme:{self.root / 'maps_a'}",
            maps_b=f"salicon:{self.root / 'maps_b'}",
            output_dir=str(self.root / "set"),
            images_per_class=1,
        )
        return generate.generate(dataclasses.replace(given, **changes), Making(), 0, 1)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_maps_of_files_are_cut_to_the_square_of_their_image(folder):
    rows = folder.generate()
    assert len(rows) == 48 and {row.source for row in rows} == {"clickme", "salicon"}
    stored = np.load(folder.root / "set/clickme/zebra/order.npz", allow_pickle=False)
    # The blob is at column 90 of 320; the central square begins at column 32.
    assert tuple(np.argwhere(stored["order"] == 0)[0]) == (120, 58)
    for row in rows[::7]:
        data = (folder.root / "set" / row.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row.sha256
        assert Image.open(io.BytesIO(data)).size == (256, 256)
    sheet = Image.open(folder.root / "set/contact_sheet.png")
    assert sheet.height > 4 * 100


def zero(folder):
    folder.write_map("b", "couch", np.zeros(folder.size, int))


def other_size(folder):
    folder.write_map("a", "couch", np.ones((256, 256), int))


def without(folder):
    (folder.root / "maps_b" / "zebra.npy").unlink()


def no_image(folder):
    (folder.root / "images" / "couch.png").unlink()


def one_side(folder):
    folder.lines[2][2] = "target"


def no_such_side(folder):
    folder.lines[2][2] = "tarqet"


def twice(folder):
    folder.lines.append(folder.lines[1])


def few(folder):
    folder.lines.append(["zebra2.png", "zebra", "target"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (zero, r"--maps_b=.*1 of 2 images have a map that is all zero: couch.png"),
        (other_size, r"couch.npy' is 256x256, its image 256x320"),
        (without, r"--maps_b=.*1 of 2 images have no map: zebra.png"),
        (no_image, r"1 images are not in .*couch.png"),
        (one_side, r"expected targets and distractors"),
        (no_such_side, r"line 3: side is 'tarqet'"),
        (twice, r"would share one folder of stimuli, 'zebra'"),
        (few, r"expected 1 images of each label, got zebra: 2"),
    ],
)
def test_bad_input_is_named_before_anything_is_made(folder, spoil, message):
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        folder.generate()
    assert not (folder.root / "set").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maps_a": "/nowhere"}, "expected NAME:PLACE"),
        ({"maps_a": "clickme:/nowhere"}, "there is no '/nowhere'"),
        ({"maps_b": ""}, "--maps_b is missing"),
    ],
)
def test_bad_flags_are_named(folder, changes, message):
    with pytest.raises(ValueError, match=message):
        folder.generate(**changes)


def test_an_unfinished_set_is_not_served(tmp_path):
    with pytest.raises(ValueError, match="holds no manifest.csv"):
        manifest.read_manifest(tmp_path)
