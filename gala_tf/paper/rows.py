"""The networks that the paper's tables compare: each row's name, and the flags that make it.

A row is what it does with attention and with maps; all else (data, size, schedule, lambda) is the
base that it is compared on. `sweep` trains rows, `published.json` has the paper's numbers of them.
"""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: the paper's words.
        has_maps: whether the map loss is on; its weight is then the base's `--map_loss_weight`.
        flags: values of `attention`, `map_source` and `map_target`, all three.
    """

    name: str
    has_maps: bool
    flags: Mapping[str, str]

    def overrides(self, map_loss_weight: float) -> dict[str, str | float]:
        """The four flags that make this row, {name: value}, for a base's lambda."""
        return {**self.flags, "map_loss_weight": map_loss_weight if self.has_maps else 0.0}


def _row(name, attention, *, has_maps=False, map_source="clickmaps", map_target="attention"):
    flags = {"attention": attention, "map_source": map_source, "map_target": map_target}
    return Row(name, has_maps, flags)


# In the order of Table 1, then the two controls of Table 3.
ROWS = {
    "resnet": _row("ResNet-50", "none"),
    "se": _row("SE-ResNet-50", "se"),
    "gala": _row("GALA-ResNet-50 no ClickMe", "gala"),
    "gala_clickmaps": _row("GALA-ResNet-50 w/ ClickMe", "gala", has_maps=True),
    "resnet_clickmaps": _row("ResNet-50 w/ ClickMe", "none", has_maps=True, map_target="activity"),
    "gala_boxes": _row("GALA-ResNet-50 w/ b. boxes", "gala", has_maps=True, map_source="boxes"),
}

# Figure 7 varies lambda of this row; at lambda 0 it is `gala`.
FIGURE_7_ROW = "gala_clickmaps"
