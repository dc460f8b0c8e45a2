"""Requests: heads so long, heads and bodies in so much time, or the connection ends.

uvicorn bounds a head only where h11 parses it; httptools collects header lines without end, those
that may follow a body in chunks (its trailer) among them. Bodies are counted in security.py, as
they arrive.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Of all that is no body: head, marks of chunks, trailer. A real browser's come to 2 kB.
MOST_BYTES = 32 * 1024
# Somebody who trickles a byte at a time must not hold a connection for ever.
MOST_S = 20.0
MOST_BODY_S = 60.0  # 64 kB over a bad line


class LimitedHttp(HttpToolsProtocol):
    """uvicorn's parser of HTTP, with these limits."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begins to count and to time the first request."""
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the timer."""
        self._timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begins the next request."""
        self._timer.cancel()
        self._begin()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is over; the body has a time of its own."""
        self._timer.cancel()
        self._timer = self.loop.call_later(MOST_BODY_S, self.transport.close)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Counts what is body."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; how long the answer takes is our affair."""
        self._is_whole = True
        self._timer.cancel()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Ends the connection if a request has too much beside its body."""
        if self._is_whole:  # a line end alone begins no request, and yet stops uvicorn's own timer
            self._begin()
        self._body = 0
        super().data_received(data)
        if not self._is_whole:
            self._bytes += len(data) - self._body
            if self._bytes > MOST_BYTES:
                self.transport.close()

    def _begin(self):
        self._is_whole, self._bytes, self._body = False, 0, 0
        self._timer = self.loop.call_later(MOST_S, self.transport.close)
