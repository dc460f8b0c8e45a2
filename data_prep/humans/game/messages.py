"""What the game's browser and server say to each other; of people: studies/messages.py.

The pages' types are written from these by `tests/browser`, which fails when they differ.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from data_prep.humans.studies.messages import Message

Number = Annotated[float, Field(allow_inf_nan=False)]
Coordinate = Annotated[float, Field(allow_inf_nan=False, ge=-10_000, le=10_000)]
Milliseconds = Annotated[float, Field(allow_inf_nan=False, ge=0, le=86_400_000)]
# JSON knows lists only; what is in them stays strict.
Point = Annotated[tuple[Coordinate, Coordinate, Milliseconds], Field(strict=False)]


class RoundAsked(Message):
    """POST /api/rounds. `tab` is random and lives as long as a browser's tab."""

    tab: Annotated[str, Field(min_length=8, max_length=64, pattern="^[A-Za-z0-9-]+$")]
    take_over: bool = False


class Limits(BaseModel):
    """The rules that the page needs."""

    limit_ms: int
    grace_ms: int
    bubble_side: int
    partner_bubble_side: int
    brush_tick_ms: int
    brush_step: float
    query_every: int
    after_recognition: str
    background: str
    score: str


class RoundGiven(BaseModel):
    """A round to play."""

    round: str
    image: str
    label: str
    limits: Limits
    keep_raw: bool  # whether pointer events are wanted, too


class StartSent(Message):
    """POST /api/rounds/{round}/start; `looked_ms` is from the picture's showing to the click."""

    input: Literal["mouse", "touch", "pen", "keyboard"] = "mouse"
    looked_ms: Annotated[int, Field(ge=0, le=86_400_000)] | None = None


class Started(BaseModel):
    """What the round's clock shows."""

    elapsed_ms: int
    status: str


class BubblesSent(Message):
    """POST /api/rounds/{round}/bubbles."""

    seq: Annotated[int, Field(ge=0, le=100_000)]
    first: Annotated[int, Field(ge=0, le=100_000)]
    points: Annotated[list[Point], Field(min_length=1, max_length=64)]


class BubblesStored(BaseModel):
    """What the server has."""

    stored: int
    evaluated: int
    status: str
    points: float | None
    partner_is_slow: bool


RawEvent = Annotated[
    tuple[Annotated[str, Field(max_length=12)], Number, Number, Number], Field(strict=False)
]


class EndSent(Message):
    """POST /api/rounds/{round}/end."""

    reason: Literal["timeout", "skip", "hidden"]
    skip_reason: Literal["unclear", "wrong_label", "upsetting", "broken", "other"] | None = None
    scripted: bool = False  # the browser saw no pointer move between bubbles
    raw: Annotated[list[RawEvent], Field(max_length=2000)] | None = None


class RoundEnded(BaseModel):
    """How a round ended, and where one stands."""

    status: str
    points: float | None
    guesses: list[str]
    total_points: float
    recognised: int
    rank: int | None
    flags: list[str]


class Report(Message):
    """POST /api/report."""

    # PostgreSQL stores no NUL.
    text: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]


_WORD = r"[^\s@<>,;\"]+"


class Contact(Message):
    """POST /api/contact; an empty address takes the stored one away."""

    # No proof of an address, only of its form: whoever writes to it will see.
    email: Annotated[str, Field(max_length=254, pattern=f"^({_WORD}@{_WORD}[.]{_WORD})?$")]


class Pause(Message):
    """POST /api/pause."""
