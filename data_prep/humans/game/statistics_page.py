"""The statistics page as Markdown, as HTML that loads nothing, and as JSON."""

import dataclasses
import html
import math
from pathlib import Path

from data_prep.humans.game.beside_paper import lines
from data_prep.humans.game.statistics import Statistics
from data_prep.humans.studies import writing

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { border-bottom: 1px solid #767676; padding: 0.3rem 0.6rem; text-align: left; }
rect { fill: #2b5d8a; } text { font: 12px system-ui, sans-serif; }
"""
ELSEWHERE = (
    "Example maps (Fig. 6) and reliability come from the shards that are built from the export: "
    "see `python -m data_prep.verify` and `python -m data_prep.reliability`."
)
WORST_CLASSES = 20


@dataclasses.dataclass(frozen=True)
class Page:
    """What stands on the page beside the numbers.

    Attributes:
        title: the study's name.
        facts: what was played by whom for what: rules, partner, demonstration or not.
    """

    title: str
    facts: dict[str, str]


def write(found: Statistics, page: Page, folder: Path) -> list[Path]:
    """statistics.md, .html and .json; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "statistics.md": markdown(found, page),
        "statistics.html": as_html(found, page),
        "statistics.json": as_json(found, page),
    }
    for name, text in texts.items():
        writing.write(folder / name, text)
    return [folder / name for name in texts]


def as_json(found: Statistics, page: Page) -> str:
    """All numbers; those that cannot be estimated are null."""
    content = dataclasses.asdict(found) | {"study": page.title, "facts": page.facts}
    return writing.to_json(content)


def markdown(found: Statistics, page: Page) -> str:
    """For a terminal or a repository."""
    parts = [f"# {page.title}: statistics", ""]
    parts += [f"- {name}: {text}" for name, text in page.facts.items()]
    for title, head, rows in _tables(found):
        parts += ["", f"## {title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        parts += [f"| {' | '.join(_cell(word) for word in row)} |" for row in rows]
    return "\n".join([*parts, "", ELSEWHERE, ""])


def as_html(found: Statistics, page: Page) -> str:
    """One file, no script, nothing loaded."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        f"<title>{html.escape(page.title)}: statistics</title><style>{STYLE}</style>",
        f"<h1>{html.escape(page.title)}: statistics</h1><ul>",
        *(f"<li>{html.escape(f'{name}: {text}')}</li>" for name, text in page.facts.items()),
        "</ul>",
    ]
    for title, head, rows in _tables(found):
        parts.append(f"<h2>{html.escape(title)}</h2><table>")
        parts.append(_row("th", head))
        parts += [_row("td", row) for row in rows]
        parts.append("</table>")
    for title, counts in (
        ("People by number of rounds", found.rounds_histogram),
        ("Pictures by number of people (Fig. 5)", found.images_histogram),
        ("Rounds a day", found.rounds_per_day),
    ):
        parts.append(f"<h2>{html.escape(title)}</h2>{_bars(title, counts)}")
    parts.append(f"<p>{html.escape(ELSEWHERE)}</p></html>\n")
    return "\n".join(parts)


def _tables(found):
    """(title, head, rows) of every table."""
    beside = [dataclasses.astuple(line) for line in lines(found)]
    yield "Beside the paper", ("quantity", "paper", "here", "defined as"), beside
    total = sum(found.ends.values())
    yield (
        "How rounds ended",
        ("end", "rounds", "share"),
        [(name, f"{count:,}", f"{count / total:.1%}") for name, count in found.ends.items()],
    )
    yield "Why pictures were skipped", ("reason", "rounds"), _counts(found.skip_reasons)
    yield "Flags", ("flag", "rounds"), _counts(found.flags)
    times = [("to the first bubble", found.first_bubble_ms), ("of an answer", found.latency_ms)]
    yield (
        "Times in ms",
        ("time", "median", "p95", "p99"),
        [(name, *(f"{one:.0f}" for one in values.values())) for name, values in times if values],
    )
    hardest = list(found.recognised_by_class.items())[:WORST_CLASSES]
    yield (
        f"Recognised by class, the {len(hardest)} hardest of {len(found.recognised_by_class)}",
        ("class", "recognised", "rounds"),
        [(name, f"{share:.0%}", str(count)) for name, (share, count) in hardest],
    )


def _counts(counts):
    return [(name, f"{count:,}") for name, count in counts.items()]


def _cell(word):
    return word.replace("|", "\\|").replace("\n", " ")


def _row(tag, words):
    return "<tr>" + "".join(f"<{tag}>{html.escape(word)}</{tag}>" for word in words) + "</tr>"


def _bars(title, counts):
    """A histogram as an inline drawing, with its numbers for those who cannot see it."""
    width, height, top = 900, 160, max(counts.values(), default=1)
    step = width / max(len(counts), 1)
    every = math.ceil(len(counts) / 12)  # so that labels do not lie on each other
    bars = []
    for index, (name, count) in enumerate(counts.items()):
        tall = height * count / top
        bars.append(
            f'<rect x="{index * step:.1f}" y="{height - tall:.1f}" width="{step * 0.9:.1f}" '
            f'height="{tall:.1f}"><title>{html.escape(name)}: {count:,}</title></rect>'
        )
        if index % every == 0:
            label = f"{html.escape(name)}: {count:,}" if len(counts) <= 12 else html.escape(name)
            bars.append(f'<text x="{index * step:.1f}" y="{height + 16}">{label}</text>')
    return (
        f'<svg role="img" aria-label="{html.escape(title)}" viewBox="0 0 {width} {height + 24}">'
        f"{''.join(bars)}</svg>"
    )
