"""The built-in data set: material blobs with simulated participants.

What an image is: a *figure*, one smooth blob filled with one photograph's texture, lies on a
*ground* cut from another photograph, among *clutter*, straight-edged scraps of still others. The
class is the material of the figure. Ground and clutter are made of the same materials, so the
texture that fills most of an image is never the answer: a network has to find out where to look.

What a map is: simulated. Participants are imitated as ClickMe describes them (Linsley et al. 2019,
section 2): a cursor wanders over the figure and paints square bubbles of 14/256 of the image's
side. Everyone likes a part of the figure of their own, aims with an error of their own, and some
of the time paints elsewhere. **The participants know the true figure**, so a gain from these maps
shows that the mechanism works. It says nothing about the benefit of human attention.

Photographs come out of the installed scikit-image wheel (skimage/data; nothing is downloaded,
pooch is never called). Sources and licences, from scikit-image's own documentation:

  brick, gravel    CC0, cc0textures.com            grass      CC0, DeviantArt (linolafett)
  coins            Brooklyn Museum, no known       hubble     NASA / HubbleSite, public domain
                   copyright restrictions          ihc        CMMI, no known restrictions
  chelsea          CC0, Stefan van der Walt        coffee     CC0, Rachel Michetti
  camera           CC0, Lav Varshney               astronaut  NASA, public domain
  rocket           SpaceX, public domain           retina     CC0, Mikael Haggstrom

The grey photographs but the bricks are tinted, as hand-coloured prints were. Every photograph is
cut into four vertical strips with a gap between them; a permutation drawn from the seed gives two
of them to train, one to validation, one to test, so that no pixel serves two splits.

Measured (seed 0, 300 test images, one core): made in 8 s; human ceiling, the paper's estimator
after a 13 px box blur, 0.54 at 64x64 and 0.63 at 8x8, its null 0.02; centre prior against the maps
of all participants 0.25 and 0.29.
"""

import functools
import importlib.resources
import importlib.util
import io
from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy import ndimage

from data_prep.sources import Item, Source, SourceOptions
from gala_tf.data.schema import Example

IMAGE_SIZE = 64  # pixels; image and maps share this frame
PATCH_SIZE = 44  # pixels: a square that holds any figure and any scrap
BUBBLE = 4  # pixels: the paper's 14 px at 256 (section 2) is 3.5 px at 64
PARTICIPANTS = 5
STRIP_GAP = 2  # columns of a photograph left unused on either side of a cut

# class name -> (file in skimage/data, tint: factors of red, green, blue; grey photographs get one)
MATERIALS = {
    "brick": ("brick.png", (1.0, 1.0, 1.0)),
    "coins": ("coins.png", (1.25, 1.05, 0.55)),
    "grass": ("grass.png", (0.80, 1.20, 0.55)),
    "gravel": ("gravel.png", (0.75, 0.95, 1.30)),
    "stars": ("hubble_deep_field.jpg", (1.0, 1.0, 1.0)),
    "tissue": ("ihc.png", (1.0, 1.0, 1.0)),
}
CLASS_NAMES = tuple(MATERIALS)
# Grounds only: they keep the ground from being one of six textures every time.
SCENES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "retina.jpg", "rocket.jpg")
IMAGES = {"train": 384, "validation": 120, "test": 600}  # of each split, unless told otherwise
SPLITS = tuple(IMAGES)
_STRIP_SPLITS = ("train", "train", "validation", "test")


def load(options: SourceOptions) -> Source:
    """Makes the images while they are read; the seed gives another data set.

    ValueError: scikit-image is not installed.
    """
    if importlib.util.find_spec("skimage") is None:
        raise ValueError(
            "--source=quickstart takes its photographs from scikit-image, which is not installed. "
            "Install the extra: pip install -e '.[quickstart]'"
        )
    return Source(
        class_names=CLASS_NAMES,
        items=(
            Item(image_id(options.seed, split, number), split, str(number))
            for split, count in IMAGES.items()
            for number in range(count)
        ),
        read=functools.partial(_read, options.seed),
        split_rule=f"made separately for each split, seed {options.seed}",
    )


def _read(seed, item) -> Example:
    return example(seed, item.split, int(item.key))


def image_id(seed: int, split: str, number: int) -> str:
    """The name of an image, unique over splits and seeds."""
    return f"quickstart-{seed}-{split}-{number:05d}"


def example(seed: int, split: str, number: int) -> Example:
    """Makes one image; it depends on these arguments alone.

    Args:
      seed: another seed gives another data set: other strips, figures, participants.
      number: of the image in its split, from 0; classes come in turn.

    Returns an Example with JPEG bytes [64, 64, 3], label 0..5 in the order of CLASS_NAMES,
    PARTICIPANTS count maps [64, 64] int32 >= 0 and its split. ValueError: the installed
    scikit-image lacks a photograph.
    """
    rng, label = _chance(seed, split, number), number % len(CLASS_NAMES)
    picture, figure = _compose(rng, _strips(seed)[split], label)
    return Example(
        image_id=image_id(seed, split, number),
        image=_jpeg(picture),
        label=label,
        participant_maps=tuple(_participant(rng, figure) for _ in range(PARTICIPANTS)),
        split=split,
    )


def figure(seed: int, split: str, number: int) -> np.ndarray:
    """The true figure of `example(seed, split, number)`: bool [64, 64]."""
    label = number % len(CLASS_NAMES)
    return _compose(_chance(seed, split, number), _strips(seed)[split], label)[1]


def _chance(seed, split, number):
    return np.random.default_rng([seed, SPLITS.index(split), number])


def examples(
    seed: int = 0,
    train: int = IMAGES["train"],
    validation: int = IMAGES["validation"],
    test: int = IMAGES["test"],
) -> Iterator[Example]:
    """Yields so many images of each split; fewer are the beginning of more."""
    for split, count in zip(SPLITS, (train, validation, test), strict=True):
        for number in range(count):
            yield example(seed, split, number)


def load_photograph(name: str) -> np.ndarray:
    """One photograph of the scikit-image wheel: uint8 [H, W, 3]."""
    path = importlib.resources.files("skimage") / "data" / name
    if not path.is_file():
        raise ValueError(
            f"The quickstart data set needs {name} inside the installed scikit-image, expected at "
            f"{path}; install a version whose wheel ships it: pip install 'scikit-image>=0.24,<1'"
        )
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))


@functools.lru_cache(maxsize=1)
def _strips(seed: int) -> dict[str, dict[str, list[np.ndarray]]]:
    """split -> material or scene -> its strips, each uint8 [H, about W/4, 3], tinted."""
    strips = {split: {} for split in SPLITS}
    sources = MATERIALS | {scene: (scene, (1.0, 1.0, 1.0)) for scene in SCENES}
    for number, (name, (file, tint)) in enumerate(sources.items()):
        photograph = np.minimum(load_photograph(file) * np.float32(tint), 255).astype(np.uint8)
        rng = np.random.default_rng([seed, len(SPLITS), number])
        cuts = np.linspace(0, photograph.shape[1], len(_STRIP_SPLITS) + 1).astype(int)
        for i, split in enumerate(rng.permutation(_STRIP_SPLITS)):
            strip = photograph[:, cuts[i] + STRIP_GAP : cuts[i + 1] - STRIP_GAP]
            strips[split].setdefault(name, []).append(strip)
    return strips


def _texture(rng: np.random.Generator, strips: list[np.ndarray], size: int) -> np.ndarray:
    """A random window of a random strip, shrunk and lit anew: float [size, size, 3] in 0..255."""
    strip = strips[rng.integers(len(strips))]
    side = int(min(rng.uniform(88, 128), *strip.shape[:2]))
    top = rng.integers(strip.shape[0] - side + 1)
    left = rng.integers(strip.shape[1] - side + 1)
    window = strip[top : top + side, left : left + side]
    window = window[:, ::-1] if rng.random() < 0.5 else window
    # BOX averages what it shrinks and reads nothing outside the window.
    window = Image.fromarray(np.ascontiguousarray(window)).resize((size, size), Image.BOX)
    pixels = np.asarray(window, np.float64)
    # Jitter of contrast, brightness and tint: the material shows in its texture, not in one grey.
    light = rng.uniform(0.75, 1.25) * (pixels - pixels.mean()) + pixels.mean()
    return np.clip(light + rng.uniform(-25, 25) + rng.uniform(-12, 12, size=3), 0, 255)


def _paint(picture: np.ndarray, shape: np.ndarray, texture: np.ndarray) -> None:
    """Fills `shape` (bool [64, 64]) with a smaller texture that covers it, in place."""
    rows, columns = np.nonzero(shape)
    corner = np.minimum([rows.min(), columns.min()], IMAGE_SIZE - len(texture))
    picture[shape] = texture[rows - corner[0], columns - corner[1]]


def _blob(rng: np.random.Generator, center: np.ndarray, radius: float) -> np.ndarray:
    """A smooth closed shape: bool [64, 64].

    r(theta) = radius (1 + sum over k of a_k cos(k theta + phi_k)), lengths in pixels.
    """
    y, x = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE] - center[:, None, None]
    theta = np.arctan2(y, x)
    edge = np.ones_like(theta)
    for k in (2, 3, 4):
        edge += rng.uniform(0, 0.3 / k) * np.cos(k * theta + rng.uniform(0, 2 * np.pi))
    return np.hypot(y, x) < radius * edge


def _scrap(rng: np.random.Generator) -> np.ndarray:
    """A straight-edged scrap, a turned rectangle anywhere in the frame: bool [64, 64]."""
    y, x = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE] - rng.uniform(4, IMAGE_SIZE - 4, size=(2, 1, 1))
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return (abs(along) < rng.uniform(6, 13)) & (abs(across) < rng.uniform(5, 8))


def _compose(
    rng: np.random.Generator, strips: dict[str, list[np.ndarray]], label: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ground, clutter, figure, in that order: (uint8 [64, 64, 3], figure bool [64, 64])."""
    own = CLASS_NAMES[label]
    others = [name for name in CLASS_NAMES if name != own]
    ground = str(rng.choice(others if rng.random() < 0.7 else SCENES))
    picture = _texture(rng, strips[ground], IMAGE_SIZE)
    for _ in range(rng.integers(3, 8)):
        material = str(rng.choice(others))
        _paint(picture, _scrap(rng), _texture(rng, strips[material], PATCH_SIZE))
    center = np.full(2, 0.5)
    while np.hypot(*(center - 0.5)) < 0.2:  # off the middle, or a centre prior explains the maps
        center = rng.uniform(0.12, 0.88, size=2)
    figure = _blob(rng, center * IMAGE_SIZE, rng.uniform(11, 15))
    # A soft shadow lifts the figure off whatever lies under it: the one cue to which blob it is,
    # with its size and its round outline.
    shadow = ndimage.gaussian_filter(figure.astype(np.float64), sigma=2.5)
    picture *= 1 - 0.8 * shadow[..., None]
    _paint(picture, figure, _texture(rng, strips[own], PATCH_SIZE))
    return picture.round().astype(np.uint8), figure


def _jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _participant(rng: np.random.Generator, figure: np.ndarray) -> np.ndarray:
    """One participant's map: bubbles counted along a wandering cursor path, int32 [64, 64]."""
    pixels = np.argwhere(figure)
    liked = pixels[rng.integers(len(pixels))]  # everyone has a favourite part of the figure ...
    liking = np.exp(-((pixels - liked) ** 2).sum(-1) / (2 * rng.uniform(4, 10) ** 2))
    liking /= liking.sum()
    bias = rng.normal(0, 3.5, size=2)  # ... an aim of their own ...
    astray = rng.beta(1, 4)  # ... and a share of the time they spend elsewhere.

    counts = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.int32)
    cursor = liked + bias + rng.normal(0, 16 if rng.random() < 0.3 else 1, size=2)
    speed = np.zeros(2)
    goal = cursor
    for step in range(rng.integers(30, 80)):
        if step % 6 == 0:
            goal = pixels[rng.choice(len(pixels), p=liking)] + bias
            if rng.random() < astray:
                goal = goal + rng.normal(0, 16, size=2)
        speed = 0.6 * speed + 0.12 * (goal - cursor) + rng.normal(0, 0.5, size=2)
        cursor = np.clip(cursor + speed, 0, IMAGE_SIZE - 1)
        top, left = np.maximum(np.rint(cursor).astype(int) - BUBBLE // 2, 0)
        counts[top : top + BUBBLE, left : left + BUBBLE] += 1
    return counts
