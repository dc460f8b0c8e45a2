"""What every answer carries, and which requests are let in. One policy, in one place.

Cross-site writes. Cookies are SameSite=Lax, and a write must come from our own pages:
  1. Browsers of the last years say so themselves: Sec-Fetch-Site must be same-origin. `none` is a
     person typing an address, which never writes.
  2. Older ones send Origin with every write: it must name our own host.
  3. With neither header there is no browser, so no cookie of a victim: let in. (Filippo Valsorda's
     algorithm for Go 1.25; Datasette follows it, too.)
Bodies are counted as they arrive: a Content-Length can lie, or be missing.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from data_prep.humans.studies.errors import Forbidden, HeadTooLarge, StudyError, TooLarge

MOST_BYTES = 64 * 1024
MOST_HEAD_BYTES = 32 * 1024  # one that came in a single piece; http_limits.py ends longer ones
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

# Each exception from 'self' has its reason.
POLICY = {
    "default-src": ("'self'",),
    "img-src": ("'self'", "blob:"),  # pictures of rounds are fetched with the cookie, then decoded
    "object-src": ("'none'",),
    "base-uri": ("'none'",),
    "form-action": ("'self'",),
    "frame-ancestors": ("'none'",),  # nobody may lay our buttons under theirs
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {' '.join(POLICY[name])}" for name in POLICY),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # addresses may carry a person's outside id
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
TRANSPORT = {"Strict-Transport-Security": "max-age=31536000"}


class Security:
    """Wraps an application: limits what comes in, adds the headers to what goes out."""

    def __init__(self, app: Callable[..., Awaitable[None]], public_url: str = ""):
        self._app, self._origin = app, urlsplit(public_url)
        headers = HEADERS | (TRANSPORT if self._origin.scheme == "https" else {})
        self._headers = [(name.lower().encode(), text.encode()) for name, text in headers.items()]

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers]}
            await send(message)

        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEAD_BYTES:
                raise HeadTooLarge()
            if scope["method"] not in SAFE_METHODS and not self._is_same_origin(headers):
                raise Forbidden()
            body = await _whole_body(receive) if scope["method"] not in SAFE_METHODS else None
        except StudyError as error:
            await _answer(error, send_with_headers)
            return
        await self._app(
            scope, receive if body is None else _replay(body, receive), send_with_headers
        )

    def _is_same_origin(self, headers):
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = headers.get("origin")
        if origin is None:
            return True  # no browser
        theirs = origin.partition("://")[2]  # "null", as of sandboxed frames, has none
        return bool(theirs) and theirs in (headers.get("host"), self._origin.netloc)


async def _whole_body(receive):
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MOST_BYTES:
            raise TooLarge()
        if not message.get("more_body"):
            return b"".join(chunks)


def _replay(body, receive):
    sent = False

    async def again():
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer(error: StudyError, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    body = json.dumps(error.body()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
