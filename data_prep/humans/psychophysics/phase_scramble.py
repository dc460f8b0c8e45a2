"""Phase scrambling: an image of the same amplitudes and colours in which nothing can be recognised.

One random phase is added to all channels at each frequency, so colours keep their covariance. It is
the phase of a real white-noise image, which has the symmetry that keeps the result real (random
phases without it, and the real part taken, halve the power: `amplitude_error` sees that).
"""

import numpy as np


def scramble(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """The image scrambled, not yet clipped: float64 [H, W, C].

    Args:
      image: [H, W, C], any real numbers. Means of channels stay.
    """
    image = np.asarray(image, np.float64)
    means = image.mean((0, 1))
    phase = np.angle(np.fft.fft2(chance.standard_normal(image.shape[:2])))
    phase[0, 0] = 0
    turned = np.fft.fft2(image - means, axes=(0, 1)) * np.exp(1j * phase)[..., None]
    return np.fft.ifft2(turned, axes=(0, 1)).real + means


def amplitude_error(image: np.ndarray, scrambled: np.ndarray) -> float:
    """The largest difference of amplitudes, as a share of the largest amplitude but the mean's."""
    before, after = (
        np.abs(np.fft.fft2(np.asarray(one, np.float64), axes=(0, 1))) for one in (image, scrambled)
    )
    difference = np.abs(before - after).max()
    before[0, 0] = 0
    return float(difference / max(before.max(), 1e-12))


def to_uint8(scrambled: np.ndarray) -> np.ndarray:
    """Clipped once to 0...255, and rounded."""
    return np.rint(np.clip(scrambled, 0, 255)).astype(np.uint8)
