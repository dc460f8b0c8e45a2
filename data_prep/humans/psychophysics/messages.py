"""What the experiment's browser and server say to each other; of people: studies/messages.py.

The pages' types are written from these by `tests/browser`, which fails when they differ. Level,
side and source are in none of them: the browser must not know them before the answer.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from data_prep.humans.studies.messages import Message

Key = Literal["KeyS", "KeyL"]
Id = Annotated[str, Field(min_length=8, max_length=64, pattern="^[A-Za-z0-9-]+$")]
Index = Annotated[int, Field(ge=0, le=10_000)]
Milliseconds = Annotated[float, Field(allow_inf_nan=False, ge=0, le=86_400_000)]
Time = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e12)]  # of a page's own clock
EventKind = Literal[
    "blur", "focus", "hidden", "visible", "resize", "fullscreen", "windowed", "reload", "simulated"
]


class GateValues(Message):
    """POST /api/gates: what the browser measured of itself."""

    desktop: bool
    width: Annotated[int, Field(ge=0, le=100_000)]
    height: Annotated[int, Field(ge=0, le=100_000)]
    period_ms: Milliseconds  # median of 60 gaps between frames
    period_p95_ms: Milliseconds
    canvas: bool
    storage: bool
    device_pixel_ratio: Annotated[float, Field(allow_inf_nan=False, ge=0, le=100)]
    comprehension: bool | None  # None: not asked yet
    px_per_mm: Annotated[float, Field(allow_inf_nan=False, ge=0, le=1000)] | None = None
    layout: Annotated[str, Field(max_length=8)] = ""  # letters on the two keys, if known
    browser: Annotated[str, Field(max_length=24)] = ""  # family and major version
    system: Annotated[str, Field(max_length=12)] = ""  # family


class GatePassed(BaseModel):
    """Whether the experiment can run there."""

    ok: bool
    reason: str


class ListAsked(Message):
    """POST /api/list."""

    device: Id


class Item(BaseModel):
    """A trial as the browser knows it."""

    index: int
    url: str
    sha256: str
    fixation_ms: int


class Rules(BaseModel):
    """How trials go."""

    stimulus_ms: int
    blank_ms: int
    key_ends_trial: bool
    photodiode: bool
    block: int  # trials of a block
    degrees: float
    target_name: str
    distractor_name: str


class ListGiven(BaseModel):
    """What there is to do."""

    list: str
    target_key: str
    trials: list[Item]
    training: list[Item]
    trained: bool
    training_at: int
    resume_at: int
    rules: Rules
    simulation: bool


class TrainingSent(Message):
    """POST /api/training."""

    list: Id
    index: Index
    response: Key | None
    rt_ms: Milliseconds | None


class TrainingJudged(BaseModel):
    """Right or wrong; null: not in time."""

    correct: bool | None
    done: bool


class TrialSent(Message):
    """A trial as it went; of one that is lost its index alone."""

    index: Index
    lost: bool = False
    response: Key | None = None
    rt_ms: Milliseconds | None = None
    early_keys: Index = 0
    late_key_ms: Milliseconds | None = None
    fixation_ms: Milliseconds | None = None
    stimulus_ms: Milliseconds | None = None
    blank_ms: Milliseconds | None = None
    frames: Index | None = None
    dropped: Index | None = None
    longest_gap_ms: Milliseconds | None = None
    period_ms: Annotated[float, Field(allow_inf_nan=False, gt=0, le=1000)] | None = None
    onset_ms: Time | None = None
    time_elapsed_ms: Time | None = None
    events: Annotated[list[EventKind], Field(max_length=100)] = []
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _is_timed(self) -> Self:
        """A key has a time: one without would end every later mean."""
        if self.response is not None and self.rt_ms is None:
            raise ValueError("a response without rt_ms")
        return self


class TrialsSent(Message):
    """POST /api/trials."""

    list: Id
    trials: Annotated[list[TrialSent], Field(min_length=1, max_length=20)]


class Feedback(BaseModel):
    """How a block went."""

    block: int
    accuracy: float | None  # of answers in time
    rt_ms: float | None  # their mean
    too_slow: int


class TrialsStored(BaseModel):
    """What the server has."""

    stored: int
    next: int
    feedback: Feedback | None


class EventSent(Message):
    """Something that happened to the window between trials."""

    number: Index
    kind: EventKind
    at_ms: Time


class EventsSent(Message):
    """POST /api/events."""

    list: Id
    events: Annotated[list[EventSent], Field(min_length=1, max_length=50)]


class EventsStored(BaseModel):
    """What the server has."""

    stored: int


class FinishSent(Message):
    """POST /api/finish, with the answers to the last questions, all optional."""

    list: Id
    handedness: Literal["right", "left", "both", ""] = ""
    age_range: Literal["18-29", "30-39", "40-49", "50-59", "60+", ""] = ""
    odd: Annotated[str, Field(max_length=2000)] = ""


class Finished(BaseModel):
    """Whether all is stored; the link of the recruitment service, if it is."""

    complete: bool
    missing: int
    lost: int
    link: str
