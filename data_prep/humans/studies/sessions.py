"""Sessions: a cookie with 256 random bits, of which the database knows only a hash.

Whoever reads the database, or a copy of it, cannot act as a participant.
"""

import hashlib
import secrets
from typing import NamedTuple

import sqlalchemy as sa

from data_prep.humans.studies.errors import NoSession, OtherDevice
from data_prep.humans.studies.tables import participants, sessions

COOKIE = "study_session"
DAYS = 180


def cookie_name(public_url: str) -> str:
    """Of the cookie at an address. Over TLS with the prefix that browsers keep for the host alone:
    else another host of the same domain could set one of its own, and so give people its session.
    """
    return f"__Host-{COOKIE}" if public_url.startswith("https://") else COOKIE


class Device(NamedTuple):
    """What a browser says of itself, as coarse as the data need."""

    device_class: str = "unknown"
    browser_family: str = "other"
    canvas_css_px: float | None = None
    device_pixel_ratio: float | None = None
    touch: bool | None = None


class Session(NamedTuple):
    """Who is asking."""

    id: str
    participant_id: str
    display_name: str


def new_token() -> str:
    """256 random bits as hexadecimal digits; ids are the first 128."""
    return secrets.token_hex(32)


def token_hash(token: str) -> str:
    """A plain hash is enough: 256 random bits cannot be guessed from it."""
    return hashlib.sha256(token.encode()).hexdigest()


def create(
    connection: sa.Connection,
    session_id: str,
    participant_id: str,
    token: str,
    device: Device,
    now_ms: int,
) -> None:
    """Begins a session; the token goes into the cookie and is not kept."""
    connection.execute(
        sessions.insert().values(
            id=session_id,
            participant_id=participant_id,
            token_hash=token_hash(token),
            begun_at=now_ms,
            **device._asdict(),
        )
    )


# Built once. `PERSON` is for statements about what belongs to who asks, which so need no other one
# before them; `binds` are their values.
_FIND = (
    sa.select(sessions.c.id, participants.c.id, participants.c.display_name)
    .join(participants, participants.c.id == sessions.c.participant_id)
    .where(
        sessions.c.token_hash == sa.bindparam("token_hash"),
        sessions.c.begun_at > sa.bindparam("oldest"),
        participants.c.withdrawn_at.is_(None),
    )
)
PERSON = _FIND.with_only_columns(participants.c.id).scalar_subquery()


def binds(token: str, now_ms: int) -> dict[str, str | int]:
    """Of a cookie, for statements with `PERSON` in them."""
    return {"token_hash": token_hash(token), "oldest": now_ms - DAYS * 86_400_000}


def find(connection: sa.Connection, token: str | None, now_ms: int) -> Session:
    """The session of a cookie.

    Raises:
      NoSession: no cookie, an unknown or too old one, or the person has withdrawn.
    """
    row = connection.execute(_FIND, binds(token, now_ms)).one_or_none() if token else None
    if row is None:
        raise NoSession()
    return Session(*row)


def require_first(connection: sa.Connection, session: Session) -> None:
    """OtherDevice unless the session is the person's first.

    Later ones come by a recruitment's link. Who knows somebody's outside id can make such a link:
    enough to play on another device, too little to be shown that person's data.
    """
    mine = sa.select(sessions.c.id).where(sessions.c.participant_id == session.participant_id)
    first = connection.execute(mine.order_by(sessions.c.begun_at, sessions.c.id).limit(1)).scalar()
    if first != session.id:
        raise OtherDevice()


def browser_family(user_agent: str) -> str:
    """One of a few words; the full text would tell people apart, so it is not stored."""
    for word, family in (
        ("Edg", "edge"),
        ("Firefox", "firefox"),
        ("Chrom", "chrome"),
        ("Safari", "safari"),
    ):
        if word in user_agent:
            return family
    return "other"


def device_class(user_agent: str, touch: bool | None) -> str:
    """phone, tablet or desktop."""
    if "Mobi" in user_agent:
        return "phone"
    if "iPad" in user_agent or "Android" in user_agent or (touch and "Macintosh" in user_agent):
        return "tablet"  # an iPad calls itself a Macintosh, and has a touch screen
    return "desktop"
