"""The operator's desk, in the process that has the writes: carries out orders.

What has not ended is read from the lanes, which know more of it than what keeps it (an attempt's pause, its
place); what ended is read from the store. The lanes are looked at first: a write that ends between the two
looks is in both, and its end is the later word.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from heapq import nsmallest
from typing import Final, assert_never

from proxy.clock import Clock
from proxy.errors import QueueUnavailable, RefusedError
from proxy.writes.documents import (
    ended_document,
    event_document,
    job_document,
    letter_document,
    problem_document,
)
from proxy.writes.events import Gap, LoggedEvent
from proxy.writes.job import Job
from proxy.writes.orders import (
    CancelWrite,
    DiscardLetter,
    Document,
    ListDeadLetters,
    ListPausedKeys,
    ListWrites,
    NoSuchWrite,
    NotNow,
    PauseKey,
    ReadEvents,
    ReplayWrite,
    ResumeKey,
    ShowWrite,
    SkipHead,
    WritesOrder,
)
from proxy.writes.port import EventLog
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.scheduler import Refusal
from proxy.writes.service import Writes
from proxy.writes.states import DEAD_LETTERS, FINAL

GATHER_S: Final = 0.1
"""How long events that follow the first one are waited for, and the first one at least: a log that is busy
is told in pages, not one by one."""

Followed = LoggedEvent | Gap

LETTERS_AT_ONCE: Final = 10
"""Dead letters that are read at a time: they come with their bodies."""

MAX_READERS: Final = 64
"""Orders for events that wait at one time."""

_REFUSED: Final = {
    Refusal.RUNNING: "it is at the origin now; ask again when this attempt is over",
    Refusal.SENT: "an attempt may have reached the origin; `skip` gives it up as a dead letter",
}


class Desk:
    """`proxy.writes.orders.WritesDesk` over the writes of this process.

    `new_id` makes the id of a write of this shard, `lives_s` tells how long after it was taken in one of this
    route may be sent, `recovering` whether writes that were left from before are still on their way to their
    lanes: until then they are in no list.
    """

    def __init__(
        self,
        writes: Writes,
        *,
        events: EventLog,
        new_id: Callable[[int], str],
        lives_s: Callable[[str], float],
        clock: Clock,
        recovering: Callable[[], bool] = lambda: False,
    ) -> None:
        self._writes = writes
        self._store = writes.store
        self._events = events
        self._new_id = new_id
        self._lives_s = lives_s
        self._clock = clock
        self._recovering = recovering
        self._replaying: set[str] = set()
        self._readers = 0

    def __repr__(self) -> str:
        return f"<Desk {self._writes!r} readers={self._readers}>"

    async def carry_out(self, order: WritesOrder) -> Document:
        """Do it; the answer. Raises: NoSuchWrite, NotNow, RefusedError, RouteNotFound."""
        match order:
            case ListWrites() | ShowWrite() | ListDeadLetters() | ListPausedKeys() | ReadEvents():
                return await self._told(order)
            case PauseKey() | ResumeKey() | SkipHead():
                return await self._of_key(order)
            case CancelWrite():
                return await self._cancel(order.id)
            case ReplayWrite():
                return await self._replay(order.id)
            case DiscardLetter():
                return await self._discard(order.id)
            case never:
                assert_never(never)

    async def _told(
        self, order: ListWrites | ShowWrite | ListDeadLetters | ListPausedKeys | ReadEvents
    ) -> Document:
        match order:
            case ListWrites():
                return await self._list(order)
            case ShowWrite():
                return await self._show(order.id)
            case ListDeadLetters():
                return await self._dead_letters(order)
            case ListPausedKeys():
                return await self._paused_keys(order)
            case ReadEvents():
                return await self._read(order)
            case never:
                assert_never(never)

    # telling

    async def _list(self, order: ListWrites) -> Document:
        wanted = frozenset(order.states)
        recovering = self._recovering()  # before the look: what comes meanwhile is no lie
        here = (
            job for job in self._writes.here(order.key) if job.write.id > order.after and job.state in wanted
        )
        jobs = nsmallest(order.limit, here, key=lambda job: job.write.id)
        found = {job.write.id: self._of_job(job) for job in jobs}
        if wanted & FINAL:
            ended = await self._store.listing(
                key=order.key, states=wanted & FINAL, after=order.after, limit=order.limit
            )
            found |= {status.id: ended_document(status) for status in ended}
        ids = sorted(found)[: order.limit]
        writes = [found[one] for one in ids]
        return {"writes": writes, "next": _next(ids, order.limit), "recovering": recovering}

    def _of_job(self, job: Job) -> Document:
        ahead = self._writes.ahead(job.write.id) or 0
        return job_document(job, ahead=ahead, now_mono=self._clock.mono())

    async def _show(self, write_id: str) -> Document:
        job = self._writes.find(write_id)
        if job is not None:
            return self._of_job(job)
        status = await self._store.status(write_id)
        letter = None
        if status is None or status.state in DEAD_LETTERS:
            letter = await self._store.dead_letter(write_id)
        if status is None and letter is None:
            raise NoSuchWrite(f"no write is called {write_id!r}, or it ended longer ago than is remembered")
        told: Document = {} if status is None else ended_document(status)
        return told if letter is None else {**letter_document(letter), **told, "dead_letter": True}

    async def _dead_letters(self, order: ListDeadLetters) -> Document:
        found: dict[str, Document] = {}
        after = order.after
        while len(found) < order.limit:
            size = min(LETTERS_AT_ONCE, order.limit - len(found))
            letters = await self._store.dead_letters(after=after, limit=size)
            found |= {letter.write.id: letter_document(letter) for letter in letters}
            if len(letters) < size:
                break
            after = letters[-1].write.id
        return {"dead_letters": list(found.values()), "next": _next(list(found), order.limit)}

    async def _paused_keys(self, order: ListPausedKeys) -> Document:
        kept = await self._store.paused()
        paused = sorted(key for key in {*kept, *self._writes.paused_keys} if key > order.after)
        keys = paused[: order.limit]
        told = [self._paused_key(key, kept.get(key)) for key in keys]
        return {"keys": told, "next": _next(keys, order.limit)}

    def _paused_key(self, key: str, problem: Problem | None) -> Document:
        """Without a problem it could not be written down that the key is paused: until a restart only."""
        return {
            "key": key,
            "queued": self._writes.depth(key),
            "problem": None if problem is None else problem_document(problem),
        }

    # keys

    async def _of_key(self, order: PauseKey | ResumeKey | SkipHead) -> Document:
        key = order.key
        match order:
            case PauseKey():
                reason = order.reason or "an operator paused it"
                await self._writes.pause(key, Problem(ProblemType.PAUSED, reason))
                return {"key": key, "paused": True, "queued": self._writes.depth(key)}
            case ResumeKey():
                was_paused = await self._writes.resume(key)
                depth = self._writes.depth(key)
                return {"key": key, "paused": False, "was_paused": was_paused, "queued": depth}
            case SkipHead():
                return self._skip(key)
            case never:
                assert_never(never)

    def _skip(self, key: str) -> Document:
        lane = self._writes.here(key)
        refusal = self._writes.skip(key)
        if refusal is Refusal.NOT_HERE:
            raise NoSuchWrite(f"no write of {key!r} is here")
        if refusal is not None:
            raise NotNow(f"the first write of {key!r} is {lane[0].write.id}: {_REFUSED[refusal]}")
        return {"key": key, "skipped": lane[0].write.id, "queued": len(lane) - 1}

    # writes and dead letters

    async def _cancel(self, write_id: str) -> Document:
        refusal = self._writes.cancel(write_id)
        if refusal is None:
            return {"id": write_id, "cancelled": True}
        if refusal is not Refusal.NOT_HERE:
            raise NotNow(f"write {write_id!r} cannot be cancelled: {_REFUSED[refusal]}")
        status = await self._store.status(write_id)
        if status is None:
            raise NoSuchWrite(f"no write is called {write_id!r}, or it ended longer ago than is remembered")
        if status.state in FINAL:
            raise NotNow(f"write {write_id!r} has ended: {status.state.value}")
        raise NotNow(f"write {write_id!r} is left from before and not at its lane yet; ask again in a moment")

    async def _replay(self, write_id: str) -> Document:
        """One at a time for each: two orders at once would be two writes."""
        if write_id in self._replaying:
            raise NotNow(f"dead letter {write_id!r} is being replayed")
        self._replaying.add(write_id)
        try:
            return await self._replayed(write_id)
        finally:
            self._replaying.discard(write_id)

    async def _replayed(self, write_id: str) -> Document:
        letter = await self._store.dead_letter(write_id)
        if letter is None:
            raise NoSuchWrite(f"no dead letter is called {write_id!r}; `dead` lists them")
        new_id = self._new_id(letter.write.shard)
        not_after = self._clock.now() + self._lives_s(letter.write.route)
        position = await self._writes.replay(write_id, new_id=new_id, not_after=not_after)
        if position is None:
            raise NoSuchWrite(f"dead letter {write_id!r} has just gone")
        return {"id": new_id, "replays": write_id, "keys": list(letter.write.keys)}

    async def _discard(self, write_id: str) -> Document:
        if write_id in self._replaying:
            raise NotNow(f"dead letter {write_id!r} is being replayed")
        if not await self._store.discard(write_id):
            raise NoSuchWrite(f"no dead letter is called {write_id!r}; `dead` lists them")
        return {"id": write_id, "discarded": True}

    # events

    async def _read(self, order: ReadEvents) -> Document:
        if self._readers >= MAX_READERS:
            raise RefusedError(f"{MAX_READERS} orders for events wait; try again")
        self._readers += 1
        try:
            return await self._events_after(order)
        finally:
            self._readers -= 1

    async def _events_after(self, order: ReadEvents) -> Document:
        ends = self._events.ends()
        # Each shard is named, so that the reader goes on from here also in those without an event.
        seen = dict(ends) if order.after is None else {shard: order.after.get(shard, 0) for shard in ends}
        found = await _gathered(self._events.follow(dict(seen)), limit=order.limit, wait_s=order.wait_s)
        for one in found:
            if isinstance(one, Gap):
                seen[one.shard] = one.oldest - 1
            else:
                seen[one.event.shard] = one.position
        after = {str(shard): seen[shard] for shard in sorted(seen)}
        return {"events": list(map(event_document, found)), "after": after}


async def _gathered(follower: AsyncIterator[Followed], *, limit: int, wait_s: float) -> list[Followed]:
    """What comes at first, and what comes with it. Raises: QueueUnavailable if nothing comes any more."""
    loop = asyncio.get_running_loop()
    until = loop.time() + max(wait_s, GATHER_S)
    found: list[Followed] = []
    try:
        while len(found) < limit:
            async with asyncio.timeout_at(until):
                found.append(await anext(follower))
            if len(found) == 1:
                until = loop.time() + GATHER_S
    except TimeoutError:
        pass
    except StopAsyncIteration:
        if not found:
            raise QueueUnavailable("the event log is closed; Lockgate ends") from None
    finally:
        if isinstance(follower, AsyncGenerator):
            await follower.aclose()
    return found


def _next(names: Sequence[str], limit: int) -> str | None:
    """Where the next page begins; None if this one was not full."""
    return names[-1] if len(names) == limit else None
