"""Simulated people's browsers: the real messages over HTTP, with a session's cookie."""

import http.client
import json
from typing import Any

from data_prep.humans.studies import sessions


class Refused(Exception):
    """The server answered with an error: `status` and what it said."""

    def __init__(self, address: str, status: int, said: Any):
        super().__init__(f"{address}: {status}: {said}")
        self.status, self.said = status, said


class Browser:
    """One person's connection and cookie."""

    def __init__(self, host: str, port: int, timeout_s: float = 60.0):
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        self._origin, self._cookie = f"http://{host}:{port}", ""

    def post(self, address: str, body: dict) -> dict:
        """The answer's JSON; Refused for any status from 400 on."""
        return self._send("POST", address, json.dumps(body))

    def get(self, address: str) -> bytes | dict:
        """The answer: JSON, or bytes of anything else."""
        return self._send("GET", address, None)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _send(self, method, address, body):
        headers = {"Origin": self._origin, "Content-Type": "application/json"}
        if self._cookie:
            headers["Cookie"] = self._cookie
        try:
            self._connection.request(method, address, body, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError):
            self._connection.close()  # the server ended an idle connection: once more on a new one
            self._connection.request(method, address, body, headers)
            answer = self._connection.getresponse()
        data = answer.read()
        for name, value in answer.getheaders():
            cookie = value.partition(";")[0]
            if name.lower() == "set-cookie" and f"{sessions.COOKIE}=" in cookie:
                self._cookie = cookie  # with its name, which TLS lengthens
        is_json = (answer.getheader("content-type") or "").startswith("application/json")
        found = json.loads(data) if is_json and data else data
        if answer.status >= 400:
            raise Refused(address, answer.status, found)
        return found
