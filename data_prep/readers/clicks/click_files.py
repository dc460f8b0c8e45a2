"""Files of raw clicks, as ClickMe 2.0 exports them: CSV here, NPZ in `click_npz.py`.

A row is a submission: what one participant clicked on one image. Columns of the CSV file, after its
readers in serre-lab/human_clickme_data_processing (src/utils.py) and the co3d clickme.py:

    image_path   "imagenet/val/n01751748/ILSVRC2012_val_00000001.JPEG"
    clicks       text, one (x, y) a click, in the order of clicking; see `parse_clicks`
    user_id      whose
    timestamp    optional: seconds, or ISO 8601

Two more, which only the NPZ file has there, are understood here too: user_catch_trial, the share of
catch trials the participant passed, and is_mobile. Others are left unread.
"""

import datetime
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from data_prep.readers import csv_rows
from data_prep.readers.csv_rows import BadRowError

COLUMNS = ("image_path", "clicks", "user_id")
OPTIONAL = ("timestamp", "user_catch_trial", "is_mobile")
MAX_CLICKS = 100_000  # in one submission; a round of the game allows 140

_NUMBER = r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,3})?|nan|NaN|inf|Infinity)"
_PAIR = rf"\s*+({_NUMBER})\s*+,\s*+({_NUMBER})\s*+"
_BARE_PAIR = _PAIR.replace("(", "(?:").replace("(?:?:", "(?:")  # the same without groups
# NumPy 2 writes its scalars as np.int64(12).
_SCALAR = re.compile(
    rf"(?<![\w.])(?:np|numpy)\.(?:u?int|float)[0-9]{{1,3}}\(\s*+({_NUMBER})\s*+\)(?![\w.])"
)
_DTYPE = r"(?:\s*+,\s*+dtype=[\w.<>='\"]{1,20})?+\s*+"
_ARRAY = r"(?:np\.|numpy\.)?+array\(\s*+"
_POINT = (
    rf'(?:"\({_BARE_PAIR}\)"|\({_BARE_PAIR}\)|\[{_BARE_PAIR}\]|'
    rf"{_ARRAY}\[{_BARE_PAIR}\]{_DTYPE}\))"
)
_POINTS = rf"\s*+(?:{_POINT}(?:\s*+,\s*+{_POINT})*+)?\s*+"
_TUPLE = rf"\s*+(?:{_POINT}\s*+,\s*+(?:{_POINT}(?:\s*+,\s*+{_POINT})*+)?+)?+\s*+"
_EMPTY = re.compile(r"array\(\[\],\s*+shape=\(0,(?: [0-9]{1,3})?\)")  # its shape is no click
# An array as `str` has it: no commas.
_PRINTED = rf"\[\s*+(?:\[\s*+{_NUMBER}\s++{_NUMBER}\s*+\]\s*+)++\]"
# Possessive throughout: whatever the text, the time it takes grows only with its length.
_CLICKS = re.compile(
    rf"\s*+(?:\{{{_POINTS}\}}|\[{_POINTS}\]|\({_TUPLE}\)|"
    rf"{_ARRAY}\[{_POINTS}\]{_DTYPE}\)|{_PRINTED})?\s*+"
)
_POINT_PARTS = re.compile(rf"[(\[]\s*+({_NUMBER})(?:\s*+,\s*+|\s++)({_NUMBER})\s*+[)\]]")

_TRUE, _FALSE = {"true", "t", "1", "1.0"}, {"false", "f", "0", "0.0", ""}


class Submission(NamedTuple):
    """One participant's clicks on one image."""

    where: str  # file and row, for messages
    image_path: str  # as the file has it; a name to look up, never a path to open
    # (x, y) in the order of clicking; may be outside the image, or not finite
    clicks: tuple[tuple[float, float], ...]
    user: str  # whose
    timestamp: float | None = None  # seconds; None if the file does not say
    # Share of catch trials passed, NaN if empty; None if the file does not say
    catch_score: float | None = None
    mobile: bool | None = None  # whether on a phone; None if the file does not say


def parse_clicks(text: str) -> tuple[tuple[float, float], ...]:
    """The clicks of a text, by a strict grammar; whole numbers stay int.

    The three forms that exports have, whitespace being free in all:

        {"(12,34)","(56,78)"}     an array of the database, PostgreSQL
        {(12,34),(56,78)}         the same without its quotes, as the readers leave it
        [(12, 34), (56, 78)]      a Python list

    Also a list of lists, as JSON writes it, a tuple, and what NumPy makes of any of them: scalars
    `np.int64(12)`, `array([[12, 34], [56, 78]])`, a list of `array([12, 34])`, and an array as it
    is printed, `[[12 34] [56 78]]`. An array that was shortened by `...` is refused. Empty text,
    {}, [], (), set() and an empty array hold no clicks.

    ValueError: anything else, anywhere in the text; or more than MAX_CLICKS.
    """
    given, text = text, "{}" if text.strip() == "set()" else text
    text = _EMPTY.sub("array([]", _SCALAR.sub(r"\1", text))
    if not _CLICKS.fullmatch(text):
        shown = given if len(given) <= 80 else f"{given[:80]}... ({len(given)} characters)"
        raise ValueError(
            f"clicks are {shown!r}, expected "
            '{"(x,y)","(x,y)"}, {(x,y),(x,y)}, [(x, y), (x, y)] or [[x, y], [x, y]] of numbers, or '
            "a whole NumPy array of pairs"
        )
    clicks = tuple((_number(x), _number(y)) for x, y in _POINT_PARTS.findall(text))
    check_number_of_clicks(len(clicks))
    return clicks


def check_number_of_clicks(number: int) -> None:
    """ValueError if one submission has more than MAX_CLICKS."""
    if number > MAX_CLICKS:
        raise ValueError(f"it has {number} clicks, expected at most {MAX_CLICKS} a submission")


def _number(text):
    try:
        return int(text)
    except ValueError:
        return float(text)


def read_csv(path: str) -> Iterator[Submission | BadRowError]:
    """The submissions of a CSV file, local or gs://, in its order.

    A row that cannot be understood comes as an error, not raised, so that the caller can count it.
    ValueError: the first line is no header in UTF-8, or lacks a column.
    """
    for line, row in csv_rows.rows(path, COLUMNS, "Clicks ", OPTIONAL):
        yield row if isinstance(row, BadRowError) else _submission(f"{path!r}, line {line}", row)


def _submission(where, fields):
    for name in ("image_path", "user_id"):
        if not fields[name].strip():
            return BadRowError(f"Clicks {where}: {name} is empty. Fill it, or remove the row.")
    try:
        return Submission(
            where=where,
            image_path=fields["image_path"].strip(),
            clicks=parse_clicks(fields["clicks"]),
            user=fields["user_id"].strip(),
            timestamp=_timestamp(fields.get("timestamp", "")),
            catch_score=_score(fields.get("user_catch_trial")),
            mobile=_mobile(fields.get("is_mobile")),
        )
    except ValueError as error:
        return BadRowError(f"Clicks {where}: {error}. Correct the row, or remove it.")


def _timestamp(text):
    """Seconds since 1970; None for an empty field. Times without a zone are taken as UTC."""
    text = text.strip()
    if text.lower() in ("", "nan", "nat", "none"):
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            time = datetime.datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"timestamp is {text!r:.80}, expected seconds, or ISO 8601 as 2024-10-06 12:30:00"
            ) from None
        if time.tzinfo is None:
            time = time.replace(tzinfo=datetime.UTC)
        seconds = time.timestamp()
    if not math.isfinite(seconds):
        raise ValueError(f"timestamp is {text!r:.80}, expected a finite number")
    return seconds


def _score(text):
    if text is None:
        return None
    try:
        score = float(text) if text.strip() else math.nan
    except ValueError:
        raise ValueError(f"user_catch_trial is {text!r:.80}, expected a number in 0...1") from None
    return check_score(score)


def check_score(score: float) -> float:
    """The score; ValueError above 1: of percentages everybody would have passed."""
    if score > 1:
        raise ValueError(
            f"user_catch_trial is {score:g}, expected the share of catch trials passed, 0...1; "
            "divide percentages by 100"
        )
    return score


def _mobile(text):
    if text is None:
        return None
    value = text.strip().lower()
    if value not in _TRUE | _FALSE:
        raise ValueError(f"is_mobile is {text!r:.80}, expected true or false")
    return value in _TRUE
