"""The routes that any study has, and how an application gets them."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response

from data_prep.humans.studies import sessions
from data_prep.humans.studies.messages import ConsentGiven, SessionAsked, SessionGiven
from data_prep.humans.studies.readiness import Readiness
from data_prep.humans.studies.visits import Visits

router = APIRouter(prefix="/api")
health = APIRouter()


def wire(app: FastAPI, visits: Visits, readiness: Readiness, own: APIRouter) -> None:
    """Gives an application its people and its health, with their routes and the study's own."""
    app.state.visits, app.state.readiness = visits, readiness
    for each in (own, router, health):  # the busiest first: they are tried in turn
        app.include_router(each)


# Not plain functions: FastAPI would call each on a thread of its own, for every request.
async def visits_of(request: Request) -> Visits:
    """What `make_app` wired."""
    return request.app.state.visits


async def cookie_of(request: Request) -> str | None:
    """The session's token."""
    public_url = request.app.state.visits.settings.public_url
    return request.cookies.get(sessions.cookie_name(public_url))


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
        _set_cookie(response, people, token, sessions.DAYS * 86_400)
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
    _set_cookie(response, people, "", 0)


def _set_cookie(response, people, token, max_age_s):
    url = people.settings.public_url
    response.set_cookie(
        sessions.cookie_name(url),
        token,
        max_age=max_age_s,
        httponly=True,
        samesite="lax",
        secure=url.startswith("https://"),  # without it, browsers refuse the prefix
    )


@health.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@health.get("/readyz")
async def ready(request: Request, people: People) -> dict[str, str]:
    """The database takes a write, and what else the study needs is there."""
    await asyncio.to_thread(request.app.state.readiness.check, people.now())
    return {"status": "ready"}
