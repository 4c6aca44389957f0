"""One client: writes, one after the other, on a connection of its own, and reads what it wrote.

It notes that a write is begun right before its first octet, and what it was told right after the last: so
that what is before another in the history was before it in the world. A write with an Idempotency-Key is
sent again after a connection that broke, until somebody says what became of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from loadtest.writes.following import Followers, Promise
from loadtest.writes.history import ClientHistory, now_ns
from loadtest.writes.http_client import Address, Broken, HttpConnection
from loadtest.writes.mix import Chance, Mix, Plan
from loadtest.writes.noting import note
from loadtest.writes.reading import Told, Word, read_answer

MAX_TRIES = 200
_PREFER = {"sync": "", "async": "Prefer: respond-async\r\n", "wait": "Prefer: respond-async, wait=1\r\n"}


@dataclass(slots=True)
class Progress:
    """What all sessions of a driver did so far."""

    ended: int = 0
    in_flight: int = 0
    broken: int = 0
    """Connections that ended in the middle of a request."""
    _goal: int = 0
    _reached: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """One more write has ended for its session."""
        self.ended += 1
        if self.ended >= self._goal:
            self._reached.set()

    async def wait_ended(self, number: int) -> None:
        """Wait until so many more have ended. For one waiter at a time."""
        self._goal = self.ended + number
        self._reached.clear()
        await self._reached.wait()


_PATIENCE = 10
"""How much longer is waited after an answer that says so than after a connection that broke."""


class Session:
    """One client; `take` says whether there is another write to be made."""

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        mix: Mix,
        seed: int,
        history: ClientHistory,
        followers: Followers,
        progress: Progress,
        take: Callable[[], bool],
        timeout_s: float,
    ) -> None:
        self.name = name
        self._address = address
        self._mix = mix
        self._chance = Chance(mix, seed=seed, client=name)
        self._history = history
        self._followers = followers
        self._progress = progress
        self._take = take
        self._connection = HttpConnection(address, timeout_s=timeout_s)
        self._padding = "x" * mix.body_bytes
        self._number = 0

    async def run(self) -> None:
        """Write until there is nothing to be written."""
        try:
            while self._take():
                self._number += 1
                await self._write(f"{self.name}-{self._number}", self._chance.plan())
                self._progress.end()
        finally:
            self._connection.close()

    async def _write(self, write: str, plan: Plan) -> None:
        for number in range(1, MAX_TRIES + 1):
            told = await self._try(write, plan, number)
            again = told is None or told.word is Word.AGAIN
            if not (again and plan.keyed):
                break
            # 409 says that the first one still runs, and to come back in a second.
            await asyncio.sleep(self._chance.pause_s() * (1 if told is None else _PATIENCE))
        else:
            return
        if told is None:
            return
        if told.word is Word.ACCEPTED:
            await self._promised(write, plan, told)
        elif told.word is Word.OK and self._chance.of(self._mix.reads):
            await self.read(plan.keys[0])

    async def _try(self, write: str, plan: Plan, number: int) -> Told | None:
        """Send it once; None if the connection broke."""
        await self._connection.ready()
        idem = f'"{write}"' if plan.keyed else None
        lines = f"X-Write: {write}\r\nContent-Type: application/json\r\n{_PREFER[plan.mode]}"
        if idem is not None:
            lines += f"Idempotency-Key: {idem}\r\n"
        body = json.dumps({"write": write, "padding": self._padding}).encode()
        for key in plan.keys:
            self._history.invoke(
                write,
                key,
                by=self.name,
                via=self._address.name,
                method=plan.method,
                mode=plan.mode,
                number=number,
                idem=idem,
            )
        self._progress.in_flight += 1
        try:
            reply = await self._connection.ask(plan.method, plan.target, lines, body)
        except Broken as error:
            self._progress.broken += 1
            note(self._history, Told(Word.INFO, str(error)), write, plan.keys, by=self.name)
            return None
        finally:
            self._progress.in_flight -= 1
        told = read_answer(reply, write)
        note(self._history, told, write, plan.keys, by=self.name)
        return told

    async def _promised(self, write: str, plan: Plan, told: Told) -> None:
        promise = Promise(write, plan.keys, self.name, told.location)
        if self._chance.of(self._mix.cancels):
            await self._cancel(promise)
        await self._followers.follow(promise)

    async def _cancel(self, promise: Promise) -> None:
        """Whatever becomes of it, its state will tell."""
        try:
            await self._connection.ready()
            await self._connection.ask("DELETE", promise.location)
        except Broken:
            self._progress.broken += 1

    async def read(self, key: str, *, settled: bool = False) -> None:
        """Read a key and note what came; nothing is noted of a read that failed."""
        try:
            await self._connection.ready()
            began = now_ns()
            reply = await self._connection.ask("GET", f"/lists/{key}")
        except Broken:
            self._progress.broken += 1
            return
        if reply.status == 200:
            told = json.loads(reply.body)
            self._history.read(
                key,
                began=began,
                by=self.name,
                via=self._address.name,
                version=told["version"],
                last=told["last"],
                settled=settled,
            )
