"""The one place that wires a game together; command, tests and simulations all call `make_app`."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fastapi import FastAPI

from data_prep.humans.game import api
from data_prep.humans.game.partners import Partner
from data_prep.humans.game.service import Service
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.studies import consent, serving
from data_prep.humans.studies.database import Database

PAGES = Path(__file__).parent / "pages"
SWEEP_S = 1.0
ADDRESSES = {  # address: page
    "/": "consent.html",
    "/instructions": "instructions.html",
    "/play": "play.html",
    "/leaderboard": "leaderboard.html",
    "/about": "about.html",
    "/me": "me.html",
}


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
    service = Service(settings, database, partner, consent_text(settings), now, new_token)
    app.state.service = service
    app.include_router(api.router)
    app.include_router(api.health)
    pages = {address: PAGES / name for address, name in ADDRESSES.items()}
    serving.add_pages(app, pages, {"studies/pages": serving.PAGES, "game/pages": PAGES})
    app.router.lifespan_context = lambda _: _lifespan(service)
    return app


def consent_text(settings: GameSettings) -> str:
    """The study's text, or the template."""
    if not settings.study.consent_file:
        return consent.TEMPLATE
    return Path(settings.study.consent_file).read_text(encoding="utf-8")


@contextlib.asynccontextmanager
async def _lifespan(service: Service) -> AsyncIterator[None]:
    sweeper = asyncio.create_task(_sweep(service))
    yield
    sweeper.cancel()
    await asyncio.gather(sweeper, return_exceptions=True)
    await service.questions.finish()
    await asyncio.to_thread(service.asker.close)


async def _sweep(service):
    while True:
        await asyncio.sleep(SWEEP_S)
        try:
            await asyncio.to_thread(service.sweep, service.now())
        except Exception:  # a locked database, say: the next sweep does what this one could not
            logging.getLogger(__name__).exception("a sweep failed")
