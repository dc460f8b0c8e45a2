"""A report as a list of blocks, written as Markdown and as one HTML file that needs nothing else.

Both are made from the same blocks by a template each (`templates/`), so that they cannot disagree.
Text is plain: no markup in it is understood, none can break the page.
"""

import base64
import dataclasses
import re
from collections.abc import Sequence

import jinja2


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


def to_markdown(blocks: Sequence[Block]) -> str:
    """The page as GitHub's Markdown; pictures are links to files beside it."""
    parts = [_TEMPLATES.get_template("block.md.jinja").render(**_named(block)) for block in blocks]
    return "\n\n".join(parts) + "\n"


def to_html(blocks: Sequence[Block]) -> str:
    """The page as one HTML file with its pictures inside: opens from disk, loads nothing."""
    titles = [block.text for block in blocks if isinstance(block, Heading)]
    template = _TEMPLATES.get_template("page.html.jinja")
    return template.render(title=titles[0] if titles else "report", blocks=map(_named, blocks))


def _named(block):
    """What a template needs: the block, and the name of its kind."""
    return {"block": block, "kind": type(block).__name__}


def _plain(text):
    """Text whose every character shows as itself; what GitHub leaves alone stays unescaped."""
    text = re.sub(r"([\\`*|<>])", r"\\\1", text.replace("\n", " "))
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # inside a word it is no emphasis
    return re.sub(r"\](?=[(\[:])", r"\\]", text)  # nor a bracket a link, without what follows one


def _title(caption):
    return re.split(r"(?<!\bb)\. ", caption)[0].rstrip(".")  # "w/ b. boxes" ends no sentence


# Beside this file. A name that a template does not know is an error, not an empty text.
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("gala_tf.paper.report", "templates"),
    autoescape=jinja2.select_autoescape(["html.jinja"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "plain": _plain,
    "title_of": _title,
    "base64": lambda data: base64.b64encode(data).decode("ascii"),
}
