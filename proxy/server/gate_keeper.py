"""Renders the answers that stand, books what the gates sent, and lets go of what nobody asks for.

There is one keeper under each configuration, and gates before it (`server/gate.py`). What is sent between
two sweeps, a second apart, is counted in the `Standing` alone; whoever reads the counters has it booked
first. An answer that was not asked for between two sweeps is dropped: no more is held than what was sent in
the last two seconds, also of an entry that the cache has dropped.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.cache.cache import ResponseCache
from proxy.clock import Clock
from proxy.coalesce.answer import Answer, Outcome
from proxy.coalesce.ask import Ask
from proxy.coalesce.coalescer import Coalescer
from proxy.config.settings import Config
from proxy.http.fields import Pair
from proxy.origin.port import ForwardRequest, Origin
from proxy.server.delivery import Delivery
from proxy.server.exchange import Exchange
from proxy.server.folding import Folding
from proxy.server.ledger import Ledger, told_behind_client
from proxy.server.likeness import Likenesses
from proxy.server.prepared import Prepared, PreparedHeads
from proxy.server.response_writer import JOIN_BELOW_BYTES, ResponseWriter
from proxy.server.standing import Capture, Standing

JOINED_BYTES = 64 * 1024 * 1024
"""Of answers that are held as one piece, which copies the body; beyond it they are sent in pieces."""

NOT_A_HIT_S = 0.05
"""How long a kind of request that is no plain hit now takes the ordinary path unlooked at: so a pass or a
miss costs a look-up in the gate twenty times a second, not each time."""

SWEEP_S = 1.0


@dataclass(frozen=True, slots=True)
class GateStatistics:
    """Answers since the start: to heads known octet by octet, or but for what does not matter, and to parsed
    ones."""

    known: int
    parsed: int


class GateKeeper:
    """What the gates of one configuration share; see the module's head."""

    def __init__(
        self,
        config: Config,
        *,
        origins: Mapping[str, Origin],
        clock: Clock,
        cache: ResponseCache,
        coalescer: Coalescer,
        delivery: Delivery,
        heads: PreparedHeads,
        ledger: Ledger,
    ) -> None:
        self.clock = clock
        self.folding = Folding(config)
        limits = config.limits
        self.likenesses = Likenesses(
            self.folding.indifferent,
            # A head as we count it may have an octet a line more than as it came.
            max_bytes=min(limits.max_field_bytes, limits.max_head_bytes - limits.max_fields),
        )
        self.heads = heads
        self.ledger = ledger
        self.purging = cache.purging
        self.known = self.parsed = 0
        self._max_head_bytes = config.limits.max_head_bytes
        self._origins = origins
        self._coalescer = coalescer
        self._delivery = delivery
        self._active: list[Standing] = []
        self._joined_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        ledger.book_before_reading(self.book)

    def __repr__(self) -> str:
        return f"<GateKeeper {len(self._active)} answers stand, {self._joined_bytes} bytes joined>"

    def statistics(self) -> GateStatistics:
        """Counters since the start."""
        return GateStatistics(self.known, self.parsed)

    def close(self) -> None:
        """Stop sweeping. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.book()

    def retire(self, successor: GateKeeper | None) -> None:
        """Another configuration is in use: hand the counters on."""
        self.close()
        self.ledger.book_no_more(self.book)
        if successor is not None:
            successor.known += self.known
            successor.parsed += self.parsed

    def standing_for(
        self, prepared: Prepared, *, told_apart_by: frozenset[bytes], matter_bytes: int
    ) -> Standing:
        """The answer to such a request, of whose head so many octets matter; it rests."""
        assert prepared.key is not None, "what may be a hit has a key"
        route = prepared.route.settings
        ask = Ask(
            key=prepared.key,
            request=prepared.seen,
            directives=prepared.directives,
            route=route,
            origin=self._origins[route.origin],
            forward=_never_forwarded,
        )
        spare_bytes = self._max_head_bytes - matter_bytes
        return Standing(prepared, ask, told_apart_by=told_apart_by, spare_bytes=spare_bytes)

    # rendering

    def renew(self, standing: Standing, now_mono: float) -> bool:
        """Render the answer as of now; False if the request is to take the ordinary path."""
        if standing.entry is None and now_mono < standing.until_mono:
            return False
        self._book_one(standing)
        self._rest(standing)
        if not self._render(standing, now_mono):
            standing.rest(until_mono=now_mono + NOT_A_HIT_S)
            return False
        if not standing.active:
            standing.active = True
            self._active.append(standing)
            self._sweep_later()
        return True

    def _render(self, standing: Standing, now_mono: float) -> bool:
        answer = self._coalescer.stored_now(standing.ask)
        if answer is None or answer.outcome is not Outcome.HIT:
            return False
        entry = answer.entry
        if entry is None or not entry.in_memory or self._to_refresh_s(standing, answer) <= 0:
            return False
        matter = self.folding.indifferent.intersection(entry.varies_on)
        if not matter <= standing.told_apart_by:
            standing.outgrown = matter | standing.told_apart_by
            return False
        prepared = standing.prepared
        capture = Capture()
        exchange = Exchange(
            writer=ResponseWriter(capture, keep_alive=True),
            client="",
            trusted=False,
            started_at=self.clock.now(),
            started_mono=now_mono,
            request=prepared.request,
            prepared=prepared,
            route=prepared.route.name,
        )
        exchange.writer.meant_for(prepared.request)
        exchange.answered_with(answer)
        written = self._delivery.at_once(
            exchange,
            prepared.request,
            answer,
            route=prepared.route.settings,
            key=standing.ask.key,
            now=exchange.started_at,
        )
        if written:
            self._stand(standing, exchange, answer, capture.pieces)
        return written

    def _stand(self, standing: Standing, exchange: Exchange, answer: Answer, pieces: list[bytes]) -> None:
        standing.entry, standing.exchange = answer.entry, exchange
        standing.until_mono = exchange.started_mono + min(
            _steady_s(answer), self._to_refresh_s(standing, answer)
        )
        size_bytes = sum(map(len, pieces))
        if size_bytes <= JOIN_BELOW_BYTES and self._joined_bytes + size_bytes <= JOINED_BYTES:
            standing.octets = b"".join(pieces)
            self._joined_bytes += size_bytes
        else:
            standing.pieces = pieces
        if self.ledger.is_logging:
            standing.told = told_behind_client(exchange, duration_s=0.0)

    def _to_refresh_s(self, standing: Standing, answer: Answer) -> float:
        """How long until a hit is the occasion to refresh the entry, or to count one use more of it.

        Both are the ordinary path's; once an entry is known to be popular, its uses are not counted any more.
        """
        assert answer.entry is not None, "what is stored is an entry"
        assert answer.age_s is not None, "and has an age"
        if not standing.prepared.route.settings.cache.refresh_ahead:
            return math.inf
        due_age_s = answer.entry.refresh_age_s
        return 0.0 if due_age_s is None else due_age_s - answer.age_s

    # the books

    def book(self) -> None:
        """Count what was sent and is not counted yet."""
        for standing in self._active:
            self._book_one(standing)

    def _book_one(self, standing: Standing) -> None:
        times, standing.times = standing.times, 0
        if times:
            assert standing.exchange is not None, "what was sent has been rendered"
            self.ledger.record_again(standing.exchange, times)
            standing.asked = True

    def _sweep_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        active, self._active = self._active, []
        for standing in active:
            self._book_one(standing)
            standing.active, standing.asked = standing.asked, False
            if standing.active:
                self._active.append(standing)
            else:
                self._rest(standing)
        if self._active:
            self._sweep_later()

    def _rest(self, standing: Standing) -> None:
        self._joined_bytes -= len(standing.octets)
        standing.rest()


def _steady_s(answer: Answer) -> float:
    """How long the answer stays the same: until Age or ttl turns to another second, or it is stale."""
    assert answer.age_s is not None, "what is stored has an age"
    assert answer.ttl_s is not None, "and a lifetime"
    age_turns_s = math.floor(answer.age_s) + 1 - answer.age_s
    ttl_turns_s = answer.ttl_s - math.floor(answer.ttl_s)  # 0: it turns with the next tick of the clock
    return min(age_turns_s, ttl_turns_s)


def _never_forwarded(*, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
    raise AssertionError("a look-up forwards nothing")
