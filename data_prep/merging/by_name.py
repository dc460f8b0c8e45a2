"""Joins map records to images by their files' names; the frame of the maps is told by pictures."""

from data_prep.merging import match_report, perceptual_hash
from data_prep.merging import pair as merge_pair

FRAME_SAMPLE = 64  # pairs that decide how maps joined by name lie in their images


def join(pair: merge_pair.Pair, report_path: str) -> tuple[str, tuple[int, ...] | None, list[str]]:
    """Joins the records in `pair.tables`; returns what `by_content.join` does.

    ValueError: no record has the name of an image of the base.
    """
    tables = pair.tables
    tables.join_names()
    if report_path:
        match_report.write_table(
            report_path,
            (
                match_report.Row(image_id, "", "", "", "", "", verdict, "no")
                for image_id, verdict in tables.unjoined()
            ),
        )
    pairs = tables.sample_pairs(FRAME_SAMPLE)
    if not pairs:
        raise ValueError(
            f"Of {tables.count('maps')} map records none is named as one image of the base is; the "
            f"first are {tables.item('maps', 0).image_id!r} and "
            f"{tables.item('base', 0).image_id!r}. Are they of the same images? --join=content "
            "compares the pictures instead."
        )
    notes = [f"{count:,} {verdict}" for verdict, count in tables.verdicts()]
    labels = merge_pair.label_table(pair.base.class_names, pair.maps.class_names, by_index=False)
    return _vote_frame(pair, pairs), labels, notes


def _vote_frame(pair, pairs):
    """The frame in which the maps' square pictures agree best with the images of equal name."""
    votes = dict.fromkeys(perceptual_hash.FRAMES, 0.0)
    for base_position, map_position in pairs:
        image = pair.grey("base", base_position)
        picture = pair.grey("maps", map_position)
        if image is not None and picture is not None and picture.width == picture.height:
            for frame in votes:
                votes[frame] += perceptual_hash.correlation(image, picture, frame)
    return max(votes, key=votes.get)
