"""A known pattern, painted in image and map, is found again in the same place after every cut."""

import io
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gala_tf.data import clickmaps, preprocessing

SHAPES = [(256, 256), (256, 384), (500, 375), (97, 64)]
BOX = (0.35, 0.4, 0.55, 0.7)  # fractions of height and width


def seeds(n):
    return tf.constant([[7, i] for i in range(n)], tf.int32)


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


def painted(height, width):
    """An image with one bright rectangle, and the map [H, W] of the same rectangle."""
    ymin, ymax = int(BOX[0] * height), int(BOX[2] * height)
    xmin, xmax = int(BOX[1] * width), int(BOX[3] * width)
    counts = np.zeros((height, width), np.uint8)
    counts[ymin:ymax, xmin:xmax] = 1
    return jpeg(np.repeat(counts[:, :, None] * 255, 3, axis=2)), counts


def in_dataset(function, elements):
    """The results of `function` inside tf.data, which differs from eager more often than hoped."""
    dataset = tf.data.Dataset.from_tensor_slices(elements).map(function)
    return np.array(list(dataset.as_numpy_iterator()))


def test_paper_window_of_a_256_record_reaches_every_offset_from_0_to_32():
    windows = in_dataset(lambda s: preprocessing.paper_window(s, 256, 256, 0.875), seeds(1000))
    assert (windows[:, 2:] == 224).all()
    assert set(windows[:, 0]) == set(windows[:, 1]) == set(range(33))
    assert abs(np.corrcoef(windows[:, 0], windows[:, 1])[0, 1]) < 0.1


def test_paper_window_stays_in_the_central_square():
    windows = in_dataset(lambda s: preprocessing.paper_window(s, 100, 200, 0.8), seeds(300))
    assert (windows[:, 2:] == 80).all()
    assert (windows[:, 0].min(), windows[:, 0].max()) == (0, 20)
    assert (windows[:, 1].min(), windows[:, 1].max()) == (50, 70)


def test_windows_of_many_images_are_drawn_for_each():
    heights, widths = tf.repeat([256, 100], 1000), tf.repeat([256, 200], 1000)
    windows = preprocessing.paper_window([3, 4], heights, widths, 0.8).numpy()
    sides = windows.reshape(2, 1000, 4)
    assert (sides[0, :, 2:] == 205).all() and (sides[1, :, 2:] == 80).all()
    assert set(sides[0, :, 0]) == set(sides[0, :, 1]) == set(range(52))
    assert set(sides[1, :, 0]) == set(range(21)) and set(sides[1, :, 1]) == set(range(50, 71))
    assert abs(np.corrcoef(sides[0, :, 0], sides[0, :, 1])[0, 1]) < 0.1
    assert abs(np.corrcoef(sides[0, 1:, 0], sides[0, :-1, 0])[0, 1]) < 0.1
    central = preprocessing.center_window(heights, widths, 0.8).numpy()
    np.testing.assert_array_equal(central[0], preprocessing.center_window(256, 256, 0.8))
    np.testing.assert_array_equal(central[-1], preprocessing.center_window(100, 200, 0.8))


def test_every_image_of_a_block_has_a_seed_of_its_own():
    some, others = (preprocessing.split_seed(seed, 64).numpy() for seed in ([1, 2], [1, 3]))
    assert len(np.unique(np.concatenate([some, others]), axis=0)) == 128
    np.testing.assert_array_equal(preprocessing.split_seed([1, 2], 64), some)


def test_inception_window_covers_its_ranges_and_fits_the_image():
    windows = in_dataset(lambda s: preprocessing.inception_window(s, 240, 300), seeds(1000))
    top, left, height, width = windows.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 240).all() and (left + width <= 300).all()
    area, aspect = height * width / (240 * 300), width / height
    assert 0.079 < area.min() < 0.09 and area.max() > 0.9
    assert 0.73 < aspect.min() < 0.8 and 1.25 < aspect.max() < 1.36


def test_inception_window_of_an_impossible_shape_is_the_whole_image():
    # At 1:100 no window of a legal aspect has 8 % of the area.
    window = preprocessing.inception_window(seeds(1)[0], 10, 1000)
    np.testing.assert_array_equal(window, [0, 0, 10, 1000])


@pytest.mark.parametrize(
    ("shape", "fraction", "expected"),
    [
        ((256, 256), 0.875, [16, 16, 224, 224]),
        ((375, 500), 0.875, [23, 86, 328, 328]),
        ((64, 64), 1.0, [0, 0, 64, 64]),
        ((3, 900), 0.01, [1, 449, 1, 1]),  # never empty
    ],
)
def test_center_window_by_hand(shape, fraction, expected):
    np.testing.assert_array_equal(preprocessing.center_window(*shape, fraction), expected)


def test_fixed_side_is_the_side_of_every_such_window():
    for height, width, fraction in itertools.product((1, 45, 256), (45, 500), (0.1, 0.7, 0.875, 1)):
        side = preprocessing.fixed_side(height, width, fraction)
        for window in (
            preprocessing.center_window(height, width, fraction),
            preprocessing.paper_window(seeds(1)[0], height, width, fraction),
        ):
            assert window[2:].numpy().tolist() == [side, side]


def test_windows_and_flips_depend_on_the_seed_alone_and_not_on_each_other():
    def draw(seed):
        window = preprocessing.paper_window(seed, 256, 256, 0.5)
        flip = tf.cast(preprocessing.random_flip(seed), tf.int32)
        return tf.concat([window, [flip]], axis=0)

    drawn = in_dataset(draw, seeds(2000))
    np.testing.assert_array_equal(drawn[:10], [draw(seed) for seed in seeds(10)])
    top, left, _, _, flip = drawn.T
    assert 0.46 < flip.mean() < 0.54
    # One bit stream for both would tie the flip to an offset.
    assert abs(np.corrcoef(flip, top)[0, 1]) < 0.08
    assert abs(np.corrcoef(flip, left)[0, 1]) < 0.08


def covering_fraction(window, size, flip):
    """How much of each target cell the rectangle BOX covers, from its definition: [size, size]."""
    (height, width), (top, left, extent_y, extent_x) = window

    def overlap(lower, upper, start, extent):
        edges = start + np.arange(size + 1) * extent / size
        covered = np.minimum(edges[1:], upper) - np.maximum(edges[:-1], lower)
        return np.maximum(covered, 0) / (extent / size)

    rows = overlap(int(BOX[0] * height), int(BOX[2] * height), top, extent_y)
    columns = overlap(int(BOX[1] * width), int(BOX[3] * width), left, extent_x)
    return np.outer(rows, columns[::-1] if flip else columns)


@pytest.mark.parametrize(
    ("crop", "shape"),
    [("paper", SHAPES[0]), ("paper", SHAPES[3]), ("inception", SHAPES[1]), ("center", SHAPES[2])],
)
def test_pattern_is_found_again_in_image_and_map(shape, crop):
    height, width = shape
    encoded, counts = painted(*shape)
    # A 64x64 grid over the whole image, as records store it.
    grid = tf.image.resize(counts[:, :, None], [64, 64], "area")[:, :, 0].numpy()
    image_size, size = 56, 14

    def cut(seed):
        window = {
            "paper": lambda: preprocessing.paper_window(seed, height, width, 0.875),
            "inception": lambda: preprocessing.inception_window(seed, height, width),
            "center": lambda: preprocessing.center_window(height, width, 0.875),
        }[crop]()
        flip = preprocessing.random_flip(seed)
        image = preprocessing.cut_image(encoded, window, image_size)
        image = preprocessing.mirror(image[None], tf.cast(flip, tf.float32)[None])[0]
        maps = [
            preprocessing.cut_clickmap(stored, window, flip, shape, size, "bilinear")
            for stored in (counts, grid)
        ]
        return window, flip, image, *maps

    dataset = tf.data.Dataset.from_tensor_slices(seeds(8)).map(cut)
    flips = set()
    for window, flip, image, *maps in dataset:
        flips.add(bool(flip))
        expected = covering_fraction((shape, window.numpy()), size, flip)
        shrunk = image.numpy().mean(2).reshape(size, 4, size, 4).mean((1, 3)) / 255
        for found in (shrunk, *(clickmap.numpy()[:, :, 0] for clickmap in maps)):
            # Resizing blurs the rectangle's edge, by a cell at most; elsewhere they agree closely.
            np.testing.assert_allclose(found, expected, atol=0.5)
            assert np.abs(found - expected).mean() < 0.05
            # No shift: the mass lies where it should, within a fraction of a cell.
            if 0.02 < expected.mean() < 0.9:
                for axis in (0, 1):
                    places = np.arange(size) + 0.5
                    wanted, got = (m.sum(1 - axis) @ places / m.sum() for m in (expected, found))
                    assert abs(got - wanted) < 0.3
    for tensor, in_graph in zip(cut(seeds(8)[-1])[2:], (image, *maps), strict=True):
        np.testing.assert_allclose(tensor, in_graph, atol=1e-6)
    assert flips == {True, False}


@pytest.fixture(scope="module")
def photograph():
    y, x = np.mgrid[:96, :128]
    pixels = np.stack([x * 2, y * 2, 128 + 100 * np.sin(x / 9) * np.cos(y / 7)], -1)
    return jpeg(pixels.astype(np.uint8))


def test_cut_image_of_the_asked_size_is_the_decoded_crop_bit_for_bit(photograph):
    whole = tf.io.decode_jpeg(photograph, dct_method="INTEGER_ACCURATE").numpy()
    for resize in ("bilinear", "bicubic", None):
        cut = preprocessing.cut_image(photograph, tf.constant([8, 24, 64, 64]), 64, resize)
        np.testing.assert_array_equal(cut, whole[8:72, 24:88])
    with pytest.raises(tf.errors.InvalidArgumentError, match="64,64,3.*32,32,3"):
        preprocessing.cut_image(photograph, tf.constant([8, 24, 64, 64]), 32, None)
    mirrored = preprocessing.mirror(tf.stack([cut, cut]), tf.constant([1.0, 0.0]))
    np.testing.assert_array_equal(mirrored, [whole[8:72, 24:88][:, ::-1], cut])


@pytest.mark.parametrize(("name", "pillow"), [("bilinear", 2), ("bicubic", 3)])
@pytest.mark.parametrize("size", [32, 100])
def test_cut_image_resizes_as_pillow_does(photograph, name, pillow, size):
    whole = tf.io.decode_jpeg(photograph, dct_method="INTEGER_ACCURATE").numpy()
    expected = Image.fromarray(whole[4:94, 10:70]).resize((size, size), pillow)
    cut = preprocessing.cut_image(photograph, tf.constant([4, 10, 90, 60]), size, name)
    assert cut.dtype == tf.uint8 and cut.shape == (size, size, 3)
    np.testing.assert_allclose(cut.numpy().astype(int), np.asarray(expected, int), atol=1)


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
@pytest.mark.parametrize("window", [[4, 10, 90, 60], [0, 0, 17, 128], [50, 3, 40, 40]])
def test_cut_image_resizes_as_tensorflow_does_bit_for_bit(photograph, window, name):
    """In two passes down columns, which are faster than its own."""
    cut = preprocessing.cut_image(photograph, tf.constant(window), 48, name)
    crop = tf.io.decode_and_crop_jpeg(photograph, window, dct_method="INTEGER_ACCURATE")
    expected = tf.image.resize(crop, [48, 48], name, antialias=True)
    np.testing.assert_array_equal(cut, tf.saturate_cast(tf.round(expected), tf.uint8))


def test_cut_image_gives_grey_images_three_channels_and_bicubic_does_not_wrap_around():
    y, x = np.mgrid[:64, :64]
    checker = (((x // 8 + y // 8) % 2) * 255).astype(np.uint8)
    cut = preprocessing.cut_image(jpeg(checker), tf.constant([0, 0, 64, 64]), 200, "bicubic")
    assert cut.shape == (200, 200, 3)
    middles = cut.numpy()[12::25, 12::25, 0]  # the centres of the checker's squares
    np.testing.assert_array_equal(middles > 127, checker[4::8, 4::8] > 127)


def test_cut_clickmap_of_counts_is_blur_then_crop_then_block_sums_exactly():
    counts = np.random.default_rng(0).poisson(2.0, (256, 256)).astype(np.uint8) * 20
    blur = clickmaps.parse_blur("box:49")
    window = tf.constant([16, 16, 224, 224])
    cut = preprocessing.cut_clickmap(counts, window, False, (256, 256), 14, "area", blur, "float64")
    blurred = clickmaps.blur_counts(counts, blur)[16:240, 16:240]
    expected = blurred.reshape(14, 16, 14, 16).sum((1, 3))
    assert expected.max() > 2**24  # beyond what float32 arithmetic keeps exact
    np.testing.assert_array_equal(cut.numpy()[:, :, 0], expected.astype(np.float32))


@pytest.mark.parametrize("text", ["none", "box:9", "gaussian:9,2", "disc:9"])
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_cut_clickmap_equals_blur_and_resize_of_the_whole_map(text, method):
    counts = np.random.default_rng(0).poisson(0.3, (60, 80))
    blur = clickmaps.parse_blur(text)
    cut = preprocessing.cut_clickmap(
        counts, tf.constant([0, 0, 60, 80]), True, (60, 80), 12, method, blur
    )
    blurred = clickmaps.blur_counts(counts, blur)[:, ::-1, None].astype(np.float32)
    expected = tf.image.resize(blurred, [12, 12], method, antialias=True)
    assert cut.shape == (12, 12, 1) and cut.dtype == tf.float32
    np.testing.assert_allclose(cut, expected, rtol=1e-4, atol=1e-4)


def test_cut_clickmap_scales_the_window_to_a_coarse_grid():
    ramp = np.tile(np.arange(64) + 0.5, (64, 1))  # the value is the position, in grid pixels
    cut = preprocessing.cut_clickmap(
        ramp, tf.constant([0, 64, 256, 128]), False, (256, 256), 4, "bilinear"
    )
    np.testing.assert_allclose(cut[:, :, 0], np.tile([20, 28, 36, 44], (4, 1)), rtol=1e-5)


def test_a_batch_of_maps_is_cut_as_one_by_one():
    rng = np.random.default_rng(0)
    grids = rng.integers(0, 256, (5, 16, 16)).astype(np.uint8)
    shapes = rng.integers(40, 90, (2, 5))
    windows = np.stack([*rng.integers(0, 9, (2, 5)), *rng.integers(8, 30, (2, 5))], 1)
    flips = np.array([True, False, True, True, False])
    for method in ("bilinear", "bicubic", "area"):
        batch = preprocessing.cut_clickmap(grids, windows, flips, shapes, 7, method)
        assert batch.shape == (5, 7, 7, 1)
        for i in range(5):
            one = preprocessing.cut_clickmap(
                grids[i], windows[i], flips[i], shapes[:, i], 7, method
            )
            np.testing.assert_allclose(batch[i], one, rtol=1e-5, atol=1e-4)
