"""An attacker, an innocent client and an origin with Lockgate between them; and what must hold afterwards."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from proxy import tasks
from proxy.config.settings import Config
from proxy.server.server import Server
from tests.hostile.readings import Incomplete, Message, strict_response
from tests.hostile.recording import RecordingOrigin

DEADLINE_S = 5.0
HOST = b"shop.example"


class Client:
    """A raw socket to the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.received = b""
        self.transcript: list[tuple[str, bytes]] = []

    async def send(self, *segments: bytes) -> None:
        """Send the segments one by one; an end of the connection is no error here."""
        for segment in segments:
            self.transcript.append(("<<", segment))
            try:
                self.writer.write(segment)
                await self.writer.drain()
            except ConnectionError:
                return
            await asyncio.sleep(0)

    async def _more(self) -> bytes:
        try:
            async with asyncio.timeout(DEADLINE_S):
                octets = await self.reader.read(65536)
        except ConnectionError:
            octets = b""
        except TimeoutError:
            raise AssertionError(f"nothing came; transcript {self.transcript}") from None
        self.transcript.append((">>", octets))
        return octets

    async def response(self, method: bytes = b"GET") -> Message:
        """The next final response. Raises: NotHttp; AssertionError if the connection ends before."""
        closed = False
        while True:
            try:
                response, end = strict_response(self.received, method=method, closed=closed)
            except Incomplete:
                assert not closed, f"cut; transcript {self.transcript}"
                octets = await self._more()
                self.received += octets
                closed = not octets
            else:
                self.received = self.received[end:]
                return response

    async def rest(self) -> bytes:
        """Everything until the proxy closes."""
        while octets := await self._more():
            self.received += octets
        rest, self.received = self.received, b""
        return rest

    async def close(self) -> None:
        """Close; nothing that comes is read."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


def get(target: bytes, *lines: bytes, host: bytes = HOST, method: bytes = b"GET") -> bytes:
    """A well-formed request without a body."""
    fields = b"".join(b"%b\r\n" % line for line in lines)
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (method, target, host, fields)


class Arena:
    """One proxy before one origin. An async context manager that checks everybody's peace in the end."""

    def __init__(self, directory: Path, caplog: Any, *, innocents_stay: bool = True, **settings: Any) -> None:
        self.origin = RecordingOrigin()
        self.clients: list[Client] = []
        self._log = directory / "access.log"
        self._caplog = caplog
        self._settings = settings
        self._innocents_stay = innocents_stay
        self._complaints: list[dict[str, Any]] = []
        self._tasks_before: set[asyncio.Task[Any]] = set()
        self._expected: list[tuple[int, str]] = []
        self._innocent: Client | None = None
        self._baseline: Message | None = None
        self.server: Server = None  # type: ignore[assignment]  # set in __aenter__

    async def __aenter__(self) -> Self:
        self._caplog.set_level(logging.DEBUG)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._complaints.append(context))
        await self.origin.__aenter__()
        self.server = Server(Config.model_validate(self._config()))
        await self.server.start()
        self._innocent = await self._connect()
        self._baseline = await self._ask_innocently(self._innocent, b"/innocent")
        self._tasks_before = asyncio.all_tasks()
        return self

    def _config(self) -> dict[str, Any]:
        origin = {"addresses": [f"http://127.0.0.1:{self.origin.port}"], **self._settings.get("origin", {})}
        return {
            "listen": [{"address": "127.0.0.1:0", **self._settings.get("listen", {})}],
            "admin": {"enabled": False},
            "access_log": {"path": str(self._log)},
            "origins": {"shop": origin},
            "routes": [
                {"origin": "shop", **self._settings.get("route", {})},
                *self._settings.get("routes", []),
            ],
            "limits": self._settings.get("limits", {}),
            "cache": self._settings.get("cache", {}),
        }

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if error is None:
                await self._check()
        finally:
            for client in (self._innocent, *self.clients):
                if client is not None:
                    await client.close()
            await self.server.close()
            await self.origin.__aexit__()
        if error is None:
            self._check_logs()

    # clients

    async def _connect(self) -> Client:
        host, _, port = self.server.addresses[0].rpartition(":")
        return Client(*await asyncio.open_connection(host, int(port)))

    async def client(self) -> Client:
        """A new connection of an attacker."""
        client = await self._connect()
        self.clients.append(client)
        return client

    async def attack(self, *segments: bytes) -> bytes:
        """What comes back for these octets until the proxy closes."""
        client = await self.client()
        try:
            await client.send(*segments)
            return await client.rest()
        finally:
            await client.close()

    async def _ask_innocently(self, client: Client, target: bytes, *lines: bytes) -> Message:
        await client.send(get(target, *lines))
        return await client.response()

    async def innocently(self, target: bytes, *lines: bytes, host: bytes = HOST) -> Message:
        """What somebody else gets for this target, over a new connection."""
        client = await self._connect()
        try:
            await client.send(get(target, *lines, host=host))
            return await client.response()
        finally:
            await client.close()

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the loop turn until the condition holds."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition():  # noqa: ASYNC110 - conditions without an event
                    await asyncio.sleep(0.001)
        except TimeoutError:
            raise AssertionError(f"never: {self.server.statistics()}") from None

    # what must hold

    def expect_logged(self, status: int, reason: str = "") -> None:
        """In the end the access log shall have a line with this status, and this in its reason."""
        self._expected.append((status, reason))

    async def _check(self) -> None:
        await self._check_innocents()
        for client in self.clients:
            await client.close()
            for direction, octets in client.transcript:
                assert direction == "<<" or b"Traceback" not in octets, octets
                assert direction == "<<" or b'File "' not in octets, octets
        await self._check_nothing_is_left()
        for side in self.origin.sides:
            side.check()

    async def _check_innocents(self) -> None:
        assert self._innocent is not None
        assert self._baseline is not None
        kept = [self._innocent] if self._innocents_stay else []
        for client in (*kept, await self._connect()):
            again = await self._ask_innocently(client, b"/innocent")
            assert (again.start, again.body) == (self._baseline.start, self._baseline.body)
            await client.close()

    async def _check_nothing_is_left(self) -> None:
        server = self.server
        await self.until(lambda: not sum(server.statistics().connections.values()))
        await self.until(lambda: not server.statistics().origins["shop"].outstanding)
        await self.until(lambda: not tasks._running)
        ours = self._tasks_before | {asyncio.current_task()}
        await self.until(lambda: asyncio.all_tasks() <= ours)

    def _check_logs(self) -> None:
        assert self._complaints == []
        for record in self._caplog.records:
            assert record.exc_info is None, record.getMessage()
            assert "Traceback" not in record.getMessage()
        text = self._log.read_text()
        assert "Traceback" not in text
        lines = [json.loads(line) for line in text.splitlines()]
        ledger = self.server.statistics().proxy.exchanges
        assert ledger.requests == sum(ledger.outcomes.values()) == len(lines)
        for status, reason in self._expected:
            assert any(
                line["status"] == status and line.get("reason") and reason in line["reason"] for line in lines
            ), (status, reason, lines)
