"""What the sidecar promises of every record."""

import dataclasses

from gala_tf.data import dataset_info

BLUR_SAMPLE = 16  # one grid in so many is computed anew: it costs as much as all the rest


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What the sidecar says about every record; see `dataset_info.DatasetInfo`."""

    num_classes: int
    heights: tuple[int, int]  # smallest, largest
    widths: tuple[int, int]
    clickmap_blur: str
    clickmap_grid: int
    blur_sample: int = BLUR_SAMPLE

    @classmethod
    def of(cls, info: dataset_info.DatasetInfo, blur_sample: int = BLUR_SAMPLE) -> "Expectation":
        """What a data set's description says; `blur_sample` as of the class."""
        image = info.image
        return cls(
            info.num_classes,
            (image.min_height, image.max_height),
            (image.min_width, image.max_width),
            info.clickmap_blur,
            info.clickmap_grid,
            blur_sample,
        )
