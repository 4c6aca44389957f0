"""A proxy in a hundred lines that applies writes of a key one at a time, and ways to break it.

The driver and the checker are held to it, so that neither is held to Lockgate alone.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import ClientSession, web

from loadtest.writes.http_client import Address


class Flaw(StrEnum):
    NONE = "none"
    NO_LANES = "no-lanes"
    LIFO = "lifo"
    FORGETS = "forgets"
    ACKNOWLEDGES_ONLY = "acknowledges-only"
    REPEATS = "repeats"
    REPEATS_LATE = "repeats-late"
    STALE_READS = "stale-reads"
    OTHERS_ANSWERS = "others-answers"
    CANCELS_THE_SENT = "cancels-the-sent"


@dataclass
class _Write:
    number: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    state: str = "queued"
    answer: tuple[int, bytes] = (0, b"")
    over: asyncio.Event = field(default_factory=asyncio.Event)


class LockKeeper:
    """`/lists/KEY` only, no pairs. 202 for `Prefer: respond-async`."""

    def __init__(self, origin: str, flaw: Flaw = Flaw.NONE) -> None:
        self._origin = origin
        self._flaw = flaw
        self._lanes: dict[str, deque[_Write]] = {}
        self._writes: dict[str, _Write] = {}
        self._stored: dict[str, bytes] = {}
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: tuple[int, bytes] | None = None

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith("/_writes/"):
            return await self._status(request)
        if request.method == "GET":
            return await self._read(request)
        write = _Write(
            next(self._numbers), request.method, request.path, _passed_on(request), await request.read()
        )
        self._enqueue(write)
        if "respond-async" in request.headers.get("Prefer", ""):
            if self._flaw is not Flaw.FORGETS or write.number % 10:
                self._writes[str(write.number)] = write
            return web.Response(status=202, headers={"Location": f"/_writes/{write.number}"})
        await write.over.wait()
        status, body = write.answer
        return web.Response(status=status, body=body)

    def _enqueue(self, write: _Write) -> None:
        lane = self._lanes.get(write.target)
        if self._flaw is Flaw.NO_LANES:
            self._spawn(deque([write]))
        elif lane:
            lane.append(write)
        else:
            lane = self._lanes[write.target] = deque([write])
            self._spawn(lane)

    def _spawn(self, lane: deque[_Write]) -> None:
        task = asyncio.get_running_loop().create_task(self._work(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, lane: deque[_Write]) -> None:
        while lane:
            if self._flaw is Flaw.LIFO:
                lane.rotate(1)
            write = lane[0]
            if write.state != "cancelled":
                await self._send(write)
            write.over.set()
            lane.popleft()

    async def _send(self, write: _Write) -> None:
        write.state = "started"
        if self._flaw is Flaw.ACKNOWLEDGES_ONLY and write.number % 10 == 0:
            write.state, write.answer = "committed", self._last or (200, b"{}")
            return
        times = 2 if self._flaw is Flaw.REPEATS and write.number % 10 == 0 else 1
        for _ in range(times):
            async with self._session.request(
                write.method, self._origin + write.target, headers=write.headers, data=write.body
            ) as answer:
                write.answer = (answer.status, await answer.read())
        write.state = "committed" if write.answer[0] == 200 else "rejected"
        if self._flaw is Flaw.OTHERS_ANSWERS and self._last is not None:
            write.answer, self._last = self._last, write.answer
        else:
            self._last = write.answer
        if self._flaw is not Flaw.STALE_READS:
            self._stored.pop(write.target, None)
        if self._flaw is Flaw.REPEATS_LATE and write.number % 50 == 0:
            self._lanes[write.target].append(_Write(0, write.method, write.target, write.headers, write.body))

    async def _read(self, request: web.BaseRequest) -> web.Response:
        body = self._stored.get(request.path)
        if body is None:
            async with self._session.get(self._origin + request.path) as answer:
                body = self._stored[request.path] = await answer.read()
            if self._flaw is not Flaw.STALE_READS:
                self._stored.pop(request.path)  # it may have raced a write
        return web.Response(body=body)

    async def _status(self, request: web.BaseRequest) -> web.Response:
        number, _, part = request.path.removeprefix("/_writes/").partition("/")
        write = self._writes.get(number)
        if write is None:
            return web.Response(status=404)
        if request.method == "DELETE":
            return self._cancel(write)
        await write.over.wait()
        if part:
            return web.Response(status=write.answer[0], body=write.answer[1])
        return web.json_response({"state": write.state})

    def _cancel(self, write: _Write) -> web.Response:
        if write.state == "queued":
            write.state = "cancelled"
            return web.Response(status=200)
        if self._flaw is Flaw.CANCELS_THE_SENT:
            self._writes[str(write.number)] = cancelled = _Write(0, "", "", {}, b"", "cancelled")
            cancelled.over.set()
        return web.Response(status=409)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Address]:
        runner = web.ServerRunner(web.Server(self.serve, access_log=None))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with ClientSession() as self._session:
            yield Address("127.0.0.1", runner.addresses[0][1])
            await runner.cleanup()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


def _passed_on(request: web.BaseRequest) -> dict[str, str]:
    names = ("X-Write", "Idempotency-Key", "Content-Type")
    return {name: request.headers[name] for name in names if name in request.headers}
