"""How much of the important pixels is shown: eleven levels, and the full image."""

LEVELS = tuple(10 ** (step / 5) for step in range(11))  # per cent: log-spaced, 1 to 100
FULL = "full"
LEVEL_NAMES = (*(f"{level:.1f}".removesuffix(".0") for level in LEVELS), FULL)
FRAME = 256  # px, side of images and stimuli
PIXELS = FRAME * FRAME


def pixels_shown(level: str, count: int) -> int:
    """How many of the `count` pixels at 100 % a level shows; all of the image at full."""
    return PIXELS if level == FULL else round(LEVELS[LEVEL_NAMES.index(level)] / 100 * count)
