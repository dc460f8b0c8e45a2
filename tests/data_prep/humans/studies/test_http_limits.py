"""Requests that never end, at a real server: each is cut off, and what is in time goes through."""

import socket
import time

import pytest

from data_prep.humans.studies import http_limits, serving
from data_prep.humans.studies.settings import StudySettings

HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture
def place(monkeypatch):
    monkeypatch.setattr(http_limits, "MOST_S", 0.3)
    monkeypatch.setattr(http_limits, "MOST_BODY_S", 1.0)
    app = serving.new_app("limits")

    @app.post("/echo")
    async def echo() -> str:
        return "whole"

    with serving.on_a_thread(app, StudySettings(port=0)) as place:
        yield place


def trickle(place, begin, more):
    """Seconds until the server closes, a piece each 50 ms."""
    began = time.monotonic()
    with socket.create_connection(place, timeout=0.05) as connection:
        connection.sendall(begin)
        while time.monotonic() - began < 20:
            try:
                connection.sendall(more)
                if connection.recv(4096) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("begin", "more", "least_s"),
    [
        (HEAD + b"X: ", b"y", 0.3),
        (HEAD + b"Content-Length: 9000\r\n\r\n", b" ", 1.0),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 1.0),
        (HEAD + b"Content-Length: 0\r\n\r\n", b"\r\n", 0.3),  # after a whole request
    ],
    ids=["head", "body", "chunks", "line ends"],
)
def test_who_trickles_is_cut_off(place, begin, more, least_s):
    assert least_s - 0.05 <= trickle(place, begin, more) < 15


def test_a_trailer_without_end_is_cut_off(place):
    """httptools collects the lines after a body in chunks: 54 MB sent stayed in memory."""
    line, sent = b"X: " + b"y" * 900 + b"\r\n", 0
    with socket.create_connection(place, timeout=20) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        with pytest.raises(OSError):
            for _ in range(20_000):
                connection.sendall(line)
                sent += len(line)
    assert sent < 15_000_000  # what the kernel's buffers took before


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 60000\r\n\r\n" + b" " * 60_000,
        b"Transfer-Encoding: chunked\r\n\r\n"
        + 15 * (b"fa0\r\n" + b" " * 4000 + b"\r\n")
        + b"0\r\n\r\n",
    ],
    ids=["whole", "chunks"],
)
def test_the_largest_body_goes_through(place, body):
    with socket.create_connection(place, timeout=20) as connection:
        connection.sendall(HEAD + body)
        assert b" 200 OK" in connection.recv(4096)
