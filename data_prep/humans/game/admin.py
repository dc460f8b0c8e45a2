"""What whoever runs a game may see, on a loopback port of its own: read only, and let in once.

The address that the command prints holds a token that works once: it becomes a cookie, and the
address is worth nothing any more, in whatever history or log it stays.
"""

import html
import secrets
from collections.abc import Callable

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from data_prep.humans.game.service import Service
from data_prep.humans.game.tables import images, queries, rounds
from data_prep.humans.studies import serving
from data_prep.humans.studies.errors import NotFound
from data_prep.humans.studies.tables import participants, reports

COOKIE = "admin"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<title>ClickMe, live</title><link rel="stylesheet" href="/static/studies/pages/common.css"></head>
<body><main class="page narrow"><h1>Live</h1><div class="card"><table>{rows}</table></div>
<h2>Last reports</h2>{reports}</main></body></html>
"""


def make_admin(service: Service, game: FastAPI, new_token: Callable[[], str]) -> tuple:
    """The application, and the token that lets in the first who brings it."""
    app, token, kept = serving.new_app("ClickMe, admin"), new_token(), new_token()
    serving.add_pages(app)
    left = [token]  # empty once it has been used

    def check(request: Request) -> None:
        if not _same(request.cookies.get(COOKIE, ""), kept):
            raise NotFound()

    @app.get("/enter/{given}")
    def enter(given: str) -> Response:
        if not left or not _same(given, left[0]):
            raise NotFound()
        left.clear()
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, kept, httponly=True, samesite="strict")
        return answer

    @app.get("/")
    def live(request: Request) -> HTMLResponse:
        check(request)
        return HTMLResponse(page(service))

    @app.get("/openapi.json")
    def openapi(request: Request) -> JSONResponse:
        check(request)
        return JSONResponse(game.openapi())

    return app, token


def _same(given, kept):
    """As bytes: of text, `compare_digest` takes ASCII alone, and visitors send what they like."""
    return secrets.compare_digest(given.encode(), kept.encode())


def page(service: Service) -> str:
    """Counts of now, and the last reports; refreshes itself without a script."""
    with service.database.read() as connection:
        count = lambda table: connection.execute(  # noqa: E731
            sa.select(sa.func.count()).select_from(table)
        ).scalar_one()
        states = connection.execute(
            sa.select(rounds.c.state, sa.func.count()).group_by(rounds.c.state)
        ).all()
        said = connection.execute(
            sa.select(reports.c.text).order_by(reports.c.reported_at.desc()).limit(10)
        ).scalars()
        facts = {
            "participants": count(participants),
            "pictures": count(images),
            "questions": count(queries),
            **{f"rounds {state}": number for state, number in sorted(states)},
            "partner": service.asker.failure or ("slow" if service.asker.is_slow() else "fine"),
        }
        # Everything is escaped: reports are whatever somebody typed.
        lines = "".join(f"<li>{html.escape(text)}</li>" for text in said)
    rows = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return PAGE.format(rows=rows, reports=f"<ul>{lines}</ul>" if lines else "<p>None.</p>")
