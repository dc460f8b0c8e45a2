"""The routes of the game. A handler reads the clock once, makes one call, and answers."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from data_prep.humans.game import messages as m
from data_prep.humans.game.questions import answer_to
from data_prep.humans.game.service import Service
from data_prep.humans.studies.api import Cookie

router = APIRouter(prefix="/api")
ANSWER_S = 1.0  # a batch waits for the partner so long at most


async def service_of(request: Request) -> Service:
    """What `make_app` wired."""
    return request.app.state.service


Game = Annotated[Service, Depends(service_of)]


@router.post("/rounds")
async def ask_round(asked: m.RoundAsked, game: Game, cookie: Cookie) -> m.RoundGiven:
    """The next picture, or the one being looked at."""
    return await asyncio.to_thread(game.offer, cookie, asked, game.now())


@router.get("/rounds/{round_id}/image")
async def picture(round_id: str, game: Game, cookie: Cookie) -> Response:
    """The picture of one's own round."""
    jpeg = await asyncio.to_thread(game.picture, cookie, round_id, game.now())
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.post("/rounds/{round_id}/start")
async def start(round_id: str, asked: m.StartSent, game: Game, cookie: Cookie) -> m.Started:
    """The first click."""
    return await asyncio.to_thread(game.start, cookie, round_id, asked, game.now())


@router.post("/rounds/{round_id}/bubbles")
async def bubbles(
    round_id: str, asked: m.BubblesSent, game: Game, cookie: Cookie
) -> m.BubblesStored:
    """Stores a batch, asks the partner if it is time, and waits for the answer a second at most."""
    stored, question = await asyncio.to_thread(
        game.add_bubbles, cookie, round_id, asked, game.now()
    )
    return game.as_stored(stored, await answer_to(question, ANSWER_S))


@router.post("/rounds/{round_id}/end")
async def end(round_id: str, asked: m.EndSent, game: Game, cookie: Cookie) -> m.RoundEnded:
    """Ends a round; when time is up, one last question is asked first."""
    question = await asyncio.to_thread(game.last_question, cookie, round_id, asked, game.now())
    await answer_to(question, game.settings.rules.grace_ms / 1000)
    return await asyncio.to_thread(game.end, cookie, round_id, asked, game.now())


@router.get("/leaderboard")
async def leaderboard(game: Game, cookie: Cookie, all_time: bool = False) -> dict[str, Any]:
    """The ten best and one's own row, of the current contest or of all time."""
    return await asyncio.to_thread(game.leaderboard, cookie, all_time, game.now())


@router.post("/report", status_code=204)
async def report(asked: m.Report, game: Game, cookie: Cookie) -> None:
    """A few words to whoever runs the study."""
    await asyncio.to_thread(game.visits.report, cookie, asked.text, game.now())


@router.post("/contact", status_code=204)
async def put_contact(asked: m.Contact, game: Game, cookie: Cookie) -> None:
    """An address to write to, by choice; an empty one takes it away."""
    await asyncio.to_thread(game.visits.put_contact, cookie, asked.email, game.now())


@router.post("/pause", status_code=204)
async def pause(asked: m.Pause, game: Game, cookie: Cookie) -> None:
    """Gives an unstarted picture back, for others to play meanwhile."""
    await asyncio.to_thread(game.pause, cookie, game.now())


@router.get("/about")
async def about(game: Game) -> dict[str, Any]:
    """What the study is: its rules, its partner, what becomes of the data."""
    return game.about()
