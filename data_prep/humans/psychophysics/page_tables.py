"""The tables of the analysis page, in the paper's order: words and numbers, ready to be printed.

A table a function: from what `analysis.analyse` found to title, words, head and lines.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from data_prep.humans.psychophysics.levels import LEVEL_NAMES
from data_prep.humans.psychophysics.power import Seen
from gala_tf.paper import published


class Table(NamedTuple):
    """A table of the page; all cells are text."""

    title: str
    words: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]


def of(found: dict[str, Any], power: Sequence[Seen]) -> Iterator[Table]:
    """All tables; that of power only if it was asked for."""
    yield _beside_paper(found)
    yield _by_level(found)
    yield _thresholds(found)
    yield from _regressions(found)
    yield _late_answers(found)
    yield _other_timing(found)
    yield _sensitivity_and_speed(found)
    yield _by_class(found)
    yield _by_share_of_image(found)
    yield _left_out(found)
    if power:
        yield _power(power)


def _beside_paper(found):
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
    return Table(
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


def _lowest(found):
    for index, name in enumerate(found["groups"]):
        means = [row["mean"][index] for row in found["levels"][:6]]
        yield f"{name} {min(means):.0%} to {max(means):.0%}"


def _by_level(found):
    def cells(row):
        low, high = row["interval"]
        yield row["level"]
        yield from (f"{m:.1%} ({s:.1%})" for m, s in zip(row["mean"], row["sem"], strict=True))
        yield f"{row['difference']:+.1%} [{low:+.1%}, {high:+.1%}]"
        yield _p(row["p"], row["p_floor"])
        yield _p(row["p_holm"])
        yield " and ".join(map(_p, row["above_chance_p"]))

    return Table(
        "By level (Fig. 2B)",
        "Mean over people of each one's accuracy, S.E.M. in brackets. Intervals by bootstrap, p by "
        "two-sided permutation of people's groups, Holm over all levels.",
        (
            "level",
            *found["groups"],
            "difference, 95 % interval",
            "p",
            "p (Holm)",
            "above chance, p",
        ),
        [list(cells(row)) for row in found["levels"]],
    )


def _thresholds(found):
    a, b = found["groups"]
    fits = found["thresholds"]

    def cells(name, one, images):
        low, high = images["quartiles"]
        yield name
        yield f"{one['threshold']:.1f}"
        yield "{:.1f} to {:.1f}".format(*one["interval"])
        yield "{:.1f} to {:.1f}".format(*one["interval_people_and_images"])
        yield f"{images['median']:.1f} ({low:.1f} to {high:.1f})"

    groups = zip((a, b), fits["groups"], found["image_thresholds"], strict=True)
    ratio = [
        f"{b} / {a}",
        f"{fits['ratio_b_to_a']:.2f}",
        "{:.2f} to {:.2f}".format(*fits["ratio_interval"]),
        "{:.2f} to {:.2f}".format(*fits["ratio_interval_people_and_images"]),
        "",
    ]
    return Table(
        "Thresholds: where accuracy is 75 %",
        "Maximum likelihood; the full image is a level of its own, outside of the curve. Single "
        "images by the same curve: median and quartiles of their 75 % points. The images are a "
        "sample, too: claims about other such images need the interval over people and images.",
        (
            *("group", "per cent of important pixels", "95 % interval over people"),
            *("over people and images", "single images"),
        ),
        [*(list(cells(*one)) for one in groups), ratio],
    )


def _regressions(found):
    for cluster, fit in found["gee"].items():
        yield Table(
            f"Logistic regression, clustered by {cluster}",
            fit.get("failed") or f"Masked images; robust errors of {fit['clusters']} clusters.",
            ("term", "estimate", "robust error", "p"),
            [
                (one["name"], f"{one['estimate']:.3f}", f"{one['error']:.3f}", _p(one["p"]))
                for one in fit.get("coefficients", ())
            ],
        )


def _late_answers(found):
    return Table(
        "When late answers count as",
        f"Mean accuracy of {_both(found)}, by level.",
        ("late answers", *LEVEL_NAMES),
        [
            (policy, *(f"{_percent(a)}, {_percent(b)}" for a, b in zip(*groups, strict=True)))
            for policy, groups in found["policies"].items()
        ],
    )


def _other_timing(found):
    other = found["other_timing"]
    means = zip(found["groups"], other["mean"], strict=True)
    return Table(
        f"If trials of bad timing are {other['bad_timing']}",
        f"By level, of {other['trials']:,} trials; p by the same permutation, without Holm.",
        ("", *LEVEL_NAMES),
        [
            *((name, *map(_percent, of)) for name, of in means),
            ("p", *map(_p, other["p"])),
        ],
    )


def _sensitivity_and_speed(found):
    return Table(
        "Sensitivity, bias and speed",
        "d' and criterion over all people (log-linear), median RT of right answers; "
        f"{_both(found)}.",
        ("", *LEVEL_NAMES),
        [
            ("d'", *_pairs(found["sensitivity"], "{:.2f}", "d_prime")),
            ("criterion", *_pairs(found["sensitivity"], "{:.2f}", "criterion")),
            ("RT, ms", *_pairs(found["response_times"], "{:.0f}")),
        ],
    )


def _by_class(found):
    return Table(
        "By class",
        "Accuracy over all levels.",
        ("class", *found["groups"]),
        [(name, *map(_percent, pair)) for name, pair in found["classes"].items()],
    )


def _by_share_of_image(found):
    edges = found["shares"]["edges"]
    bins = zip(edges[:-1], edges[1:], *found["shares"]["groups"], strict=True)
    return Table(
        "By share of the image shown",
        "In place of the share of the map.",
        ("share of the image", *found["groups"]),
        [
            (
                f"{low:.1%} to {high:.1%}",
                *(f"{_percent(one['accuracy'])} of {one['answers']}" for one in groups),
            )
            for low, high, *groups in bins
        ],
    )


def _left_out(found):
    return Table(
        "Left out",
        "By rules that do not look at the comparison.",
        ("what", "count"),
        [(name, f"{count:,}") for name, count in found["exclusions"].items()],
    )


def _power(power):
    most = power[-1]
    shares = list(zip(LEVEL_NAMES, most.by_level, strict=True))
    seen = [name for name, share in shares if share >= 0.8]
    unseen = [name for name, share in shares if share < 0.2]
    return Table(
        "Power",
        f"Share of {most.experiments} simulated experiments with p < .05. With {most.people} "
        f"people effects of this size are seen in four of five at {', '.join(seen) or 'no level'}; "
        f"in fewer than one of five at {', '.join(unseen) or 'none'}.",
        ("people", *LEVEL_NAMES, "any, Holm"),
        [
            (str(one.people), *(f"{x:.2f}" for x in one.by_level), f"{one.any_holm:.2f}")
            for one in power
        ],
    )


# --------------------------------------------------------------------------- cells


def _both(found):
    """Whose numbers stand in one cell, in their order."""
    return ", ".join(found["groups"])


def _p(value, floor=0.0):
    if math.isnan(value):
        return "-"
    if floor and value <= floor * 1.0001:
        return f"< {floor:.1g}" if floor >= 0.001 else f"< {floor:.0e}"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def _percent(value):
    return "-" if value is None or math.isnan(value) else f"{value:.1%}"


def _pairs(groups, form, key=None):
    for pair in zip(*groups, strict=True):
        values = [one[key] if key else one for one in pair]
        yield ", ".join("-" if value is None else form.format(value) for value in values)
