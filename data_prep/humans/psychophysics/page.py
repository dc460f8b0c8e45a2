"""The analysis as a page: Markdown, HTML that loads nothing, figure, and all numbers as JSON."""

import base64
import html
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.humans.psychophysics import figure, page_tables
from data_prep.humans.psychophysics.power import Seen
from data_prep.humans.studies import writing

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { border-bottom: 1px solid #767676; padding: 0.25rem 0.5rem; text-align: left; }
.wide { overflow-x: auto; } td { white-space: nowrap; } td:first-child { white-space: normal; }
img { max-width: 100%; } .note { color: #a03000; font-weight: 700; }
"""


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
    tables = list(page_tables.of(found, power))
    results = {"about": about, "note": note, **found, "power": [vars(one) for one in power]}
    files = pictures | {
        "page.md": _markdown(tables, about, note),
        "page.html": _html(tables, about, note, pictures["figure.png"]),
        "results.json": writing.to_json(results),
    }
    for name, data in files.items():
        writing.write(folder / name, data)
    return [folder / name for name in files]


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
            f"<h2>{html.escape(title)}</h2><p>{html.escape(words)}</p>",
            '<div class="wide" tabindex="0"><table>',
            _row("th", head),
        ]
        parts += [*(_row("td", line) for line in lines), "</table></div>"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8" />'
        f"<title>Rapid categorisation</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _row(tag, words):
    return "<tr>" + "".join(f"<{tag}>{html.escape(word)}</{tag}>" for word in words) + "</tr>"
