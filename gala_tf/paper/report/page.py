"""A report as a list of blocks, written as Markdown and as one HTML file that needs nothing else.

Both are made from the same blocks, so that they cannot disagree. Text is plain: no markup in it is
understood, none can break the page.
"""

import base64
import dataclasses
import html
import re
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the page's title."""

    level: int
    text: str


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """One paragraph. `note`: a caveat, set apart."""

    text: str
    note: bool = False


@dataclasses.dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; `rows` of as many cells as `columns`. The first column is text, others centred.

    Raises:
        ValueError: a row with another number of cells.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self):
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"A table of {len(self.columns)} columns {self.columns} cannot hold the row "
                    f"{row} of {len(row)}."
                )


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture: the name of its file beside the page, its PNG bytes, and what it shows."""

    file: str
    png: bytes
    caption: str


Block = Heading | Paragraph | Bullets | Table | Figure


# --------------------------------------------------------------------------- Markdown


def to_markdown(blocks: Sequence[Block]) -> str:
    """The page as GitHub's Markdown; pictures are links to files beside it."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block):
    match block:
        case Heading():
            return "#" * block.level + " " + _plain(block.text)
        case Paragraph():
            return ("> " if block.note else "") + _plain(block.text)
        case Bullets():
            return "\n".join("- " + _plain(item) for item in block.items)
        case Table():
            rules = ["---"] + [":---:"] * (len(block.columns) - 1)
            rows = [[_plain(cell) for cell in row] for row in (block.columns, *block.rows)]
            lines = ["| " + " | ".join(row) + " |" for row in (rows[0], rules, *rows[1:])]
            return "\n".join(lines)
        case Figure():
            caption = _plain(block.caption)
            return f"![{_plain(_title(block.caption))}]({block.file})\n\n*{caption}*"


def _plain(text):
    """Text whose every character shows as itself; what GitHub leaves alone stays unescaped."""
    text = re.sub(r"([\\`*|<>])", r"\\\1", text.replace("\n", " "))
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # inside a word it is no emphasis
    return re.sub(r"\](?=[(\[:])", r"\\]", text)  # nor a bracket a link, without what follows one


def _title(caption):
    return re.split(r"(?<!\bb)\. ", caption)[0].rstrip(".")  # "w/ b. boxes" ends no sentence


# --------------------------------------------------------------------------- HTML

# The policy lets a browser load nothing but what is in the file.
_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1d1d1f; --faint: #61616a; --paper: #ffffff;
  --rule: #d8d8de; --band: #f5f5f7; --note: #fff6dd; --note-rule: #d9a400; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e6e6ea; --faint: #a2a2ac;
  --paper: #17171a; --rule: #3a3a42; --band: #202025; --note: #2c2615; --note-rule: #b98c00; }} }}
body {{ margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 66rem; background: var(--paper);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }}
h1, h2, h3 {{ line-height: 1.25; }}
h1 {{ font-size: 1.8rem; margin: 0 0 1rem; }}
h2 {{ font-size: 1.4rem; margin: 3rem 0 .75rem; padding-top: .75rem;
  border-top: 2px solid var(--rule); }}
h3 {{ font-size: 1.12rem; margin: 2.2rem 0 .5rem; }}
p, li {{ max-width: 46rem; }}
.note {{ background: var(--note); border-left: 4px solid var(--note-rule); padding: .6rem .9rem; }}
.scroll {{ overflow-x: auto; margin: 1rem 0; }}
table {{ border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .38rem .7rem; text-align: center; border-bottom: 1px solid var(--rule); }}
th:first-child, td:first-child {{ text-align: left; }}
th {{ border-bottom: 2px solid var(--rule); vertical-align: bottom; font-weight: 600; }}
tr:nth-child(even) td {{ background: var(--band); }}
figure {{ margin: 1.5rem 0; }}
figure img {{ display: block; max-width: 100%; height: auto; background: #ffffff;
  border: 1px solid var(--rule); border-radius: 6px; }}
figcaption {{ color: var(--faint); font-size: .88rem; margin-top: .45rem; max-width: 52rem; }}
</style>
</head>
<body>
"""


def to_html(blocks: Sequence[Block]) -> str:
    """The page as one HTML file with its pictures inside: opens from disk, loads nothing."""
    titles = [block.text for block in blocks if isinstance(block, Heading)]
    head = _HEAD.format(title=html.escape(titles[0] if titles else "report"))
    return head + "\n".join(_html(block) for block in blocks) + "\n</body>\n</html>\n"


def _html(block):
    match block:
        case Heading():
            return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
        case Paragraph():
            start = '<p class="note">' if block.note else "<p>"
            return f"{start}{html.escape(block.text)}</p>"
        case Bullets():
            items = "".join(f"<li>{html.escape(item)}</li>\n" for item in block.items)
            return f"<ul>\n{items}</ul>"
        case Table():
            head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in block.columns)
            rows = (
                "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
                for row in block.rows
            )
            body = "\n".join(rows)
            return (
                f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
                f"<tbody>\n{body}\n</tbody>\n</table></div>"
            )
        case Figure():
            data = base64.b64encode(block.png).decode("ascii")
            return (
                f'<figure><img alt="{html.escape(_title(block.caption))}" '
                f'src="data:image/png;base64,{data}">\n'
                f"<figcaption>{html.escape(block.caption)}</figcaption></figure>"
            )
