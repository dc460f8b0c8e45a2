"""A calibration as people and the server read it: a table, a flagfile, a JSON file, masks.

calibration.md        every setting, the recommended one in bold
calibration.json      the same, with the hashes by which the server knows what it is for
game.flags            the recommended setting
reference_masks/      occlusion importance of each picture, for catch rounds
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.humans.game.calibrate import PAPERS_SHARE, Calibration, Cell, recommend
from data_prep.humans.game.masks import images_hash
from data_prep.humans.game.partners import Partner
from data_prep.humans.game.rules import Rules
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies import writing
from data_prep.humans.studies.database import Database
from data_prep.humans.studies.serving import LOOPBACK

FILE = "calibration.json"
# Of the picture, most important first. Occlusion importance is spread so wide that a whole map of a
# guided painter covers 0.32 of it; of its best 5 % it covers 0.67, a random one 0.21.
MASK_SHARE = 0.05


def write(found: Calibration, folder: Path) -> Cell:
    """Writes all files; the recommended setting."""
    best = recommend(found)
    (folder / "reference_masks").mkdir(parents=True, exist_ok=True)
    for name, importance in found.masks.items():
        path = folder / "reference_masks" / f"{Path(name).with_suffix('')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mask(path, most_important(importance))
    writing.write(folder / "calibration.md", markdown(found, best))
    writing.write(folder / "game.flags", flagfile(found, best))
    # Last: where it is there, the others are, too.
    writing.write(folder / FILE, writing.to_json(as_json(found, best)))
    return best


def most_important(importance: np.ndarray, share: float = MASK_SHARE) -> np.ndarray:
    """Importance where it is highest, 0 elsewhere; ties at the edge are kept."""
    edge = np.quantile(importance, 1 - share)
    return np.where((importance >= edge) & (importance > 0), importance, 0.0)


def write_mask(path: Path, mask: np.ndarray) -> None:
    """A mask as a grey PNG: its largest weight is white."""
    top = mask.max()
    levels = np.rint(255 * mask / top if top > 0 else mask).astype(np.uint8)
    Image.fromarray(levels).save(path)


def markdown(found: Calibration, best: Cell) -> str:
    """The table, one row a setting."""
    guided = "guided by occlusion importance" if found.guided_by == "simulation" else "people's"
    lines = [
        "# Calibration",
        "",
        f"{found.pictures} pictures, partner {found.partner}, {found.base.limit_ms / 1000:g} s, "
        f"{found.repeats} simulated rounds a picture and painter; the guided paths are {guided}. "
        "Shares recognised, with standard errors over pictures; time and bubbles of the guided. "
        "'Nothing' is the share recognised with no bubble at all; no question is asked before "
        f"{found.base.query_every} bubbles.",
        "",
        f"| {' | '.join(_COLUMNS.values())} |",
        "|---" * len(_COLUMNS) + "|",
    ]
    for cell in found.cells:
        words = [_words(found, cell)[name] for name in _COLUMNS]
        words = [f"**{word}**" for word in words] if cell is best else words
        lines.append(f"| {' | '.join(words)} |")
    away = abs(best.outcomes["guided"].recognised - PAPERS_SHARE)
    lines += [
        "",
        f"Recommended (bold): the largest gap near the paper's {PAPERS_SHARE:.0%}, "
        f"{away:.2f} from it. Among settings that lie within each other's errors the largest gap "
        "is partly luck: more --repeats, or another --seed, tell. Simulated painters stand in for "
        "people until there are real rounds.",
        "",
    ]
    return "\n".join(lines)


_COLUMNS = {name: name for name in "background k p guided uniform border gap bubbles".split()}
_COLUMNS = {"side": "bubble"} | _COLUMNS | {"median": "median s", "nothing": "nothing"}


def _words(found, cell):
    shares = {
        painter: f"{one.recognised:.2f} ± {one.error:.2f}" for painter, one in cell.outcomes.items()
    }
    guided = cell.outcomes["guided"]
    nothing = found.nothing_shown[cell.background, cell.top_k, cell.minimum_probability]
    return {
        "side": str(cell.partner_bubble_side),
        "background": cell.background,
        "k": str(cell.top_k),
        "p": f"{cell.minimum_probability:g}",
        **shares,
        "gap": f"{cell.gap:.2f}",
        "median": "-" if guided.median_ms is None else f"{guided.median_ms / 1000:.1f}",
        "bubbles": f"{guided.bubbles:.0f}",
        "nothing": f"{nothing:.2f}",
    }


def flagfile(found: Calibration, best: Cell) -> str:
    """The rules of the recommended setting, all of them, as flags."""
    guided, uniform = (best.outcomes[painter].recognised for painter in ("guided", "uniform"))
    flags = [
        f"--{name}={value}" for name, value in dataclasses.asdict(best.rules(found.base)).items()
    ]
    return "\n".join(
        [
            f"# Calibrated for {found.pictures} pictures and the partner {found.partner}:",
            f"# guided painters win {guided:.0%} of their rounds, random ones {uniform:.0%}.",
            "#   python -m data_prep.clickme_game --flagfile=THIS",
            *flags,
            "",
        ]
    )


def as_json(found: Calibration, best: Cell) -> dict:
    """All but the masks."""
    nothing = [
        {"background": background, "top_k": top_k, "minimum_probability": p, "recognised": share}
        for (background, top_k, p), share in found.nothing_shown.items()
    ]
    plain = {
        field.name: getattr(found, field.name)
        for field in dataclasses.fields(found)
        if field.name not in ("cells", "nothing_shown", "masks", "base")
    }
    return {
        **plain,
        "base_rules": dataclasses.asdict(found.base),
        "recommended_rules": dataclasses.asdict(best.rules(found.base)),
        "cells": [_cell(cell) for cell in found.cells],
        "nothing_shown": nothing,
    }


def _cell(cell):
    """A cell as JSON; NaN, which JSON lacks, as null."""
    content = dataclasses.asdict(cell) | {"gap": cell.gap}
    for outcome in content["outcomes"].values():
        outcome["error"] = None if np.isnan(outcome["error"]) else outcome["error"]
    return content


def why_not_covered(path: Path, pictures_sha256: str, partner_sha256: str, game: Rules) -> str:
    """Why a report does not hold for these pictures, partner and rules; "" if it does."""
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        tried = [report["recommended_rules"], *(_rules_of(report, one) for one in report["cells"])]
        hashes = {Rules(**one).hash() for one in tried}
        found = report["pictures_sha256"], report["partner_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{path} is no calibration report ({error})"
    if found[0] != pictures_sha256:
        return f"{path} is about other pictures"
    if found[1] != partner_sha256:
        return f"{path} is about another partner"
    if game.hash() not in hashes:
        return f"{path} did not try these rules"
    return ""


def require(settings: GameSettings, database: Database, partner: Partner) -> None:
    """ValueError if a public address has no calibration for its own pictures, partner and rules.

    A game that is too easy does not keep people honest, and nobody would see it in the maps.
    """
    study = settings.study
    is_public = bool(study.public_url) or study.host not in LOOPBACK
    if settings.accept_uncalibrated or not (is_public or settings.calibration):
        return
    why = "there is no --calibration=DIR"
    if settings.calibration:
        with database.read() as connection:
            pictures = images_hash(connection)
        about = partner.describe()["sha256"], settings.rules
        why = why_not_covered(Path(settings.calibration) / FILE, pictures, *about)
    if why:
        raise ValueError(
            f"This game is not calibrated: {why}. Run `python -m data_prep.clickme_game calibrate` "
            "with the same flags, or pass --accept_uncalibrated."
        )


def _rules_of(report, cell):
    names = ("background", "partner_bubble_side", "top_k", "minimum_probability")
    return report["base_rules"] | {name: cell[name] for name in names}
