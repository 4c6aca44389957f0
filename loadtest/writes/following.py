"""Who follows promised writes to their end, by long polls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from loadtest.writes.history import ClientHistory
from loadtest.writes.http_client import Address, Broken, HttpConnection
from loadtest.writes.noting import note
from loadtest.writes.reading import Told, Word, read_answer, read_state

_WAIT_S = 20
_PAUSE_S = 0.05
_MAX_PROMISES = 50_000
_ASKS_FOR_ANSWER = 10
"""Of so many committed writes one is asked for the origin's answer as well."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A write that was answered 202, and where its state is."""

    write: str
    keys: tuple[str, ...]
    by: str
    location: str


class Followers:
    """Some connections that ask for the states of promised writes, oldest first."""

    def __init__(self, address: Address, *, history: ClientHistory, number: int, timeout_s: float) -> None:
        self._address = address
        self._history = history
        self._number = number
        self._timeout_s = timeout_s
        self._promises: asyncio.Queue[Promise] = asyncio.Queue(_MAX_PROMISES)
        self._tasks: list[asyncio.Task[None]] = []
        self._committed = 0
        self.followed = 0
        """Promises that were followed to their end."""

    def start(self) -> None:
        """Begin to ask."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run()) for _ in range(self._number)]

    async def follow(self, promise: Promise) -> None:
        """Follow one more; waits while there are too many."""
        await self._promises.put(promise)

    async def drain(self, within_s: float) -> bool:
        """Wait until all are at their ends; False if they are not by then."""
        try:
            async with asyncio.timeout(within_s):
                await self._promises.join()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        connection = HttpConnection(self._address, timeout_s=self._timeout_s)
        try:
            while True:
                promise = await self._promises.get()
                told = await self._end_of(promise, connection)
                await self._note(promise, told, connection)
                self.followed += 1
                self._promises.task_done()
        finally:
            connection.close()

    async def _end_of(self, promise: Promise, connection: HttpConnection) -> Told:
        while True:
            try:
                await connection.ready()
                reply = await connection.ask("GET", f"{promise.location}?wait={_WAIT_S}")
            except Broken:
                await asyncio.sleep(_PAUSE_S)
                continue
            told = read_state(reply)
            if told.word is not Word.PENDING:
                return told
            if reply.status != 200:
                await asyncio.sleep(_PAUSE_S)

    async def _note(self, promise: Promise, told: Told, connection: HttpConnection) -> None:
        if told.word is Word.OK:
            self._committed += 1
            if self._committed % _ASKS_FOR_ANSWER == 0:
                told = replace(told, versions=await self._versions(promise, connection))
        note(self._history, told, promise.write, promise.keys, by=promise.by)

    async def _versions(self, promise: Promise, connection: HttpConnection) -> dict[str, int] | None:
        """The versions of the origin's answer as it is given again; None if it is not there now."""
        try:
            await connection.ready()
            reply = await connection.ask("GET", f"{promise.location}/response")
        except Broken:
            return None
        return read_answer(reply, promise.write).versions if reply.status == 200 else None
