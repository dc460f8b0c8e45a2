"""The shape of an application: errors in one form, pages as they lie on disk, uvicorn around it."""

import contextlib
import logging
import mimetypes
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from data_prep.humans.studies.errors import Malformed, NotFound, StudyError
from data_prep.humans.studies.http_limits import LimitedHttp
from data_prep.humans.studies.security import Security
from data_prep.humans.studies.settings import StudySettings

PAGES = Path(__file__).parent / "pages"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
mimetypes.add_type("text/javascript", ".js")  # some systems' tables say text/plain


def new_app(title: str) -> FastAPI:
    """An application without documentation pages, whose every error has one form."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(StudyError, _study_error)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    return app


def add_pages(
    app: FastAPI, folder: Path = PAGES, addresses: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Serves HTML files of a room's `pages` at {address: name}.

    Its scripts and styles, and those of all studies, are at /static/ROOM/pages. Files are listed
    once, at the start: no address is ever turned into a path.
    """
    for address, name in addresses.items():
        page = (folder / name).read_text(encoding="utf-8")
        app.get(address, response_class=HTMLResponse)(_page(page))
    files = {
        f"/static/{path.relative_to(place.parent.parent).as_posix()}": path
        for place in {PAGES, folder}
        for path in sorted(place.rglob("*"))
        if path.suffix in (".js", ".css", ".svg", ".png", ".jpg")
    }
    files["/favicon.ico"] = PAGES / "favicon.svg"

    @app.get("/static/{name:path}")
    @app.get("/favicon.ico")
    def static(request: Request) -> Response:
        path = files.get(request.url.path)
        if path is None:
            raise NotFound()
        # no-cache: asks again each time, but is answered 304 while the file is the same.
        return FileResponse(path, headers={"Cache-Control": "no-cache"})

    app.state.not_found_page = (PAGES / "not_found.html").read_text(encoding="utf-8")


def _page(html):
    def page() -> HTMLResponse:
        return HTMLResponse(html, headers={"Cache-Control": "no-cache"})

    return page


# --------------------------------------------------------------------------- errors


def _study_error(request: Request, error: StudyError) -> Response:
    if error.status == 404 and _wants_page(request):
        return HTMLResponse(request.app.state.not_found_page, 404)
    headers = {}
    if "retry_after_ms" in error.facts:
        headers["Retry-After"] = str(-(-error.facts["retry_after_ms"] // 1000))
    return JSONResponse(error.body(), error.status, headers)


def _malformed(request: Request, error: RequestValidationError) -> Response:
    # Where and what kind, never the value: it may be a megabyte, or somebody's script.
    where = [".".join(map(str, part["loc"][1:])) + ": " + part["type"] for part in error.errors()]
    return JSONResponse(Malformed(fields=where[:10]).body(), Malformed.status)


def _http_error(request: Request, error: HTTPException) -> Response:
    if error.status_code == 404:
        return _study_error(request, NotFound())
    body = {"error": f"{error.detail}.", "remedy": "Reload the page, which may be an old one."}
    return JSONResponse(body, error.status_code, error.headers)


def _unexpected(request: Request, error: Exception) -> Response:
    """The text goes to the log alone; the person gets a number to tell us."""
    number = secrets.token_hex(4)
    logging.getLogger(__name__).error("error %s at %r", number, request.url.path, exc_info=error)
    body = {
        "error": f"Something went wrong on our side (number {number}).",
        "remedy": "Try again; what you painted is kept in your browser until it is stored.",
    }
    return JSONResponse(body, 500)


def _wants_page(request):
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get(
        "accept", ""
    )


# --------------------------------------------------------------------------- uvicorn


def check_address(settings: StudySettings) -> None:
    """ValueError if people's answers would cross the network unencrypted."""
    if "*" in settings.trusted_proxies:
        raise ValueError(
            f"--trusted_proxies={settings.trusted_proxies!r}: with * everybody may say what "
            "address they have, and no limit holds. Name the proxy's own address, as 127.0.0.1."
        )
    local = settings.host in LOOPBACK
    if settings.public_url and not settings.public_url.startswith("https://"):
        if not settings.allow_plain_http:
            raise ValueError(
                f"--public_url={settings.public_url!r} is not https://. Put a proxy with TLS in "
                "front (data_prep/humans/README.md shows one), or pass --allow_plain_http."
            )
    elif not local and not settings.public_url and not settings.allow_plain_http:
        raise ValueError(
            f"--host={settings.host} is reachable from outside without TLS. Keep 127.0.0.1 behind "
            "a proxy and give --public_url=https://..., or pass --allow_plain_http."
        )


def free_socket(settings: StudySettings) -> socket.socket:
    """A bound socket, so that the address is known before anybody is told of it.

    Raises:
      ValueError: the port is taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        raise ValueError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose another "
            "--port; 0 takes a free one."
        ) from error
    listener.listen(2048)  # from now on people wait, and are not refused
    return listener


def address_of(settings: StudySettings, listener: socket.socket) -> str:
    """The address to open."""
    host, port = listener.getsockname()[:2]
    return settings.public_url or f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/"  # noqa: S104


def opened(settings: StudySettings) -> socket.socket:
    """`free_socket`, and prints the address to open."""
    listener = free_socket(settings)
    if settings.public_url and not settings.trusted_proxies:
        print(
            "--trusted_proxies is empty: behind a proxy all people count as one address, "
            f"{settings.sessions_per_hour} new sessions an hour in all"
        )
    print(f"open {address_of(settings, listener)}", flush=True)
    return listener


def serve(app: Callable, settings: StudySettings, listener: socket.socket) -> None:
    """Serves until interrupted. Connections that are open get ten seconds to end."""
    uvicorn.Server(uvicorn_config(app, settings)).run(sockets=[listener])


@contextlib.contextmanager
def on_a_thread(app: Callable, settings: StudySettings) -> Iterator[tuple[str, int]]:
    """(host, port) of the application behind uvicorn, on a thread of this process."""
    listener = free_socket(settings)
    server = uvicorn.Server(uvicorn_config(app, settings))
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True
    )
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("The server did not start; its log says why.")
            time.sleep(0.01)
        yield listener.getsockname()[:2]
    finally:
        server.should_exit = True
        thread.join(20)
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def uvicorn_config(app: Callable, settings: StudySettings) -> uvicorn.Config:
    """One worker's server, wrapped in what `security.py` demands."""
    return uvicorn.Config(
        Security(app, settings.public_url),
        # uvicorn's own set-up of logging closes everybody's handlers, and with them absl's stream.
        log_config=None,
        log_level="warning",
        access_log=False,  # it would hold addresses of people
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies or None,
        timeout_graceful_shutdown=10,
        http=LimitedHttp,
        ws="none",  # a connection handed to another protocol would be outside all limits
    )
