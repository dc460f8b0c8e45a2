"""Tables of a report: ours beside the published numbers, each with its n and its interval."""

import math

from gala_tf.evaluation import scores
from gala_tf.paper import published
from gala_tf.paper.published import ROWS
from gala_tf.paper.report import numbers
from gala_tf.paper.report.lines import REFERENCE, row_name
from gala_tf.paper.report.page import Table

DASH = "–"
STAR_P = 0.01  # the paper's: "denotes p < 0.01"
METRICS = {"top1_error": "top-1 error, %", "top5_error": "top-5 error, %", "maps": "maps"}


def cell(interval, digits: int = 1) -> str:
    """ "mean [low, high]"; a dash for what is not defined."""
    if interval is None or math.isnan(interval.mean):
        return DASH
    mean = _number(interval.mean, digits)
    if math.isnan(interval.low):
        return f"{mean} [no interval]"
    return f"{mean} [{_number(interval.low, digits)}, {_number(interval.high, digits)}]"


def _number(value, digits):
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text  # no -0.0


def p_cell(p: float | None) -> str:
    """A p, with the paper's star below 0.01."""
    if p is None:
        return DASH
    text = "< 0.0001" if p < 0.00005 else f"{p:.4f}"
    return text + (" *" if p < STAR_P else "")


def counts(line) -> str:
    """Seeds and images of a line: the n of its errors."""
    return f"{seeds(line)} × {line.runs[0].results['examples']:,} images"


def map_counts(line, layer: str | None = None) -> str:
    """Seeds, and images whose map has a score: the n of a layer's score, by default the final's.

    Fewer than `counts`: not every image has a map, and a constant map has no correlation.
    """
    found = sorted(numbers.map_images(line, layer))
    if not found:
        return DASH
    images = f"{found[0]:,}" + (f" to {found[-1]:,}" if len(found) > 1 else "")
    return f"{seeds(line)} × {images} images"


def seeds(line) -> str:
    """How many a line has, in words."""
    return f"{len(line.runs)} seed{'s' * (len(line.runs) > 1)}"


def paper_table(
    which, lines, compared, unfinished, relative: bool, same_data: bool, quoted: bool
) -> Table:
    """One of the paper's tables, its rows in its order; rows of other networks follow.

    Args:
        which: the tables shown as one: (1, 3), (2,) or (4,); the last one has all rows.
        lines: ours, one data set's.
        compared: {label: Paired} of the lines that were tested.
        unfinished: {row: number of unfinished runs}.
        relative: map scores in % of the ceiling; else Spearman.
        same_data: our data is the paper's.
        quoted: whether there are columns of published numbers.
    """
    paper, entry = published.table(which[-1]), published.document()["tables"][str(which[-1])]
    has_maps = which != (2,) and (any("maps" in row for row in paper.values()) or bool(lines))
    metrics = [name for name in METRICS if name != "maps" or has_maps]
    heads = {**METRICS, "maps": f"maps, {numbers.map_unit(lines, relative)}"}
    columns = ["network", "table", "n"]
    for metric in metrics:
        columns.append(heads[metric])
        if metric == "maps" and lines:
            columns.append("n of maps")
        if quoted:
            columns.append(f"published ({entry['data_set']}{'' if same_data else ': other data'})")
    rows = []
    # The paper's rows first, whether they were run or not.
    for row in dict.fromkeys([*paper, *(line.row for line in lines)]):
        where = ", ".join(str(n) for n in which if row in published.table(n)) or DASH
        waiting = f"{unfinished[row]} unfinished" if unfinished.get(row) else ""
        for line in [line for line in lines if line.row == row] or [None]:
            if line is None:
                cells = [row_name(row), where, waiting or "not run"]
            else:
                cells = [line.label, where, counts(line) + (f" ({waiting})" if waiting else "")]
            for metric in metrics:
                if line is None:
                    cells.append(DASH)
                else:
                    value = cell(_value(line, metric, relative), digits_of(metric, relative))
                    cells.append(value + _star(compared.get(line.label), metric))
                if metric == "maps" and lines:
                    cells.append(map_counts(line) if line else DASH)
                if quoted:
                    cells.append(_published(entry["rows"].get(row), metric))
            rows.append(tuple(cells))
    return Table(tuple(columns), tuple(rows))


def digits_of(metric: str, relative: bool) -> int:
    """Decimals that a number is given with."""
    return 3 if metric == "maps" and not relative else 1


def _value(line, metric, relative):
    if metric == "maps":
        return numbers.map_score(line, relative)
    if metric == "top5_error" and line.runs[0].info.num_classes <= scores.TOP5_CLASSES:
        return None  # 0, whatever the network does
    return numbers.error(line, {"top1_error": 1, "top5_error": 5}[metric])


def _published(row, metric):
    if row is None or metric not in row["values"]:
        return DASH
    reference = (row.get("reference") or {}).get(metric)
    quoted = f" (reference {reference:.2f})" if reference is not None else ""
    return f"{row['values'][metric]:.2f}{quoted}"


def _star(paired, metric):
    if paired is None:
        return ""
    p = {"top1_error": paired.p_top1, "top5_error": paired.p_top5, "maps": paired.p_maps}[metric]
    return " *" if p is not None and p < STAR_P else ""


def errors_tests(compared) -> Table:
    """Paired tests of errors; `compared` is {label: (Paired, label of the reference)}."""
    rows = []
    for label, (paired, reference) in compared.items():
        mcnemar = ", ".join(f"{seed}: {p_cell(p)}" for seed, p in paired.mcnemar.items())
        pairs = "fewer than two pairs of seeds"
        if paired.over_seeds:
            pairs = f"{cell(paired.over_seeds)}, n = {paired.over_seeds.n} pairs"
        n = f"{paired.images:,} images; {paired.seeds[0]} and {paired.seeds[1]} seeds"
        tests = cell(paired.top1), p_cell(paired.p_top1), p_cell(paired.p_top5)
        rows.append((label, reference, n, *tests, mcnemar or "no seed in common", pairs))
    columns = (
        "network",
        "compared with",
        "n",
        "top-1 error, difference in points [95 % bootstrap over images]",
        "p, permutation, top-1",
        "p, permutation, top-5",
        "p, McNemar exact, top-1, by seed",
        "difference in points over pairs of seeds [95 % Student t]",
    )
    return Table(columns, tuple(rows))


def maps_tests(compared) -> Table:
    """Paired tests of map scores, as `errors_tests`."""
    rows = []
    for label, (paired, reference) in compared.items():
        n = f"{paired.map_images:,} images; {paired.seeds[0]} and {paired.seeds[1]} seeds"
        rows.append((label, reference, n, cell(paired.maps, 3), p_cell(paired.p_maps)))
    difference = "Spearman, difference [95 % bootstrap over images]"
    columns = ("network", "compared with", "n", difference, "p, permutation")
    return Table(columns, tuple(rows))


def maps_table(lines, relative: bool) -> Table:
    """The final layer's score with its baselines, in Spearman and in % of the ceiling."""
    rows = []
    for line in lines:
        cells = [line.label, map_counts(line), line.runs[0].results["final_layer"] or DASH]
        cells.append(cell(numbers.map_score(line, False), 3))
        if relative:
            cells.append(cell(numbers.map_score(line, True)))
        cells.append(cell(numbers.baseline([line], "shuffled", False), 3))
        prior = numbers.baseline([line], "center_prior", False)
        # The same whatever the seed: it has no interval.
        cells.append(DASH if prior is None else _number(prior.mean, 3))
        rows.append(tuple(cells))
    columns = ["network", "n", "layer", "Spearman"]
    columns += [numbers.map_unit(lines, relative)] if relative else []
    origin = lines[0].runs[0].info.map_origin
    columns += [f"shuffled: other images' {origin} maps", "centre prior"]
    return Table(tuple(columns), tuple(rows))


def lambda_table(sweep, relative: bool, quoted: bool) -> Table:
    """The numbers of Figure 7; if `quoted`, the published ones of its caption beside them."""
    points = published.document()["figure_7"]["values"]
    # A number a row; of the sweep's lines of that row, beside the first, for its lambda is unknown.
    caption = {point["row"]: f"{point['value']:.2f}" for point in points}
    caption[REFERENCE] += " (lambda not given)"
    rows = []
    for line in sweep:
        cells = [f"{line.map_loss_weight:g}", counts(line), cell(numbers.error(line, 1))]
        score = numbers.map_score(line, relative)
        cells += [cell(score, digits_of("maps", relative)), map_counts(line)]
        cells += [caption.pop(line.row, DASH)] if quoted else []
        rows.append(tuple(cells))
    unit = f"maps, {numbers.map_unit(sweep, relative)}"
    columns = ["lambda", "n", "top-1 error, %", unit, "n of maps"]
    columns += ["published maps, % of ceiling"] if quoted else []
    return Table(tuple(columns), tuple(rows))


def layers_table(lines, places_of, relative: bool) -> Table:
    """Map score of each scored layer; `places_of` as in `figures.layers`."""
    rows = []
    for place in sorted({number for part in places_of for number in part.values()}):
        cells = [f"{place}"]
        for line, part in zip(lines, places_of, strict=True):
            name = next((name for name, number in part.items() if number == place), None)
            score = numbers.map_score(line, relative, name) if name else None
            cells.append(cell(score, digits_of("maps", relative)))
        rows.append(tuple(cells))
    heads = [f"{line.label}, {_layers_counts(line)}" for line in lines]
    return Table(("layer", *heads), tuple(rows))


def _layers_counts(line):
    """n of all of a line's layers: of each, if they differ."""
    by_layer = {layer: map_counts(line, layer) for layer in line.runs[0].results["maps"]}
    if len(set(by_layer.values())) == 1:
        return next(iter(by_layer.values()))
    return "; ".join(f"{layer}: {n}" for layer, n in by_layer.items())


def classes_table(lines, by_class) -> Table:
    """Top-1 error of every class in %, classes by name."""
    images = lines[0].runs[0].images["class_name"]
    rows = []
    for name in by_class[0]:
        n = int((images == name).sum())
        rows.append((name, f"{n}", *(cell(part[name]) for part in by_class)))
    heads = (f"{line.label}, {seeds(line)}" for line in lines)
    return Table(("class", "images", *heads), tuple(rows))


def calibration_table(lines, tables) -> Table:
    """Expected calibration error of each line."""
    rows = []
    for line, (error, bins) in zip(lines, tables, strict=True):
        note = f"{bins.undefined} without a confidence" if bins.undefined else DASH
        rows.append((line.label, counts(line), cell(error), note))
    return Table(("network", "n", "ECE, %, 15 bins", "images left out"), tuple(rows))


def fifths_table(lines, fifths) -> Table:
    """Accuracy in fifths of the images by their map score."""
    rows = []
    for line, parts in zip(lines, fifths, strict=True):
        if parts:
            cells = [f"{cell(rate)} at {score:.2f}, n = {n}" for score, rate, n in parts]
            rows.append((f"{line.label}, {seeds(line)}", *cells))
    names = ("lowest fifth", "second", "third", "fourth", "highest fifth")
    return Table(("network: top-1 accuracy, % at mean Spearman", *names), tuple(rows))


def order_sentences(lines, relative: bool, quoted: bool) -> list[str]:
    """The order in which rows come out, best first; if `quoted`, the paper's too."""
    sentences, paper = [], published.table(3)
    for metric, words, sign in (("top1_error", "top-1 error", 1), ("maps", "map score", -1)):
        values = [(line, _value(line, metric, relative)) for line in lines]
        values = [(line, value.mean) for line, value in values if value is not None]
        if len(values) < 2:
            continue
        values.sort(key=lambda pair: sign * pair[1])
        digits = digits_of(metric, relative)
        ours = ", ".join(f"{line.label} {_number(value, digits)}" for line, value in values)
        sentences.append(f"Order by {words}, best first: {ours}.")
        if quoted:
            known = {line.row for line, _ in values if line.row in paper}
            best_first = sorted(known, key=lambda row: sign * paper[row][metric])
            theirs = ", ".join(f"{ROWS[row].name} {paper[row][metric]:.2f}" for row in best_first)
            sentences[-1] += f" The paper's: {theirs}."
    return sentences
