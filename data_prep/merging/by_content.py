"""Joins map records to images by their pictures: hashes, decisions, a report of doubts."""

import numpy as np

from data_prep.merging import match_report, perceptual_hash, source_hashes
from data_prep.merging import pair as merge_pair
from data_prep.merging.content_join import DOUBTFUL, MATCHED, TWINS, check_label_order, match

WITHOUT_MAP, DAMAGED, FOREIGN = "without a map", "damaged", "of a class that the base lacks"


def join(
    pair: merge_pair.Pair,
    *,
    report_path: str,
    num_workers: int,
    cache_dir: str | None,
    accept_doubtful: bool,
    on_bad_image: str,
) -> tuple[str, tuple[int, ...] | None, list[str]]:
    """Joins the records in `pair.tables`; arguments as for `merge.merge`.

    Returns the frame of the maps, the table of labels (see `merge_pair.label_table`), and what the
    summary says of the records. ValueError: no record joined, labels in another order, or a damaged
    record (`on_bad_image`).
    """
    labels = merge_pair.label_table(pair.base.class_names, pair.maps.class_names, by_index=True)
    map_hashes = pair.hashes("maps", num_workers, cache_dir)
    damaged = np.flatnonzero(map_hashes.state == source_hashes.DAMAGED)
    if damaged.size and on_bad_image == "fail":
        item = pair.tables.item("maps", int(damaged[0]))
        source_hashes.hash_item(pair.maps.read, item)  # again, for its own error
    base_hashes = pair.hashes("base", num_workers, cache_dir)
    result, verdicts, elsewhere = _match(base_hashes, map_hashes, labels)
    accepted = _report(pair, result, verdicts, report_path, accept_doubtful)
    chosen = (verdicts == MATCHED) | accepted
    counted = [f"{(verdicts == verdict).sum():,} {verdict}" for verdict in sorted(set(verdicts))]
    if not chosen.any():
        raise ValueError(
            f"Of {len(verdicts)} map records none was joined to an image of the base "
            f"({', '.join(counted)}). Are they of the same images? "
            f"{report_path or '--match_report=FILE.csv'} lists what is nearest."
        )
    pair.tables.join(np.where(chosen, result.best, -1), map_hashes.map_digests)
    if accepted.any():
        counted.append(f"{accepted.sum():,} of these accepted (--accept_doubtful)")
    if elsewhere:
        counted.append(f"{elsewhere} of a sample of the unmatched are of another class")
    lost = int((base_hashes.state == source_hashes.DAMAGED).sum())
    if lost:
        counted.append(f"{lost:,} images of the base could not be decoded")
    frames = ", ".join(f"{frame} {count:,}" for frame, count in result.frame_matches.items())
    return result.frame, labels, [*counted, f"matches by frame: {frames}"]


def _match(base_hashes, map_hashes, labels):
    """Best matches, a verdict on every record, and how many unmatched are of another class."""
    fine = map_hashes.state == source_hashes.FINE
    map_labels = map_hashes.labels
    if labels is not None:  # theirs -> ours
        map_labels = np.asarray((*labels, -1))[np.clip(map_labels, -1, len(labels))]
    map_labels = np.where(fine, map_labels, -1)
    whole = map_hashes.codes[:, perceptual_hash.FRAMES.index("squash")]
    arguments = base_hashes.codes, base_hashes.labels, whole, map_labels
    print(
        f"matching {len(map_labels):,} maps against {len(base_hashes.state):,} images", flush=True
    )
    result = match(*arguments)
    elsewhere = check_label_order(result, *arguments)
    verdicts = result.verdicts.astype(object)
    verdicts[fine & (map_labels < 0)] = FOREIGN
    verdicts[map_hashes.state == source_hashes.WITHOUT_MAP] = WITHOUT_MAP
    verdicts[map_hashes.state == source_hashes.DAMAGED] = DAMAGED
    return result, verdicts, elsewhere


def _report(pair, result, verdicts, report_path, accept_doubtful):
    """Writes table and sheet; which of the doubtful records are to be joined, bool [N]."""
    accepted = np.zeros(len(verdicts), bool)
    doubtful = np.flatnonzero((verdicts == TWINS) | (verdicts == DOUBTFUL))
    most = min(len(doubtful), match_report.MAX_PAIRS)  # spread over all of them
    spread = np.linspace(0, len(doubtful) - 1, most).astype(np.int64)
    shown = set(doubtful[np.unique(spread)] if report_path else ())
    correlations, pairs = {}, []
    for position in doubtful if accept_doubtful else sorted(shown):
        image = pair.grey("base", int(result.best[position]))
        picture = pair.grey("maps", int(position))
        if image is not None and picture is not None:
            correlations[position] = merge_pair.agreement(image, picture, result.frame)
            enough = correlations[position] >= merge_pair.MIN_CORRELATION
            accepted[position] = accept_doubtful and enough
        if position in shown:
            second = pair.grey("base", int(result.second[position]))
            row = _row(pair, result, verdicts, position, correlations, accepted)
            pairs.append(match_report.Pictures(row, picture, image, second))
    if report_path:
        others = np.flatnonzero((verdicts != MATCHED) & (verdicts != WITHOUT_MAP))
        match_report.write_table(
            report_path, (_row(pair, result, verdicts, p, correlations, accepted) for p in others)
        )
    if pairs:
        match_report.write_sheet(report_path, pairs, result.frame)
    return accepted


def _row(pair, result, verdicts, position, correlations, accepted):
    def near(index, distance):
        if index < 0:
            return "", ""
        return pair.tables.item("base", int(index)).image_id, int(distance)

    return match_report.Row(
        pair.tables.item("maps", int(position)).image_id,
        *near(result.best[position], result.distance[position]),
        *near(result.second[position], result.second_distance[position]),
        correlations.get(position, ""),
        verdicts[position],
        "yes" if accepted[position] else "no",
    )
