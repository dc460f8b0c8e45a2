"""A set of stimuli on disk: written whole, and named by a hash of what it is."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from data_prep.humans.psychophysics import contact_sheet
from data_prep.humans.psychophysics.manifest import MANIFEST, Row, digest
from data_prep.humans.psychophysics.stimuli import Work, make_all
from data_prep.humans.studies import writing

SETTINGS = "settings.json"


def write(
    works: Sequence[Work],
    output_dir: Path,
    num_workers: int,
    progress: Callable[[Iterable], Iterator] = iter,
    stand_in: str = "",
) -> list[Row]:
    """Stimuli, manifest, settings and contact sheet of images whose maps are at hand.

    Args:
      stand_in: what the maps are, if not maps of people; every page and figure says it.
    """
    rows = make_all(works, output_dir, num_workers, progress)
    first = works[0]
    about = {
        "sources": first.sources,
        "seed": first.seed,
        "stand_in": stand_in,
        **dataclasses.asdict(first.making),
    }
    writing.write(output_dir / SETTINGS, writing.to_json(about))
    contact_sheet.draw(output_dir, rows)
    return rows


def settings_of(folder: Path) -> tuple[dict, str]:
    """(what a set was made with, the hash that names the set)."""
    text = (folder / SETTINGS).read_text(encoding="utf-8")
    return json.loads(text), digest((folder / MANIFEST).read_bytes(), text)
