"""The one place that wires an experiment together; command, tests and simulations call it."""

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI

from data_prep.humans.psychophysics import api
from data_prep.humans.psychophysics.about_people import ROOM
from data_prep.humans.psychophysics.service import Service
from data_prep.humans.psychophysics.settings import Settings
from data_prep.humans.studies import api as studies_api
from data_prep.humans.studies import serving
from data_prep.humans.studies.database import Database
from data_prep.humans.studies.readiness import Readiness
from data_prep.humans.studies.visits import Visits

PAGES = Path(__file__).parent / "pages"
ADDRESSES = {  # address: page
    "/": "experiment.html",
    "/about": "about.html",
    "/me": "me.html",
    "/timing": "timing.html",
}
# A template. It has had no legal or ethical review; a real study brings its own --consent_file.
CONSENT = """\
This is a template. Replace it with the text that your ethics board has approved.

You are invited to an experiment on how people recognise pictures at a glance. Pictures flash up \
for less than half a second, most of them partly hidden, and you say what they show by pressing \
one of two keys. It takes about ten minutes. Pictures flash, but slower than once a second.

We store which keys you pressed and when, how regularly your screen was redrawn, its size, and the \
kind of your browser. We do not store your name, your address on the internet, or anything about \
you that you do not tell us.

You may stop at any time by closing the page, see all that is stored about you, and have it \
deleted, on the page "My data". There are no known risks beyond those of looking at a screen.
"""


def make_app(
    settings: Settings,
    database: Database,
    now: Callable[[], int],
    new_token: Callable[[], str],
) -> FastAPI:
    """An application for one process.

    Args:
      now: UTC in ms.
      new_token: at least 256 random bits as hexadecimal digits; ids are its first 128.
    """
    app = serving.new_app("Rapid categorisation")
    visits = Visits(
        settings.study,
        settings.as_json(),
        database,
        CONSENT,
        settings.stand_in,
        [ROOM],
        now,
        new_token,
    )
    app.state.service = Service(settings, visits)
    studies_api.wire(app, visits, Readiness(database), api.router)
    serving.add_pages(app, PAGES, ADDRESSES)
    return app
