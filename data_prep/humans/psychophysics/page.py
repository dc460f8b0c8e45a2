"""The analysis as a page: Markdown, HTML that loads nothing, figure, and all numbers as JSON."""

import base64
import html
import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.humans.psychophysics import figure
from data_prep.humans.psychophysics.levels import LEVEL_NAMES
from data_prep.humans.psychophysics.power import Seen
from data_prep.humans.studies import writing
from gala_tf.paper import published

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { border-bottom: 1px solid #767676; padding: 0.25rem 0.5rem; text-align: left; }
img { max-width: 100%; } .note { color: #a03000; font-weight: 700; }
"""
Table = tuple[str, str, Sequence[str], list[Sequence[str]]]  # title, words, head, lines


def write(
    found: dict[str, Any], power: Sequence[Seen], about: dict[str, str], note: str, folder: Path
) -> list[Path]:
    """page.md, page.html, figure.png, figure.svg, results.json; their paths.

    Args:
      about: what was analysed and how: names and words, on top of the page.
      note: that maps or people are stand-ins; "" if they are real.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = figure.draw(found, note)
    pictures = {}
    for kind in ("png", "svg"):
        file = io.BytesIO()
        drawn.savefig(file, format=kind, dpi=130, metadata={} if kind == "png" else {"Date": None})
        pictures[f"figure.{kind}"] = file.getvalue()
    tables = list(_tables(found, power))
    results = {"about": about, "note": note, **found, "power": [vars(one) for one in power]}
    files = pictures | {
        "page.md": _markdown(tables, about, note),
        "page.html": _html(tables, about, note, pictures["figure.png"]),
        "results.json": writing.to_json(results),
    }
    for name, data in files.items():
        writing.write(folder / name, data)
    return [folder / name for name in files]


def _tables(found, power) -> Iterator[Table]:
    a, b = found["groups"]
    yield _beside_paper(found)
    yield (
        "By level (Fig. 2B)",
        "Mean over people of each one's accuracy, S.E.M. in brackets. Intervals by bootstrap, p by "
        "two-sided permutation of people's groups, Holm over all levels.",
        ("level", a, b, "difference, 95 % interval", "p", "p (Holm)", "above chance, p"),
        [
            (
                row["level"],
                *(f"{m:.1%} ({s:.1%})" for m, s in zip(row["mean"], row["sem"], strict=True)),
                f"{row['difference']:+.1%} [{row['interval'][0]:+.1%}, {row['interval'][1]:+.1%}]",
                _p(row["p"], row["p_floor"]),
                _p(row["p_holm"]),
                " and ".join(_p(p) for p in row["above_chance_p"]),
            )
            for row in found["levels"]
        ],
    )
    yield (
        "Thresholds: where accuracy is 75 %",
        "Maximum likelihood; the full image is a level of its own, outside of the curve. Single "
        "images by the same curve: median and quartiles of their 75 % points. The images are a "
        "sample, too: where another set of images is meant, the wider interval is the right one.",
        (
            *("group", "per cent of important pixels", "95 % interval over people"),
            *("over people and images", "single images"),
        ),
        [
            (
                name,
                f"{one['threshold']:.1f}",
                "{:.1f} to {:.1f}".format(*one["interval"]),
                "{:.1f} to {:.1f}".format(*one["interval_people_and_images"]),
                "{:.1f} ({:.1f} to {:.1f})".format(images["median"], *images["quartiles"]),
            )
            for name, one, images in zip(
                found["groups"],
                found["thresholds"]["groups"],
                found["image_thresholds"],
                strict=True,
            )
        ]
        + [
            (
                f"{b} / {a}",
                f"{found['thresholds']['ratio_b_to_a']:.2f}",
                "{:.2f} to {:.2f}".format(*found["thresholds"]["ratio_interval"]),
                "{:.2f} to {:.2f}".format(*found["thresholds"]["ratio_interval_people_and_images"]),
                "",
            )
        ],
    )
    for cluster, fit in found["gee"].items():
        yield (
            f"Logistic regression, clustered by {cluster}",
            fit.get("failed") or f"Masked images; robust errors of {fit['clusters']} clusters.",
            ("term", "estimate", "robust error", "p"),
            [
                (one["name"], f"{one['estimate']:.3f}", f"{one['error']:.3f}", _p(one["p"]))
                for one in fit.get("coefficients", ())
            ],
        )
    yield (
        "When late answers count as",
        "Mean accuracy of both groups, by level.",
        ("late answers", *LEVEL_NAMES),
        [
            (policy, *(f"{x:.0%}, {y:.0%}" for x, y in zip(*groups, strict=True)))
            for policy, groups in found["policies"].items()
        ],
    )
    yield (
        "Sensitivity, bias and speed",
        "d' and criterion over all people (log-linear), median RT of right answers; both groups.",
        ("", *LEVEL_NAMES),
        [
            ("d'", *_pairs(found["sensitivity"], "{:.2f}", "d_prime")),
            ("criterion", *_pairs(found["sensitivity"], "{:.2f}", "criterion")),
            ("RT, ms", *_pairs(found["response_times"], "{:.0f}")),
        ],
    )
    yield (
        "By class",
        "Accuracy over all levels.",
        ("class", a, b),
        [(name, *map(_percent, pair)) for name, pair in found["classes"].items()],
    )
    edges = found["shares"]["edges"]
    yield (
        "By share of the image shown",
        "In place of the share of the map.",
        ("share of the image", a, b),
        [
            (
                f"{edges[n]:.1%} to {edges[n + 1]:.1%}",
                *(
                    f"{_percent(one[n]['accuracy'])} of {one[n]['answers']}"
                    for one in found["shares"]["groups"]
                ),
            )
            for n in range(len(edges) - 1)
        ],
    )
    yield (
        "Left out",
        "By rules that do not look at the comparison.",
        ("what", "count"),
        [(name, f"{count:,}") for name, count in found["exclusions"].items()],
    )
    if power:
        yield (
            "Power",
            _seen_words(power),
            ("people", *LEVEL_NAMES, "any, Holm"),
            [
                (str(one.people), *(f"{x:.2f}" for x in one.by_level), f"{one.any_holm:.2f}")
                for one in power
            ],
        )


def _beside_paper(found) -> Table:
    paper = published.document()["figure_2b"]
    ceilings = []
    for index, name in enumerate(found["groups"]):
        one = found["ceiling"][index]
        share = one["share_of_image"]
        at = f"{one['level']} %".replace("full %", "full image")
        share = f", {share:.1%} of all pixels" if share is not None else ""
        ceilings.append((f"ceiling of {name}", paper["ceiling"][index], at + share))
    tested = [row for row in found["levels"] if row["level"] in ("39.8", "63.1", "100")]
    p = [_p(row["p"], row["p_floor"]) for row in tested]
    return (
        "Beside the paper",
        "The paper's words (section 2.2, Fig. 2B). Its curves are not printed as numbers. Ceiling: "
        "the lowest level from which on accuracy is the full image's within the margin.",
        ("what", "paper", "here"),
        [
            (
                "people a group",
                str(paper["people_per_group"]),
                " and ".join(map(str, found["people"])),
            ),
            *ceilings,
            ("difference at 40, 63, 100 %", paper["stars"], ", ".join(p)),
            ("1 to 10 %", paper["lowest_levels"], ", ".join(_lowest(found))),
        ],
    )


def _seen_words(power):
    most = power[-1]
    seen = [name for name, share in zip(LEVEL_NAMES, most.by_level, strict=True) if share >= 0.8]
    unseen = [name for name, share in zip(LEVEL_NAMES, most.by_level, strict=True) if share < 0.2]
    return (
        f"Share of {most.experiments} simulated experiments with p < .05. With {most.people} "
        f"people effects of this size are seen in four of five at {', '.join(seen) or 'no level'}; "
        f"in fewer than one of five at {', '.join(unseen) or 'none'}."
    )


def _lowest(found):
    for index, name in enumerate(found["groups"]):
        means = [row["mean"][index] for row in found["levels"][:6]]
        yield f"{name} {min(means):.0%} to {max(means):.0%}"


def _p(value, floor=0.0):
    if math.isnan(value):
        return "-"
    if floor and value <= floor * 1.0001:
        return f"< {floor:.1g}" if floor >= 0.001 else f"< {floor:.0e}"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def _percent(value):
    return "-" if value is None else f"{value:.1%}"


def _pairs(groups, form, key=None):
    for pair in zip(*groups, strict=True):
        values = [one[key] if key else one for one in pair]
        yield ", ".join("-" if value is None else form.format(value) for value in values)


# --------------------------------------------------------------------------- texts


def _markdown(tables, about, note):
    parts = ["# Rapid categorisation", "", *([f"**{note}**", ""] if note else [])]
    parts += [f"- {name}: {text}" for name, text in about.items()]
    parts += ["", "![Fig. 2B](figure.png)"]
    for title, words, head, lines in tables:
        parts += [
            "",
            f"## {title}",
            "",
            words,
            "",
            f"| {' | '.join(head)} |",
            "|---" * len(head) + "|",
        ]
        parts += [f"| {' | '.join(re.sub(r'[|]', '/', cell) for cell in line)} |" for line in lines]
    return "\n".join([*parts, ""])


def _html(tables, about, note, png):
    picture = base64.b64encode(png).decode()
    parts = ["<h1>Rapid categorisation</h1>"]
    parts += [f'<p class="note">{html.escape(note)}</p>'] if note else []
    parts += ["<ul>", *(f"<li>{html.escape(f'{k}: {v}')}</li>" for k, v in about.items()), "</ul>"]
    alt = "Accuracy of both groups by level; its numbers are in the table By level"
    parts.append(f'<img alt="{alt}" src="data:image/png;base64,{picture}" />')
    for title, words, head, lines in tables:
        parts += [
            f"<h2>{html.escape(title)}</h2><p>{html.escape(words)}</p><table>",
            _row("th", head),
        ]
        parts += [*(_row("td", line) for line in lines), "</table>"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8" />'
        f"<title>Rapid categorisation</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _row(tag, words):
    return "<tr>" + "".join(f"<{tag}>{html.escape(word)}</{tag}>" for word in words) + "</tr>"
