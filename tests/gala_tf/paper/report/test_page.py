"""The page's two forms: both say the same, nothing in a text can break them."""

import base64
import html.parser

import pytest

from gala_tf.paper.report import page
from gala_tf.paper.report.page import Bullets, Figure, Heading, Paragraph, Table

PNG = b"\x89PNG made up"
BLOCKS = [
    Heading(1, "A & B"),
    Paragraph("p < 0.01 * of `run_1` [a](b)"),
    Paragraph("careful", note=True),
    Bullets(("one", "<script>two</script>")),
    Table(("network", "n"), (("SE | x", "3"), ("stage3_block1_se", "1 [0, 2]"))),
    Figure("a.png", PNG, "What it is. More."),
]


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text; every tag must be closed in order."""

    VOID = ("meta", "img")

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


def read(text):
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    return reader


def test_html_is_whole_and_loads_nothing():
    reader = read(page.to_html(BLOCKS))
    tags = [tag for tag, _ in reader.tags]
    assert "script" not in tags and "link" not in tags
    for _, attributes in reader.tags:
        assert not {"href", "srcset"} & set(attributes)
    [image] = [attributes for tag, attributes in reader.tags if tag == "img"]
    kind, _, data = image["src"].partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(data) == PNG
    assert image["alt"] == "What it is"
    assert "default-src 'none'" in page.to_html(BLOCKS)
    assert "url(" not in page.to_html(BLOCKS) and "@import" not in page.to_html([])


def test_html_keeps_every_text_as_it_is():
    text = read(page.to_html(BLOCKS)).text
    for part in ("A & B", "p < 0.01 * of `run_1` [a](b)", "<script>two</script>", "SE | x"):
        assert part in text


def test_markdown_by_hand():
    assert page.to_markdown(BLOCKS) == (
        "# A & B\n\n"
        "p \\< 0.01 \\* of \\`run_1\\` [a\\](b)\n\n"
        "> careful\n\n"
        "- one\n- \\<script\\>two\\</script\\>\n\n"
        "| network | n |\n| --- | :---: |\n| SE \\| x | 3 |\n| stage3_block1_se | 1 [0, 2] |\n\n"
        "![What it is](a.png)\n\n*What it is. More.*\n"
    )


def test_underscores_at_the_edge_of_words_are_no_emphasis():
    assert page.to_markdown([Paragraph("_a_ b_c")]) == "\\_a\\_ b_c\n"


def test_tables_are_rectangular():
    with pytest.raises(ValueError, match="2 columns .* cannot hold the row .* of 1"):
        Table(("a", "b"), (("1",),))
