"""The paper's rows and numbers: the networks that its tables compare, and what it found of them.

Numbers are from `published.json`: Tables 1 to 4, Figure 7, human reliability.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

PATH = Path(__file__).with_name("published.json")

# --------------------------------------------------------------------------- rows


@dataclasses.dataclass(frozen=True)
class PaperRow:
    """A network of the tables: what it does with attention and with maps.

    All else (data, size, schedule, lambda) is the base that it is compared on.
    """

    name: str  # the paper's words
    has_maps: bool  # the map loss is on; its weight is then the base's `--map_loss_weight`
    flags: Mapping[str, str]  # of `attention`, `map_source` and `map_target`, all three

    def overrides(self, map_loss_weight: float) -> dict[str, str | float]:
        """The four flags that make this row, {name: value}, for a base's lambda."""
        return {**self.flags, "map_loss_weight": map_loss_weight if self.has_maps else 0.0}


def _row(name, attention, *, has_maps=False, map_source="clickmaps", map_target="attention"):
    flags = {"attention": attention, "map_source": map_source, "map_target": map_target}
    return PaperRow(name, has_maps, flags)


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


def row_of(run_config) -> str:
    """The key in ROWS of the network that a `Config` describes.

    Its size does not matter: a miniature of GALA-ResNet-50 is in its row. ValueError: the paper has
    no such network.
    """
    has_maps = run_config.map_loss_weight > 0
    deciding = ("attention", "map_source", "map_target") if has_maps else ("attention",)
    for key, row in ROWS.items():
        same = all(getattr(run_config, name) == row.flags[name] for name in deciding)
        if same and row.has_maps == has_maps:
            return key
    raise ValueError(
        f"No row of the paper's tables has --attention={run_config.attention} "
        f"--map_loss_weight={run_config.map_loss_weight:g} --map_target={run_config.map_target} "
        f"--map_source={run_config.map_source}; they have "
        f"{', '.join(row.name for row in ROWS.values())}."
    )


# --------------------------------------------------------------------------- numbers


@dataclasses.dataclass(frozen=True)
class Value:
    """One published number."""

    where: str  # "Table 1" to "Table 4", or "Figure 7"
    row: str  # a key of ROWS
    metric: str  # "top1_error" or "top5_error", in %; "maps", in % of human reliability
    value: float
    data_set: str
    split: str | None  # None where the paper does not say
    map_loss_weight: float | None  # lambda, of Figure 7's points; None where the paper does not say
    # What the table's stars stand for, None for a table without. Which cells have one is lost in
    # the text that the numbers are from (`published.json`, "stars_note").
    p_below: float | None
    is_reference: bool  # quoted by Table 2 from Hu et al. (2017)
    flagfiles: tuple[str, ...]  # in `experiments/`, those that train this network
    source: str  # page and section


def document() -> dict:
    """All of `published.json`, notes included."""
    return json.loads(PATH.read_text(encoding="utf-8"))


def values() -> tuple[Value, ...]:
    """Every number of Tables 1 to 4 and of Figure 7's caption, in the paper's order."""
    paper = document()
    found = []
    for number, table in paper["tables"].items():
        common = _common(table, f"Table {number}")
        common["p_below"] = table["stars"]["p_below"] if table["stars"] else None
        for key, row in table["rows"].items():
            for kind in ("values", "reference"):
                found += [
                    Value(
                        row=key,
                        metric=metric,
                        value=value,
                        is_reference=kind == "reference",
                        flagfiles=tuple(row["flagfiles"]),
                        map_loss_weight=None,
                        **common,
                    )
                    for metric, value in (row.get(kind) or {}).items()
                ]
    figure = paper["figure_7"]
    for point in figure["values"]:
        weight = point["lambda"]
        found.append(
            Value(
                row=point["row"],
                metric=point["metric"],
                value=point["value"],
                is_reference=False,
                flagfiles=(),
                map_loss_weight=None if weight is None else float(weight),
                p_below=None,
                **_common(figure, "Figure 7"),
            )
        )
    return tuple(found)


def table(number: int) -> dict[str, dict[str, float]]:
    """{row key: {metric: value}} of one table, the paper's own networks, in the paper's order.

    ValueError: there is no such table.
    """
    tables = document()["tables"]
    if str(number) not in tables:
        raise ValueError(f"There is no Table {number}; there are Tables {', '.join(tables)}.")
    return {key: row["values"] for key, row in tables[str(number)]["rows"].items()}


def _common(part, where):
    return {
        "where": where,
        "data_set": part["data_set"],
        "split": part["split"],
        "source": f"{where}, page {part['page']}, {part['section']}",
    }
