"""Asks the admin listener of a running Lockgate, for the command line."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlencode

TIMEOUT_S = 60.0
"""For an answer: a purge is told when all that it covers was found."""

_AGAIN = (429, 503)

MAX_ANSWER_BYTES = 4 * 1024 * 1024


class AskFailed(Exception):
    """No answer that can be used; the text says why, and what to do about it.

    `again` tells that the same question may be answered in a moment.
    """

    def __init__(self, told: str, *, again: bool = False) -> None:
        super().__init__(told)
        self.again = again


class _FileConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class AdminClient:
    """Asks at `HOST:PORT`, `[IPV6]:PORT` or `unix:/path`, with the token if there is one."""

    def __init__(self, address: str, *, token: str | None) -> None:
        self._address = address
        self._token = token

    def purge(self, order: dict[str, object]) -> dict[str, Any]:
        """Purge; the answer. Raises: AskFailed."""
        return self._ask("POST", "/purge", json.dumps(order).encode())

    def explain(self, query: list[tuple[str, str]]) -> dict[str, Any]:
        """What a request would get. Raises: AskFailed."""
        return self._ask("GET", f"/explain?{urlencode(query)}", None)

    def ask_writes(self, path: str, query: list[tuple[str, str]]) -> dict[str, Any]:
        """What is told of queued writes at this path. Raises: AskFailed."""
        return self._ask("GET", f"{path}?{urlencode(query, errors='surrogateescape')}", None)

    def order_writes(self, path: str, order: dict[str, str]) -> dict[str, Any]:
        """Carry out an order about queued writes. Raises: AskFailed."""
        return self._ask("POST", path, json.dumps(order).encode())

    def _ask(self, method: str, target: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connection()
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            text = response.read(MAX_ANSWER_BYTES)
        except TimeoutError:
            raise AskFailed(f"no answer from {self._address} within {TIMEOUT_S:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise AskFailed(
                f"no admin listener answers at {self._address} ({str(error) or type(error).__name__}). "
                "Is Lockgate running? --admin names another address, `admin.address` is the setting",
                again=True,
            ) from None
        finally:
            connection.close()
        return self._read(response.status, text)

    def _connection(self) -> http.client.HTTPConnection:
        if self._address.startswith("unix:"):
            return _FileConnection(self._address.removeprefix("unix:"))
        host, _, port = self._address.rpartition(":")
        return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=TIMEOUT_S)

    def _read(self, status: int, text: bytes) -> dict[str, Any]:
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise AskFailed(
                f"what answers at {self._address} ({status}) is no admin listener of Lockgate, "
                "or one of another version"
            )
        if status != 200:
            told = f"refused ({status}): {document.get('detail', 'no reason was given')}"
            raise AskFailed(told, again=status in _AGAIN)
        return document
