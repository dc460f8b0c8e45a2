"""What a browser and any study say to each other: strict models, unknown fields refused."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    """Anything sent: what we do not know is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SessionAsked(Message):
    """POST /api/session."""

    recruitment: dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=200)]]
    touch: bool | None = None
    canvas_css_px: Annotated[float, Field(allow_inf_nan=False, ge=0, le=10_000)] | None = None
    device_pixel_ratio: Annotated[float, Field(allow_inf_nan=False, ge=0, le=100)] | None = None


class SessionGiven(BaseModel):
    """Who one is, and what one has to agree to."""

    display_name: str
    consent_version: int
    consent_text: str
    consent_accepted: bool
    demo: str  # banner of a demonstration; "" in a real study
    contact: str
    retention_date: str


class ConsentGiven(Message):
    """POST /api/consent."""

    version: int
    accepted: bool
