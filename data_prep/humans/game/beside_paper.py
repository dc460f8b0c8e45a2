"""A study's statistics, line by line beside those that the paper prints of ClickMe."""

import dataclasses
from typing import Any

from data_prep.humans.game.statistics import Statistics
from gala_tf.paper import published


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the page's table: what, the paper's, ours, how ours is defined."""

    quantity: str
    paper: str
    ours: str
    definition: str


def lines(found: Statistics) -> list[Line]:
    """Ours beside the paper's."""
    paper: dict[str, Any] = published.document()["clickme"]
    top, mine = paper["top_participants"], found.learning
    return [
        Line(
            "participants",
            f"{paper['participants']:,}",
            f"{found.participants:,}",
            "with at least one closed round",
        ),
        Line(
            "images a participant",
            f"{paper['images_per_participant']} (mean)",
            f"{_interval(found.rounds_per_participant, '.1f')}; median {found.median_rounds:g}",
            "closed rounds / participants; the paper's own counts give 383",
        ),
        Line(
            "maps",
            f"{paper['maps']:,}",
            f"{found.maps:,}",
            "rounds with at least one bubble, not skipped",
        ),
        Line("images with a map", f"{paper['unique_images']:,}", f"{found.unique_images:,}", ""),
        Line("bubbles", f"> {paper['bubbles']:,}", f"{found.bubbles:,}", "stored"),
        Line("bubbles a map", "about 74", f"{found.bubbles_per_map:.1f}", ""),
        Line(
            "participants an image", "2.41", f"{found.participants_per_image:.2f}", "Fig. 5; mean"
        ),
        Line(
            "played more than one image",
            f"> {paper['played_more_than_one']:.0%}",
            _interval(found.played_more_than_one, ".1%"),
            "bootstrap over participants",
        ),
        Line(
            "skipped", f"about {paper['skipped']:.0%}", f"{found.skipped:.1%}", "of closed rounds"
        ),
        Line(
            "recognised",
            f"{paper['recognised_by_figure_1']:.0%} (Fig. 1), "
            f"{paper['recognised_in_the_appendix']:.0%} (appendix)",
            _interval(found.recognised, ".1%"),
            "recognised / (recognised + timed out); the paper contradicts itself",
        ),
        Line(
            f"learning, {mine.people} who played most",
            f"{top['first_half']:.2%} and {top['second_half']:.2%}, "
            f"t({top['degrees_of_freedom']}) = {top['t']}",
            f"{mine.first:.2%} and {mine.second:.2%}, t({mine.people - 1}) = {mine.t:.2f}, "
            f"p = {mine.p:.2g}; difference {mine.low:+.2%} to {mine.high:+.2%}; "
            f"equivalent within {mine.margin:.0%}: p = {mine.p_equivalent:.2g}",
            "first and second half of each one's rounds, paired",
        ),
        Line("contests", str(paper["contests"]), str(found.contests), ""),
        Line(
            "days",
            f"{paper['first_day']} to {paper['last_day']}",
            f"{found.first_day} to {found.last_day}",
            "first to last closed round, UTC",
        ),
    ]


def _interval(interval, form):
    return f"{interval.estimate:{form}} [{interval.low:{form}}, {interval.high:{form}}]"
