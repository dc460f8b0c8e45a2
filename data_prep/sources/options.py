"""What the command line tells a source: one declaration for the flag, its help and its default."""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

from data_prep.sources.splits import PAPER_PROPORTIONS
from gala_tf import command

_option = command.flag
_laid = functools.partial(command.flag, group="maps of another source, laid onto --source")


@dataclass(frozen=True)
class SourceOptions:
    """All options that sources take; `SourceEntry.reads` names those of each."""

    input_dir: str = _option("", "Root of the raw material, local or gs://.", path=True)
    maps_dir: str = _option(
        "",
        "Root of a parallel tree of maps (folder). Empty: maps lie beside the images.",
        path=True,
    )
    split_proportions: tuple[float, ...] = _option(
        PAPER_PROPORTIONS,
        "Train, validation, test: proportions on any scale, where the source fixes no splits. "
        "Default: the paper's.",
    )
    validation_fraction: float = _option(
        0.1, "Part of the training images held out, where the source has train and test only."
    )
    annotations: str = _option(
        "",
        "Annotation files, separated by commas, * allowed: COCO instances JSON (coco; for salicon "
        "they give the labels), or a CSV of boxes (boxes). Default: at their usual place under "
        "--input_dir; for salicon, no labels.",
        path=True,
    )
    coco_maps: str = _option(
        "masks", "Maps of coco: the objects' masks, or their boxes.", ("masks", "boxes")
    )
    box_units: str = _option(
        "pixels",
        "Coordinates of --source=boxes: pixels of the displayed image, or fractions of its sides.",
        ("pixels", "relative"),
    )
    salicon_points: str = _option(
        "auto",
        "Form of SALICON's maps: the JSON files; the MAT files' fixations or their mouse "
        "locations; or the PNG maps. auto: the one there is.",
        ("auto", "json", "mat_fixations", "mat_location", "maps"),
    )
    fixation_side: int = _option(
        3,
        "Side of the square painted for each of SALICON's fixations, pixels. 1: a point, of which "
        "a reduction of the image would lose some.",
    )
    label_order: str = _option(
        "sorted",
        "How the source's files number ImageNet's classes: 0-based by sorted WordNet id, the same "
        "from 1, or by ILSVRC2012_ID.",
        choices=("sorted", "sorted_from_1", "devkit"),
    )
    record_maps: str = _option(
        "heatmaps",
        "Where a record has both a heatmap and a box around it: which becomes the map.",
        choices=("heatmaps", "boxes"),
    )
    clicks_file: str = _option(
        "",
        "Raw clicks, .csv or .npz: a path, or a pattern for several files; local or gs://.",
        path=True,
    )
    click_path_prefix: str = _option(
        "",
        "Empty: clicks belong to the image of equal file name. Else to the image whose path below "
        "--input_dir follows this, as imagenet/train/; clicks on other paths are left out.",
    )
    click_frame: str = _option(
        "native",
        "What clicks count pixels of: native = the image file as displayed; 256 = its central "
        "square, short side resized to 256, as the game showed it.",
        choices=("native", "256"),
    )
    bubble_side: int = _option(
        14, "Side of the square around a click, pixels of an image of short side 256 (paper)."
    )
    min_catch_score: float = _option(
        0.95, "Leave out participants who passed fewer catch trials, 0...1; 0 keeps all."
    )
    exclude_mobile: bool = _option(True, "Leave out clicks made on phones.")
    first_submission_only: bool = _option(
        True, "Keep only the first submission of each person on each image."
    )
    min_clicks: int = _option(
        2, "Leave out submissions of fewer clicks. The default drops empty ones and single clicks."
    )
    max_clicks: int = _option(0, "Keep the first so many clicks of a submission; 0 keeps all.")
    min_participants: int = _option(
        1, "Leave out the clicks on an image of which fewer submissions are left."
    )
    include_unclicked: bool = _option(
        False, "Take images without clicks as well; they have no map."
    )
    on_bad_row: str = _option(
        "error",
        "What to do about a row of clicks that cannot be understood; skip counts them.",
        choices=("error", "skip"),
    )
    ground_truth: str = _option(
        "",
        "List of the classes of ImageNet's validation images: the development kit's, the list of "
        "WordNet ids, LOC_val_solution.csv or val.txt. Default: at its usual place under "
        "--input_dir.",
        path=True,
    )
    ground_truth_order: str = _option(
        "auto",
        "What numbers in --ground_truth mean (see --label_order). auto: what they usually do in a "
        "list of its form.",
        choices=("auto", "sorted", "sorted_from_1", "devkit"),
    )
    boxes: str = _option(
        "",
        "Boxes of ImageNet's images as maps: the CSV of process_bounding_boxes.py, or the folder "
        "of the XML files (imagenet); in_records for those in the records (imagenet_tfrecords). "
        "Default: no maps.",
        path=True,
    )
    maps_source: str = _laid(
        "",
        "Lay maps of this other source, read from --maps_dir, onto the images of --source "
        "(imagenet, imagenet_tfrecords or folder). Empty: none.",
    )
    join: str = _laid(
        "auto",
        "How --maps_source's maps find their images: by file name, or by content (the picture "
        "itself). auto: by name where they have names.",
        choices=("auto", "name", "content"),
    )
    match_report: str = _laid(
        "",
        "CSV file, written: the maps of --maps_source that were not joined for certain; a contact "
        "sheet of the doubtful ones lies beside it.",
        path=True,
    )
    maps_splits: str = _laid(
        "train,validation,test",
        "Take --maps_source's maps of these of its own splits only, separated by commas.",
    )
    accept_doubtful: bool = _laid(
        False, "Join doubtful matches too, as far as the two pictures correlate."
    )
    seed: int = _option(
        0, "Decides splits, the order of records, and made-up data.", group="how to make it"
    )

    def replace(self, **changes: Any) -> "SourceOptions":
        return dataclasses.replace(self, **changes)
