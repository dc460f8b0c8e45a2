"""The paper's rows and numbers: the networks that its tables compare, and what it found of them.

Numbers are in `published.json`: Tables 1 to 4, Figure 7, human reliability.
"""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("published.json")


@dataclasses.dataclass(frozen=True)
class PaperRow:
    """A network of the tables: what it does with attention and with maps, as the flags say it.

    All else (data, size, schedule, lambda) is the base that it is compared on.
    """

    name: str  # the paper's words
    attention: str
    has_maps: bool = False  # the map loss is on; its weight is then the base's `--map_loss_weight`
    map_source: str = "clickmaps"
    map_target: str = "activity"

    def overrides(self, map_loss_weight: float) -> dict[str, str | float]:
        """The four flags that make this row, {name: value}, for a base's lambda."""
        return {
            "attention": self.attention,
            "map_source": self.map_source,
            "map_target": self.map_target,
            "map_loss_weight": map_loss_weight if self.has_maps else 0.0,
        }


# In the order of Table 1, then the two controls of Table 3.
ROWS = {
    "resnet": PaperRow("ResNet-50", "none"),
    "se": PaperRow("SE-ResNet-50", "se"),
    "gala": PaperRow("GALA-ResNet-50 no ClickMe", "gala"),
    "gala_clickmaps": PaperRow("GALA-ResNet-50 w/ ClickMe", "gala", True),
    "resnet_clickmaps": PaperRow("ResNet-50 w/ ClickMe", "none", True),
    "gala_boxes": PaperRow("GALA-ResNet-50 w/ b. boxes", "gala", True, map_source="boxes"),
}

# Figure 7 varies lambda of this row; at lambda 0 it is `gala`.
FIGURE_7_ROW = "gala_clickmaps"


def row_of(run_config) -> str:
    """The key in ROWS of the network that a `Config` describes, whatever its size.

    ValueError: the paper has no such network.
    """
    has_maps = run_config.map_loss_weight > 0
    # Without the map loss, what maps would supervise does not matter.
    deciding = ("attention", "map_source", "map_target") if has_maps else ("attention",)
    for key, row in ROWS.items():
        same = all(getattr(run_config, name) == getattr(row, name) for name in deciding)
        if same and row.has_maps == has_maps:
            return key
    raise ValueError(
        f"No row of the paper's tables has --attention={run_config.attention} "
        f"--map_loss_weight={run_config.map_loss_weight:g} --map_target={run_config.map_target} "
        f"--map_source={run_config.map_source}; they have "
        f"{', '.join(row.name for row in ROWS.values())}."
    )


@functools.cache
def document() -> dict[str, Any]:
    """All of `published.json`, notes included: errors in %, maps in % of human reliability."""
    return json.loads(PATH.read_text(encoding="utf-8"))


def table(number: int) -> dict[str, dict[str, float]]:
    """{row key: {metric: value}} of Table 1 to 4, the paper's own networks, in its order."""
    rows = document()["tables"][str(number)]["rows"]
    return {key: row["values"] for key, row in rows.items()}
