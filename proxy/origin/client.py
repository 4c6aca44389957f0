"""The adapter of the origin port over sockets: slots, balancing, kept connections, one careful retry."""

from __future__ import annotations

import asyncio
import logging

from proxy.clock import Clock
from proxy.config.settings import OriginSettings
from proxy.errors import OriginConnectTimeout, OriginError, OriginOverloaded, OriginUnreachable
from proxy.origin.address import parse_address
from proxy.origin.balancer import Balancer, Target
from proxy.origin.connection import OriginConnection
from proxy.origin.connector import Connector
from proxy.origin.exchange import ConnectionDied, Exchange
from proxy.origin.pool import ConnectionPool
from proxy.origin.port import ForwardRequest, OnInformational
from proxy.origin.request_head import write_request_head
from proxy.origin.resolver import LookUp, TargetGroup, system_look_up
from proxy.origin.slots import Slot, Slots
from proxy.origin.statistics import AddressStatistics, OriginStatistics

logger = logging.getLogger(__name__)


class OriginClient:
    """One origin of the configuration (`proxy.origin.port.Origin`).

    A request takes a slot, a target and a connection, in this order. The slot comes back when the origin
    has sent the whole answer, or the answer is closed, or at the head of an upgrade or an event stream.
    """

    def __init__(
        self, name: str, settings: OriginSettings, *, clock: Clock, look_up: LookUp = system_look_up
    ) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock
        self._slots = Slots(
            name,
            limit=settings.max_concurrency,
            max_queue=settings.max_queue,
            queue_timeout_s=settings.queue_timeout_s,
        )
        self._pool = ConnectionPool(
            max_idle=settings.max_idle_connections, idle_timeout_s=settings.idle_timeout_s, clock=clock
        )
        self._balancer = Balancer(fail_after=settings.fail_after, fail_for_s=settings.fail_for_s)
        groups = [
            tuple(parse_address(text) for text in texts)
            for texts in (settings.addresses, settings.backup)
            if texts
        ]
        self._groups = tuple(
            TargetGroup(
                addresses,
                origin=name,
                look_up=look_up,
                interval_s=settings.resolve_interval_s,
                timeout_s=settings.connect_timeout_s,
                clock=clock,
                on_gone=self._pool.close_target,
            )
            for addresses in groups
        )
        everywhere = tuple(address for addresses in groups for address in addresses)
        self._connector = Connector(name, settings, everywhere, on_lost=self._lost)
        self._open: set[OriginConnection] = set()
        self._one_lost = asyncio.Event()
        self._closed = False
        self._requests = 0
        self._retries = 0
        self._reused = 0
        self._connects = 0
        self._connect_failures = 0

    def __repr__(self) -> str:
        addresses = ", ".join(self._settings.addresses)
        state = " closed" if self._closed else ""
        return (
            f"<OriginClient {self._name} {addresses} outstanding={self._slots.in_use} "
            f"queued={self._slots.queued} idle={len(self._pool)}{state}>"
        )

    @property
    def name(self) -> str:
        return self._name

    async def send(
        self, request: ForwardRequest, *, on_informational: OnInformational | None = None
    ) -> Exchange:
        self._requests += 1
        if self._closed:
            raise self._is_closed()
        slot = self._slots.take_now() or await self._slots.take()
        try:
            exchange = await self._send(request, on_informational, slot)
        except BaseException:
            slot.release()
            raise
        if exchange.lasts:
            slot.release()
        return exchange

    async def _send(
        self, request: ForwardRequest, on_informational: OnInformational | None, slot: Slot
    ) -> Exchange:
        may_repeat = self._settings.retry and request.may_repeat and request.body is None
        exchange = await self._start(request, slot, fresh_only=not may_repeat)
        try:
            await exchange.answered(on_informational)
        except ConnectionDied as error:
            if not (may_repeat and exchange.reused):
                raise
            logger.info("origin_retry origin=%s error=%s", self._name, error)
            self._retries += 1
            exchange = await self._start(request, slot, new=True)
            await exchange.answered(on_informational)
        return exchange

    async def _start(
        self, request: ForwardRequest, slot: Slot, *, fresh_only: bool = False, new: bool = False
    ) -> Exchange:
        connection = await self._connection(fresh_only=fresh_only, new=new)
        exchange = Exchange(
            connection, request, self._settings, asyncio.get_running_loop(), on_end=self._ended, slot=slot
        )
        try:
            head = write_request_head(request, authority=connection.target.address.authority)
            if request.before_sending is not None:
                request.before_sending()
            exchange.start(head)
        except BaseException:
            exchange.close()
            raise
        return exchange

    def _ended(self, exchange: Exchange, connection: OriginConnection, reusable: bool) -> None:
        connection.target.outstanding -= 1
        if exchange.has_head:  # else `send` still has the slot, for a retry or to give it back
            exchange.slot.release()
        if reusable:
            self._pool.put(connection)
        else:
            connection.drop()

    # Choosing a target and getting a connection to it.

    async def _connection(self, *, fresh_only: bool, new: bool) -> OriginConnection:
        """A connection, counted in its target's `outstanding`; each target is tried once at most."""
        errors: dict[Target, OriginError] = {}
        while True:
            target = (None if errors else self._choose_now()) or await self._choose(errors)
            target.outstanding += 1
            kept = None if new else self._take_kept(target, fresh_only=fresh_only)
            if kept is not None:
                return kept
            try:
                connection = await self._connect(target)
            except OriginError as error:
                target.outstanding -= 1
                errors[target] = error
            except BaseException:
                target.outstanding -= 1
                raise
            else:
                target.requests += 1
                return connection

    def _take_kept(self, target: Target, *, fresh_only: bool) -> OriginConnection | None:
        if target.left_out_until is not None:  # on trial: only a new connection tells
            return None
        kept = self._pool.take(target, fresh_only=fresh_only)
        if kept is not None:
            self._reused += 1
            target.requests += 1
        return kept

    async def _connect(self, target: Target) -> OriginConnection:
        """A new connection."""
        # Chosen although it was left out: ours is the one request that tries.
        on_trial = target.left_out_until is not None
        try:
            connection = await self._connector.connect(target)
        except OriginError as error:
            self._connect_failures += 1
            now_mono = self._clock.mono()
            if self._balancer.failed(target, now=now_mono, sole=self._is_sole(target)):
                self._pool.close_target(target)
                logger.warning("origin_left_out origin=%s address=%s error=%s", self._name, target, error)
            raise
        except BaseException:
            if on_trial:
                self._balancer.gave_up(target)
            raise
        self._connects += 1
        self._balancer.connected(target)
        self._open.add(connection)
        return connection

    def _is_sole(self, target: Target) -> bool:
        """Whether there is no other target at all: leaving it out would only add to the outage."""
        return all(other is target for group in self._groups for other in group.targets)

    def _choose_now(self) -> Target | None:
        """The first to try, if it is a primary whose address is known: the usual case."""
        first = self._groups[0]
        if not first.is_ready():
            return None
        return self._balancer.choose(first.targets, (), now=self._clock.mono())

    async def _choose(self, errors: dict[Target, OriginError]) -> Target:
        """The next target to try: a backup only when every primary is left out or has just failed.

        Raises: OriginError if none is left.
        """
        unresolved: list[OriginError] = []
        for group in self._groups:
            try:
                await group.ready()
            except OriginError as error:
                unresolved.append(error)
                continue
            target = self._balancer.choose(group.targets, errors, now=self._clock.mono())
            if target is not None:
                return target
        raise self._nowhere_left([*errors.values(), *unresolved])

    def _nowhere_left(self, errors: list[OriginError]) -> OriginError:
        if len(errors) == 1:
            return errors[0]
        if not errors:
            return OriginUnreachable(
                f"origin {self._name}: every address is left out after {self._settings.fail_after} failed "
                f"connections in a row (fail_after), for {self._settings.fail_for_s:g} s each (fail_for_s)"
            )
        late = all(isinstance(error, OriginConnectTimeout) for error in errors)
        text = "; ".join(str(error) for error in errors)
        error = OriginConnectTimeout(text) if late else OriginUnreachable(text)
        error.__cause__ = errors[-1]
        return error

    # The end.

    def _lost(self, connection: OriginConnection) -> None:
        self._open.discard(connection)
        self._pool.forget(connection)
        self._one_lost.set()

    def _is_closed(self) -> OriginUnreachable:
        return OriginUnreachable(f"origin {self._name}: its client is closed")

    async def close(self) -> None:
        """Close kept connections and send waiting requests away; running ones end with their owners."""
        self._closed = True
        self._slots.refuse_all(OriginOverloaded(f"origin {self._name}: its client is closed"))
        self._pool.close()
        for group in self._groups:
            await group.close()
        while any(connection.closing for connection in self._open):
            self._one_lost.clear()
            await self._one_lost.wait()

    # To be seen.

    def statistics(self) -> OriginStatistics:
        """Counters and what is the case now."""
        now = self._clock.mono()
        addresses = tuple(
            AddressStatistics(
                address=target.address.text,
                host=target.host,
                requests=target.requests,
                outstanding=target.outstanding,
                idle_connections=len(target.idle),
                connects=target.connects,
                connect_failures=target.connect_failures,
                left_out=target.left_out_until is not None and now < target.left_out_until,
            )
            for group in self._groups
            for target in group.targets
        )
        return OriginStatistics(
            name=self._name,
            requests=self._requests,
            retries=self._retries,
            connects=self._connects,
            connect_failures=self._connect_failures,
            reused=self._reused,
            outstanding=self._slots.in_use,
            queued=self._slots.queued,
            queue_refused=self._slots.refused,
            idle_connections=len(self._pool),
            left_out=tuple(one.address for one in addresses if one.left_out),
            addresses=addresses,
        )
