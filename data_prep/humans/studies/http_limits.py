"""Heads of requests: so long, and in so much time, or the connection ends.

uvicorn bounds a head only where h11 parses it; httptools collects header lines without end. Bodies
are counted in security.py, as they arrive.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BYTES = 32 * 1024  # cookie and headers of a real browser come to 2 kB
MOST_S = 20.0  # somebody who trickles a byte at a time must not hold a connection for ever


class LimitedHttp(HttpToolsProtocol):
    """uvicorn's parser of HTTP, with both limits."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begins to count and to time the first head."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the timer."""
        self._timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begins the next head."""
        self._timer.cancel()
        self._begin_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is over, within both limits."""
        self._in_head = False
        self._timer.cancel()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Ends the connection if the head has grown too long."""
        super().data_received(data)
        if self._in_head:  # after the parser: the rest of the data may be a body
            self._bytes += len(data)
            if self._bytes > MOST_BYTES:
                self.transport.close()

    def _begin_head(self):
        self._in_head, self._bytes = True, 0
        self._timer = self.loop.call_later(MOST_S, self.transport.close)
