"""The paper's numbers, from `published.json`: Tables 1 to 4, Figure 7, human reliability."""

import dataclasses
import json
from pathlib import Path

PATH = Path(__file__).with_name("published.json")


@dataclasses.dataclass(frozen=True)
class Value:
    """One published number.

    Attributes:
        where: "Table 1" to "Table 4", or "Figure 7".
        row: a key of `rows.ROWS`.
        metric: "top1_error" or "top5_error", in %; "maps", in % of human reliability.
        value: the number.
        data_set, split: what it was measured on; `split` is None where the paper does not say.
        map_loss_weight: lambda, of Figure 7's points; None where the paper does not say.
        p_below: the p that the table's stars stand for, None for a table without. Which cells have
            one is lost in the text that the numbers are from (`published.json`, "stars_note").
        is_reference: a number that Table 2 quotes from Hu et al. (2017).
        flagfiles: in `experiments/`, those that train this network.
        source: page and section.
    """

    where: str
    row: str
    metric: str
    value: float
    data_set: str
    split: str | None
    map_loss_weight: float | None
    p_below: float | None
    is_reference: bool
    flagfiles: tuple[str, ...]
    source: str


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

    Raises:
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
