"""The routes about people that any study has; an application's state has `visits`."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from data_prep.humans.studies import sessions
from data_prep.humans.studies.messages import ConsentGiven, SessionAsked, SessionGiven
from data_prep.humans.studies.visits import Visits

router = APIRouter(prefix="/api")


def visits_of(request: Request) -> Visits:
    """What `make_app` wired."""
    return request.app.state.visits


def cookie_of(request: Request) -> str | None:
    """The session's token."""
    return request.cookies.get(sessions.COOKIE)


People = Annotated[Visits, Depends(visits_of)]
Cookie = Annotated[str | None, Depends(cookie_of)]


@router.post("/session")
async def begin_session(
    asked: SessionAsked, request: Request, response: Response, people: People, cookie: Cookie
) -> SessionGiven:
    """Who one is: the same person again by the cookie or the recruitment, else a new one."""
    address = request.client.host if request.client else "unknown"
    agent = request.headers.get("user-agent", "")
    given, token = await asyncio.to_thread(
        people.begin_session, asked, cookie, address, agent, people.now()
    )
    if token is not None:
        response.set_cookie(
            sessions.COOKIE,
            token,
            max_age=sessions.DAYS * 86_400,
            httponly=True,
            samesite="lax",
            secure=people.settings.public_url.startswith("https://"),
        )
    return given


@router.post("/consent", status_code=204)
async def give_consent(asked: ConsentGiven, people: People, cookie: Cookie) -> None:
    """An answer to the version that was shown."""
    await asyncio.to_thread(people.give_consent, cookie, asked, people.now())


@router.get("/me")
async def about_me(people: People, cookie: Cookie) -> dict[str, Any]:
    """Everything that is stored about oneself."""
    return await asyncio.to_thread(people.about_me, cookie, people.now())


@router.delete("/me", status_code=204)
async def withdraw(response: Response, people: People, cookie: Cookie) -> None:
    """Withdrawal: identity, sessions and, by the study's rule, what was measured."""
    await asyncio.to_thread(people.withdraw, cookie, people.now())
    response.delete_cookie(sessions.COOKIE)
