"""Runs one schedule: clients, purges and the origin around the real coalescer and cache, in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from proxy.cache.cache import ResponseCache
from proxy.cache.entry import Entry
from proxy.coalesce import body as body_module
from proxy.coalesce.answer import Answer, Outcome, PassThrough
from proxy.coalesce.ask import Ask
from proxy.coalesce.coalescer import Coalescer, Joined
from proxy.coalesce.flight import Flight
from proxy.coalesce.outcomes import Failed, Regroup, Released, Role, Stream, TimedOut
from proxy.coalesce.outcomes import Outcome as SeatOutcome
from proxy.coalesce.seat import Seat
from proxy.config.settings import CacheSettings, CoalesceSettings, RouteCacheSettings, RouteSettings
from proxy.errors import FlightFailed, ProxyError, RefusedError
from proxy.http.fields import Pair
from proxy.origin.port import ForwardRequest
from proxy.policy.cache_control import RequestDirectives
from proxy.policy.keys import variant_of
from proxy.policy.ranges import Full, Partial, RangeAnswer, Unsatisfiable, single_range
from tests.simulation.checks import INSTANT_S, MARKED_FOR_S, UNREACHABLE_FOR_S, Checks, Purged
from tests.simulation.client import Begun, Client, client_of
from tests.simulation.kinds import MAX_STALE_S, ROUTE_STALE_IF_ERROR_S
from tests.simulation.origin import Forwarded, SimulatedOrigin
from tests.simulation.schedule import KEYS, Behave, Change, Join, Purge, Schedule, Setup, Step, code_of
from tests.simulation.transitions import Transitions
from tests.simulation.virtual_time import VirtualClock, run_virtually

READ_AHEAD_BYTES = 8_192
"""Smaller than the real one, so that bodies of some thousand octets show what large ones do."""

WINDOW_BYTES = 40_000
"""Some turns of the loop at full speed: nobody falls behind who reads as fast as it comes."""

MAX_ENTRY_BYTES = 20_000
OVER_S = 200.0
"""Long after the last step everything must be over."""


def _route(setup: Setup) -> RouteSettings:
    return RouteSettings(
        origin="memory",
        cache=RouteCacheSettings(stale_if_error_s=ROUTE_STALE_IF_ERROR_S, max_stale_s=MAX_STALE_S),
        coalesce=CoalesceSettings(
            wait_timeout_s=setup.wait_timeout_s,
            on_wait_timeout=setup.on_wait_timeout,
            max_waiters=setup.max_waiters,
            release_rate=setup.release_rate,
            not_shareable_for_s=MARKED_FOR_S,
            unreachable_for_s=UNREACHABLE_FOR_S,
            abandoned_fill_max_bytes=setup.abandoned_bytes,
            range_ahead_bytes=1_000,
            window_bytes=WINDOW_BYTES,
        ),
    )


class World:
    """One run of one schedule."""

    def __init__(self, schedule: Schedule, transitions: Transitions) -> None:
        self.schedule = schedule
        self.clock = VirtualClock(asyncio.get_running_loop())
        settings = CacheSettings(
            max_bytes=1_000_000, max_entry_bytes=MAX_ENTRY_BYTES, max_fill_bytes=schedule.setup.fill_bytes
        )
        self.cache = ResponseCache(settings, clock=self.clock)
        self.coalescer = Coalescer(cache=self.cache)
        self.origin = SimulatedOrigin(clock=self.clock, concurrency=schedule.setup.concurrency)
        self.clients: list[Client] = []
        self.purges: list[Purged] = []
        self.checks = Checks(self)
        self._route = _route(schedule.setup)
        self._transitions = transitions

    # what the checks look at

    def key_of(self, key: int) -> bytes:
        return b"key%d" % key

    def flights(self) -> list[Flight]:
        return list(self.coalescer._flights._running)

    def forwarded_by(self, flight: Flight) -> Forwarded:
        number = flight.plan.forward.fields.get(b"x-forward") or b""
        return self.origin.forwards[int(number)]

    def entries(self) -> list[Entry]:
        return list(self.cache._memory)

    # the run

    async def run(self) -> None:
        """Every step, then everything to its end. Raises: Deadlock."""
        for step in self.schedule.steps:
            if step.after_s:
                await asyncio.sleep(step.after_s)
            self._do(step)
            self.checks.stored()
        while tasks := [client.task for client in self.clients if client.task and not client.task.done()]:
            await asyncio.wait(tasks)
        over_at = self.clock.mono() + OVER_S
        while self.coalescer.statistics().running and self.clock.mono() < over_at:  # noqa: ASYNC110 - virtual time, and flights tell nobody
            await asyncio.sleep(1.0)
        await asyncio.sleep(INSTANT_S)  # for what is told when a task has ended
        self.checks.stored()
        self.checks.all_over()
        for ending, count in self.coalescer.statistics().endings.items():
            if ending == "abandoned":
                self._transitions.counts[ending, "nobody", "-"] += count
        self._transitions.schedules += 1
        self._transitions.clients += len(self.clients)

    def _do(self, step: Step) -> None:
        match step:
            case Join():
                for _ in range(step.count):
                    self._join(step)
            case Purge():
                self._purge(step)
            case Change():
                self.origin.versions[step.key] += 1
            case Behave():
                self.origin.answers[step.key] = step.answers

    def _join(self, step: Join) -> None:
        client = client_of(step, len(self.clients))
        self.clients.append(client)
        loop = asyncio.get_running_loop()
        if client.parked:
            client.begun = self._begin(client)
        client.task = loop.create_task(self._live(client))
        if step.leave_s is not None:
            loop.call_later(step.leave_s, self._leave, client, step)

    def _leave(self, client: Client, step: Join) -> None:
        swaps = step.swap and not client.ended
        client.leave()
        if swaps:
            self._join(replace(step, leave_s=None))

    def _purge(self, step: Purge) -> None:
        key, tag = self.key_of(step.key), b"tag%d" % step.key
        match step.scope:
            case "key":
                self.cache.purge(key, soft=step.soft)
            case "tag":
                self.cache.purge_where(lambda _key, tags: tag in tags, soft=step.soft)
            case "pattern":
                self.cache.purge_where(lambda one, _tags: one.startswith(key), soft=step.soft)
            case _:
                self.cache.purge_all(soft=step.soft)
        keys = frozenset(range(KEYS) if step.scope == "all" else (step.key,))
        self.purges.append(Purged(self.origin.next_order(), keys, step.soft))

    # clients

    def _ask_now(self, client: Client) -> Ask:
        client.order, client.asked_at = self.origin.next_order(), self.clock.mono()
        client.crowded = self.checks.crowded(client)
        return self._ask(client)

    def _begin(self, client: Client) -> Begun:
        ask = self._ask_now(client)
        wait = self.coalescer.wait_for(ask)
        try:
            return Begun(ask, wait, self.coalescer.try_now(ask, wait))
        except ProxyError as error:
            self.checks.refused(client, error)  # a turn later it might be explained no more
            return Begun(ask, wait, error)

    async def _live(self, client: Client) -> None:
        try:
            await self._exchange(client)
        finally:
            client.ended = True

    async def _exchange(self, client: Client) -> None:
        try:
            answer = await self._answer(client)
        except ProxyError as error:
            if client.begun is None or client.begun.step is not error:
                self.checks.refused(client, error)
            self.checks.in_time(client)
            self._count_error(client, error)
            return
        client.answered_at = self.clock.mono()
        self.checks.in_time(client)
        if isinstance(answer, PassThrough):
            self.checks.expect(client.traits.method == "HEAD", "passed through, but no HEAD", client)
            return
        try:
            self.checks.answered(client, answer)
            self._count_answer(client, answer)
            if client.traits.method != "HEAD":
                await self._read(client, answer)
        finally:
            answer.close()

    async def _answer(self, client: Client) -> Answer | PassThrough:
        if client.begun is None:
            return await self.coalescer.answer(self._ask_now(client))
        ask, wait, step = client.begun.ask, client.begun.wait, client.begun.step
        match step:
            case None:
                return await self.coalescer.answer(ask, wait)
            case Answer():
                return step
            case ProxyError():
                raise step
            case Joined(seat):
                await _settled(seat)
                answer = self.coalescer.settled_answer(ask, step, wait)
                return answer or await self.coalescer.answer(ask, wait, joined=step)

    def _ask(self, client: Client) -> Ask:
        def forward(*, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
            request = self.origin.build(client, alone=alone, conditions=conditions)
            self.checks.built(self.origin.forwards[-1])
            return request

        return Ask(
            key=self.key_of(client.key),
            request=client.request,
            directives=RequestDirectives.parse(client.request.fields),
            route=self._route,
            origin=self.origin,
            forward=forward,
            with_authorization=client.traits.has(b"authorization"),
        )

    async def _read(self, client: Client, answer: Answer) -> None:
        length = answer.body.length
        span: RangeAnswer = Full()
        if length is not None:
            span = single_range(client.request, answer.head, length=length)
        if isinstance(span, Unsatisfiable):
            return
        part = isinstance(span, Partial)
        first, last = (span.first, span.last) if isinstance(span, Partial) else (None, None)
        reader, received = answer.reader(first, last), []
        try:
            while piece := await reader.read():
                self.checks.octets(client, answer, piece, (first or 0) + sum(map(len, received)))
                received.append(piece)
                if client.pace_s:
                    await asyncio.sleep(client.pace_s)
        except ProxyError as error:
            self.checks.broke_off(client, answer, error)
            if answer.seat is not None and answer.seat.flight.body.error is error:
                self._count("body-cut", answer.seat.role, "broken off")
            elif answer.seat is not None:
                self._count("too slow", answer.seat.role, "cut off")
            return
        self.checks.whole(client, answer, b"".join(received), part=part)

    # transitions

    def _count(self, ending: str, role: str, outcome: str) -> None:
        self._transitions.counts[str(ending), str(role), outcome] += 1

    def _count_error(self, client: Client, error: ProxyError) -> None:
        if client.seated is not None:
            self._count(*client.seated, "error")
        elif isinstance(error, RefusedError):
            self._count("too many", "waiter", "refused")
        elif isinstance(error, FlightFailed):
            self._count("known unreachable", "-", "error")

    def _count_answer(self, client: Client, answer: Answer) -> None:
        if client.seated is not None:
            if answer.outcome in (Outcome.STALE, Outcome.HIT):
                self._count(*client.seated, str(answer.outcome))
            elif client.seated[0] == "deadline":
                self._count(*client.seated, "its own request")
            elif client.seated[0] == "origin-failed":
                self._count(*client.seated, "its answer")

    def settled(self, seat: Seat, outcome: SeatOutcome) -> None:
        """A seat has its outcome: note it for the client, and for the table."""
        client = self.clients[int(seat.request.fields.get(b"x-client") or b"")]
        flight = seat.flight
        assert isinstance(flight, Flight)
        self._in_time(client, seat)
        ending, role = str(flight.ending), str(seat.role)
        late = seat.joined_mono > flight._received_mono > 0
        if ending == "origin-failed" or isinstance(outcome, Failed):
            client.seated = (ending, role)
            return
        if client.seated is None or client.seated[0] != "deadline":
            client.seated = None
        match outcome:
            case Stream():
                self._count(ending, role, "stream, joined after the head" if late else "stream")
            case TimedOut():
                client.sent_away = True
                client.seated = ("deadline", role)
            case Released():
                client.sent_away, client.sent_away_at = True, self.clock.mono()
                self._count(ending, role, "released")
            case Regroup(reelection=reelection):
                client.regroups += 1
                fenced = self.cache.fences.crossed(
                    flight.epoch, flight.plan.key, flight.tags, until=seat.epoch
                )
                alike = variant_of(flight.varies_on, seat.request) == flight.variant
                own_cookie = self.forwarded_by(flight).guessed and not client.traits.has(b"cookie")
                reasons = {
                    "a new leader": reelection,
                    "a purge in between": fenced,
                    "another variant": not alike,
                    "the leader's cookie": own_cookie,
                }
                why = next((reason for reason, holds in reasons.items() if holds), None)
                self.checks.expect(why is not None, "sent back for no reason", client, flight)
                self._count(ending, role, f"regroup: {why}")

    def _in_time(self, client: Client, seat: Seat) -> None:
        if seat.role is Role.WAITER and seat in self._seats_of(seat):
            deadline_s = client.asked_at + self.schedule.setup.wait_timeout_s
            latest_s = max(deadline_s, seat.joined_mono) + INSTANT_S
            self.checks.expect(self.clock.mono() <= latest_s, "a waiter's deadline passed", client, seat)

    def _seats_of(self, seat: Seat) -> dict[Seat, None]:
        flight = seat.flight
        assert isinstance(flight, Flight)
        return flight._seats


async def _settled(seat: Seat) -> None:
    if seat.settled:
        await asyncio.sleep(0)
        return
    settled = asyncio.get_running_loop().create_future()
    seat.on_settled = lambda: None if settled.done() else settled.set_result(None)
    await settled


class _Errors(logging.Handler):
    """What the code under test logs as an error is a violation."""

    def __init__(self, checks: Checks) -> None:
        super().__init__(logging.ERROR)
        self._checks = checks

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._checks.expect(False, f"logged: {record.getMessage()}", error)


@contextmanager
def _watched(world: World) -> Iterator[None]:
    settle = Seat.settle

    def settle_and_tell(seat: Seat, outcome: SeatOutcome) -> None:
        settle(seat, outcome)
        world.settled(seat, outcome)

    handler = _Errors(world.checks)
    logger = logging.getLogger("proxy")
    propagates = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with (
            patch.object(Seat, "settle", settle_and_tell),
            patch.object(body_module, "READ_AHEAD_BYTES", READ_AHEAD_BYTES),
        ):
            yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates


def run(schedule: Schedule, transitions: Transitions | None = None) -> World:
    """Run the schedule. Raises: AssertionError with everything that was violated, Deadlock."""

    async def main() -> World:
        world = World(schedule, transitions or Transitions())
        with _watched(world):
            await world.run()
            broken = [
                client.task.exception()
                for client in world.clients
                if client.task is not None and not client.task.cancelled()
            ]
        for error in broken:
            world.checks.expect(error is None, "a client's exchange broke", error)
        return world

    world = run_virtually(main())
    assert not world.checks.violations, "\n".join([*world.checks.violations, code_of(schedule)])
    return world
