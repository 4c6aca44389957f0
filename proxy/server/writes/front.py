"""Takes a client's write in, and answers it.

    the whole request ──► entities, Idempotency-Key, Prefer ──► claim ──► a place in the queue ──► the end
                                                                                 └──► 202, or after `wait`

Most writes have nothing to wait for before they have their place, and nothing afterwards but their end: they
need no task (`park`). All others are answered in one (`answer`).

A write's position is taken when the complete request has been read: a slow upload holds no entity. The steps
from there to the queue wait for nothing, unless the client sent an Idempotency-Key: then the key is looked up
and claimed first, and the position is taken once it is ours.

A client that leaves changes nothing about its write, unless the route says so: the browser's `sendBeacon`
leaves at once. What was accepted with 202 nobody but a DELETE of its status resource takes back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from proxy.clock import Clock
from proxy.coalesce.answer import Outcome
from proxy.config.settings import Config
from proxy.config.write_settings import OnRunning, WriteMode
from proxy.errors import (
    BodyTooLarge,
    EntityMissing,
    IdempotencyKeyMalformed,
    IdempotencyKeyMissing,
    ProxyError,
    QueueFull,
    QueueUnavailable,
)
from proxy.http.fields import Pair
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest
from proxy.server.exchange import Exchange
from proxy.server.prepared import Prepared
from proxy.server.request_body import ClientBody
from proxy.server.writes.answers import WriteAnswers, retry_after
from proxy.server.writes.home import WritesHome
from proxy.server.writes.made_write import Promise, WriteMaker
from proxy.server.writes.parked_write import ParkedWrite
from proxy.server.writes.routes import WriteRoute, route_taking
from proxy.server.writes.showing import status_document
from proxy.server.writes.telling import Telling
from proxy.writes.limit import TaskLimit
from proxy.writes.port import Claim, ClaimKind
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.waiting import Ending
from proxy.writes.write import Idempotency, Mode, Write

REFUSALS: Final = (
    QueueFull,
    QueueUnavailable,
    EntityMissing,
    IdempotencyKeyMissing,
    IdempotencyKeyMalformed,
    BodyTooLarge,
)
"""Errors of a write that was not taken in; they are answered with problem documents."""

_CLAIMS: Final = 3
_ASYNC_APPLIED: Final[Pair] = (b"Preference-Applied", b"respond-async")


class WriteFront:
    """Takes writes in under one configuration."""

    def __init__(
        self,
        config: Config,
        *,
        routes: Mapping[str, WriteRoute],
        home: WritesHome,
        clock: Clock,
    ) -> None:
        self._settings = config.writes
        self._routes = routes
        self._home = home
        self._maker = WriteMaker(config.writes, home=home, clock=clock)
        self.answers = WriteAnswers(config.cache)
        self._telling = Telling(config, answers=self.answers, writes=home.writes, clock=clock)

    def __repr__(self) -> str:
        return f"<WriteFront {sorted(self._routes)}>"

    def takes(self, prepared: Prepared) -> WriteRoute | None:
        """The route, if this request is a write that it queues.

        Raises: EntityMissing where the route refuses writes whose path no entity has.
        """
        return route_taking(prepared, self._routes)

    # without a task

    def here(self) -> WriteFront | None:
        """Itself, while writes are taken in."""
        return self if self._home.is_here else None

    def parks(self, request: RequestHead, route: WriteRoute) -> bool:
        """Whether nothing but its end is to be waited for with this write; see `park`."""
        mode = route.settings.mode
        is_sync = mode is WriteMode.SYNC or (mode is WriteMode.PREFER and b"prefer" not in request.fields)
        return is_sync and b"idempotency-key" not in request.fields and self._home.writes.accepts_at_once

    def park(
        self,
        exchange: Exchange,
        prepared: Prepared,
        route: WriteRoute,
        octets: bytes,
        forward: ForwardRequest,
        *,
        on_end: Callable[[], None],
    ) -> ParkedWrite | None:
        """Take in one that is here, in this step; None if it was refused, which is answered.

        Raises: ClientGone.
        """
        try:
            write, _ = self._maker.make(prepared, route, octets, forward)
            exchange.outcome = Outcome.WRITTEN
            self._home.writes.accept_at_once(write)
        except REFUSALS as error:
            self.refuse(exchange, error)
            return None
        return ParkedWrite(exchange, route, write, home=self._home, telling=self._telling, on_end=on_end)

    # in a task

    async def answer(
        self,
        exchange: Exchange,
        prepared: Prepared,
        route: WriteRoute,
        *,
        body: ClientBody | None,
        forward: ForwardRequest,
    ) -> None:
        """Take it in and answer. `forward` is what the origin is to get, but for the body.

        Raises: ClientGone, ClientError (the body's framing, or its slowness), WritesMoved (before it was
        taken in), OriginError in the middle of an answer.
        """
        try:
            await self._home.ready()
            octets = b"" if body is None else await self._home.uploads.whole(body)
            with self._home.inside(octets):
                write, promise = self._maker.make(prepared, route, octets, forward)
                await self._take_in(exchange, route, write, promise)
        except REFUSALS as error:
            if exchange.writer.head_sent:
                raise
            if body is not None and not body.arrived:
                exchange.writer.keep_alive = False
            self.refuse(exchange, error)

    def refuse(self, exchange: Exchange, error: ProxyError) -> None:
        """Answer that it was not taken in, for one of REFUSALS. Raises: ClientGone."""
        exchange.outcome = Outcome.REFUSED
        self.answers.refused(exchange, error)

    # from a write to its answer

    async def _take_in(self, exchange: Exchange, route: WriteRoute, write: Write, promise: Promise) -> None:
        if write.idempotency is None:
            await self._queued(exchange, route, write, promise)
            return
        expires_at = write.accepted_at + route.settings.idempotency.retention_s
        claim = await self._claim(write.idempotency, write.id, expires_at=expires_at)
        if claim.kind is not ClaimKind.OURS:
            await self._claimed(exchange, route, write, promise, claim)
            return
        try:
            await self._queued(exchange, route, write, promise)
        except (QueueFull, QueueUnavailable):
            with contextlib.suppress(QueueUnavailable):
                await self._home.store.unclaim(write.id)
            raise

    async def _claim(self, idempotency: Idempotency, write_id: str, *, expires_at: float) -> Claim:
        """Ask again where the first one has just been refused: its key is free in a moment."""
        store = self._home.store
        for _ in range(_CLAIMS):
            claim = await store.claim(idempotency, write_id, expires_at=expires_at)
            if claim.kind is not ClaimKind.RUNNING or await store.status(claim.write_id) is not None:
                return claim
        raise QueueUnavailable("Others with this Idempotency-Key come and are refused; try again.")

    async def _queued(self, exchange: Exchange, route: WriteRoute, write: Write, promise: Promise) -> None:
        writes = self._home.writes
        exchange.outcome = Outcome.WRITTEN
        if promise.wait_s == 0.0:
            await writes.accept(write)
            await self._accepted(exchange, write.id, promise)
            return
        with writes.wait(write.id, reads=True) as future:
            await writes.accept(write)
            ending = await self._ending(route, write, promise, future)
        goes_on = promise.mode is Mode.ASYNC if ending is None else ending.goes_on
        if goes_on:
            await self._accepted(exchange, write.id, promise)
        elif not self._telling.at_once(exchange, route, write, ending):
            assert ending is not None, "it has a body"
            await self._telling.body_goes_on(exchange, route, ending)

    async def _ending(
        self, route: WriteRoute, write: Write, promise: Promise, future: asyncio.Future[Ending]
    ) -> Ending | None:
        """None if it did not end while its client waited."""
        wait_s = promise.wait_s
        if wait_s is None:
            wait_s = self._telling.patience_s(route, write)
        if write.mode is Mode.SYNC:
            return await self._sync_ending(route, write, future, wait_s)
        try:
            async with asyncio.timeout(wait_s):
                await self._home.wait_until_end(future)  # what was promised goes on without this process
                return future.result() if future.done() else None
        except TimeoutError:
            return future.result() if future.done() else None
        except asyncio.CancelledError:
            if future.done():  # both in one step: nobody is there to read on
                _close(future.result())
            raise

    async def _sync_ending(
        self, route: WriteRoute, write: Write, future: asyncio.Future[Ending], wait_s: float
    ) -> Ending | None:
        limit = TaskLimit()
        limit.begin(wait_s)
        try:
            return await future  # it is ours alone: who is cancelled meanwhile is told nothing
        except asyncio.CancelledError:
            told = future.done() and not future.cancelled()  # both in one step
            if limit.raises_now():
                return future.result() if told else None
            if told:  # nobody is there to read on
                _close(future.result())
            else:
                self._telling.left(route, write)
            raise
        finally:
            limit.stop()

    # 202

    async def _accepted(self, exchange: Exchange, write_id: str, promise: Promise) -> None:
        extra = (_ASYNC_APPLIED,) if promise.preferred else ()
        await self._running(exchange, 202, write_id, extra)

    async def _running(self, exchange: Exchange, status: int, write_id: str, extra: tuple[Pair, ...]) -> None:
        fields = (*self._place(write_id), *extra)
        self.answers.document(exchange, status, await self._document(write_id), *fields)

    async def _document(self, write_id: str) -> dict[str, object]:
        """What is known of one that was taken in, whatever has become of the journal since."""
        found = None
        with contextlib.suppress(QueueUnavailable):
            found = await self._home.store.status(write_id)
        return {"id": write_id} if found is None else status_document(found, self._home.writes)

    def _place(self, write_id: str) -> tuple[Pair, ...]:
        """Where the write is looked at, and when that is worth it."""
        location = f"{self._settings.path}/{write_id}".encode()
        return (b"Location", location), retry_after(min(self._home.writes.expected_s(write_id), 60.0))

    # Idempotency-Key

    async def _claimed(
        self, exchange: Exchange, route: WriteRoute, write: Write, promise: Promise, claim: Claim
    ) -> None:
        """The key is another write's."""
        first_id, until = claim.write_id, claim.expires_at
        exchange.outcome = Outcome.REFUSED if claim.kind is ClaimKind.MISMATCH else Outcome.WRITTEN
        match claim.kind:
            case ClaimKind.MISMATCH:
                told = (
                    "this Idempotency-Key came with another request before; send a new key, or that request"
                )
                problem = Problem(ProblemType.IDEMPOTENCY_MISMATCH, told)
                # Not which write has it: an id is all that it may take to see that one, and keys are guessed.
                self.answers.problem(exchange, problem, expires_at=until)
            case ClaimKind.FINISHED:
                await self._again(exchange, route, write, first_id)
            case _ if route.settings.idempotency.concurrent is OnRunning.ATTACH:
                # It is another's, and promised: who leaves takes nothing back.
                first = replace(write, id=first_id, mode=Mode.ASYNC)
                await self._attach(exchange, route, first, promise)
            case _:
                told = "the first request with this Idempotency-Key has not ended yet"
                problem = Problem(ProblemType.IDEMPOTENCY_IN_PROGRESS, told)
                self.answers.problem(
                    exchange, problem, write_id=first_id, expires_at=until, extra=self._place(first_id)
                )

    async def _again(self, exchange: Exchange, route: WriteRoute, write: Write, first_id: str) -> None:
        """Give the answer of the first request again."""
        result = await self._home.store.result(first_id)
        if result is None:
            told = "the first request with this Idempotency-Key has ended; its answer is not kept any more"
            self.answers.problem(exchange, Problem(ProblemType.GONE, told), write_id=first_id)
            return
        if not self._telling.again(exchange, route, write, result, first_id=first_id):
            self._telling.without_body(exchange, route, result, await self._document(first_id))

    async def _attach(self, exchange: Exchange, route: WriteRoute, write: Write, promise: Promise) -> None:
        """Wait with the first request for its end; `write` has its id."""
        if promise.wait_s == 0.0:
            await self._accepted(exchange, write.id, promise)
            return
        with self._home.writes.wait(write.id) as future:
            if await self._home.store.result(write.id) is None:
                await self._ending(route, write, promise, future)
        if await self._home.store.result(write.id) is not None:
            await self._again(exchange, route, write, write.id)
        elif await self._home.store.status(write.id) is None:
            raise QueueUnavailable("The first request with this Idempotency-Key was not kept; try again.")
        else:
            await self._accepted(exchange, write.id, promise)


def _close(ending: Ending) -> None:
    if ending.rest is not None:
        ending.rest.close()
