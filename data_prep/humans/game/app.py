"""The one place that wires a game together; command, tests and simulations all call `make_app`."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fastapi import FastAPI

from data_prep.humans.game import api
from data_prep.humans.game.about_people import ROOM
from data_prep.humans.game.partners import Partner
from data_prep.humans.game.people import People
from data_prep.humans.game.service import Service
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies import api as studies_api
from data_prep.humans.studies import serving
from data_prep.humans.studies.database import Database
from data_prep.humans.studies.readiness import Readiness

PAGES = Path(__file__).parent / "pages"
SWEEP_S = 5.0  # rounds that hear a message end at once; this is for those that hear none
ADDRESSES = {  # address: page
    "/": "consent.html",
    "/instructions": "instructions.html",
    "/play": "play.html",
    "/leaderboard": "leaderboard.html",
    "/about": "about.html",
    "/me": "me.html",
}
# A template. It has had no legal or ethical review; a real study brings its own --consent_file.
CONSENT = """\
This is a template. Replace it with the text that your ethics board has approved.

You are invited to play a game for research. You paint over the parts of a picture that matter for \
recognising what it shows, while a computer program tries to recognise it from these parts alone. \
What people paint is used to study and to train programs that recognise pictures.

We store where and when you painted, which pictures you were shown, and what kind of device you \
used. We do not store your name, your address on the internet, or anything about you that you do \
not tell us.

You may stop at any time, skip any picture, see all that is stored about you, and have it deleted, \
on the page "My data". There are no known risks beyond those of looking at a screen.
"""


def make_app(
    settings: GameSettings,
    database: Database,
    partner: Partner,
    now: Callable[[], int],
    new_token: Callable[[], str],
) -> FastAPI:
    """An application for one process.

    Args:
      now: UTC in ms.
      new_token: at least 256 random bits as hexadecimal digits; ids are its first 128.
    """
    app = serving.new_app("ClickMe")
    visits = People(
        settings.study,
        settings.as_json(),
        database,
        CONSENT,
        "Demonstration: 23 pictures" if settings.demo else "",
        [ROOM],
        now,
        new_token,
    )
    service = Service(settings, visits, partner)
    app.state.service = service
    readiness = Readiness(database, lambda: service.asker.check(5.0))
    studies_api.wire(app, visits, readiness, api.router)
    serving.add_pages(app, PAGES, ADDRESSES)
    app.router.lifespan_context = lambda _: _lifespan(service)
    return app


@contextlib.asynccontextmanager
async def _lifespan(service: Service) -> AsyncIterator[None]:
    sweeper = asyncio.create_task(_sweep(service))
    yield
    sweeper.cancel()
    await asyncio.gather(sweeper, return_exceptions=True)
    await asyncio.to_thread(service.questions.close)


async def _sweep(service):
    while True:
        await asyncio.sleep(SWEEP_S)
        try:
            await asyncio.to_thread(service.sweep, service.now())
        except Exception:  # a locked database, say: the next sweep does what this one could not
            logging.getLogger(__name__).exception("a sweep failed")
