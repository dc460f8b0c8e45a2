"""The routes of the experiment. A handler reads the clock once, makes one call, and answers."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from data_prep.humans.psychophysics import messages as m
from data_prep.humans.psychophysics.service import Service
from data_prep.humans.studies.api import Cookie

router = APIRouter(prefix="/api")


async def service_of(request: Request) -> Service:
    """What `make_app` wired."""
    return request.app.state.service


Experiment = Annotated[Service, Depends(service_of)]


@router.post("/gates")
async def gates(sent: m.GateValues, here: Experiment, cookie: Cookie) -> m.GatePassed:
    """Whether the browser will do."""
    return await asyncio.to_thread(here.check_gates, cookie, sent, here.visits.now())


@router.post("/list")
async def take_list(sent: m.ListAsked, here: Experiment, cookie: Cookie) -> m.ListGiven:
    """One's list of trials, and where to go on."""
    return await asyncio.to_thread(here.take_list, cookie, sent, here.visits.now())


@router.get("/stimuli/{list_id}/{stimulus_id}")
async def stimulus(list_id: str, stimulus_id: str, here: Experiment, cookie: Cookie) -> Response:
    """A picture of one's own list."""
    data = await asyncio.to_thread(here.stimulus, cookie, list_id, stimulus_id, here.visits.now())
    return Response(data, media_type="image/png", headers={"Cache-Control": "no-store"})


@router.post("/training")
async def training(sent: m.TrainingSent, here: Experiment, cookie: Cookie) -> m.TrainingJudged:
    """Judges an answer of the training."""
    return await asyncio.to_thread(here.judge_training, cookie, sent, here.visits.now())


@router.post("/trials")
async def trials(sent: m.TrialsSent, here: Experiment, cookie: Cookie) -> m.TrialsStored:
    """Stores trials; how the block went, when it is over."""
    return await asyncio.to_thread(here.store_trials, cookie, sent, here.visits.now())


@router.post("/events")
async def events(sent: m.EventsSent, here: Experiment, cookie: Cookie) -> m.EventsStored:
    """Stores what happened to the window."""
    return await asyncio.to_thread(here.store_events, cookie, sent, here.visits.now())


@router.post("/finish")
async def finish(sent: m.FinishSent, here: Experiment, cookie: Cookie) -> m.Finished:
    """Confirms that all is stored, with the link of the recruitment service."""
    return await asyncio.to_thread(here.finish, cookie, sent, here.visits.now())


@router.get("/about")
async def about(here: Experiment) -> dict[str, Any]:
    """What the study is."""
    return here.about()
