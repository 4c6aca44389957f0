"""`No-Vary-Search` on random schedules: no client gets another target's answer that is not for its own.

The oracle is the declaration of the answer that the client holds, and the target in its body; what the key
is, and what was known of the page at the time, it does not look at.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from proxy.cache.cache import ResponseCache
from proxy.coalesce.answer import Answer
from proxy.coalesce.ask import Ask
from proxy.coalesce.coalescer import Coalescer
from proxy.coalesce.flight import Flight
from proxy.config.settings import CacheSettings, RouteSettings
from proxy.errors import ProxyError
from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest
from proxy.policy.cache_control import RequestDirectives
from proxy.policy.key_parts import key_under
from proxy.policy.keys import cache_key
from proxy.policy.no_vary_search import equivalent, search_variance
from proxy.policy.purges import Targets
from tests.origin.memory_origin import MemoryOrigin
from tests.origin.planned import Answer as Planned
from tests.simulation.virtual_time import VirtualClock, run_virtually

QUERIES = (b"", b"?x=1", b"?x=2", b"?x=1&utm=1", b"?utm=1&x=1", b"?utm=2&x=1", b"?x=1&x=2", b"?x=2&x=1&utm=1")
TARGETS = tuple(b"/a" + query for query in QUERIES)
DECLARED = (
    None,
    None,
    b"key-order",
    b'params=("utm")',
    b'key-order, params=("utm")',
    b"params",
    b'params=("x")',
)
CONTROLS = (b"max-age=5", b"max-age=5", b"max-age=5", b"public, max-age=0", b"private", b"no-cache")
STATUSES = (200, 200, 200, 200, 404, 503)
ROUTE = RouteSettings(origin="memory")


@dataclass(eq=False)
class Run:
    """One schedule. Bodies are `order target`; `purged` are the orders of purges by target."""

    choice: random.Random
    transitions: Counter[str]
    order: int = 0
    answered: int = 0
    purged: dict[bytes, int] = field(default_factory=dict)

    async def run(self) -> None:
        self.clock = VirtualClock(asyncio.get_running_loop())
        self.cache = ResponseCache(CacheSettings(), clock=self.clock)
        self.coalescer = Coalescer(cache=self.cache)
        self.origin = MemoryOrigin()
        self.origin.answer_for = self.planned  # type: ignore[method-assign]
        self.declared = self.choice.choice(DECLARED)
        clients = []
        for _ in range(self.choice.randrange(4, 30)):
            await asyncio.sleep(self.choice.choice((0.0, 0.0, 0.0, 0.05, 0.3, 3.0)))
            step = self.choice.choice(("join", "join", "join", "join", "join", "declare", "purge"))
            if step == "declare":
                self.declared = self.choice.choice(DECLARED)
            elif step == "purge":
                self.purge(self.choice.choice(TARGETS))
            else:
                target = self.choice.choice(TARGETS)
                clients += [
                    asyncio.get_running_loop().create_task(self.client(target))
                    for _ in range(self.choice.choice((1, 1, 3)))
                ]
                await asyncio.sleep(0)
        await asyncio.gather(*clients)
        await asyncio.sleep(10.0)
        assert self.answered == len(clients)
        assert self.coalescer.statistics().running == 0
        assert not self.coalescer._flights._joinable

    def next_order(self) -> int:
        self.order += 1
        return self.order

    def request(self, target: bytes) -> RequestHead:
        return RequestHead("GET", target, Fields(), authority=b"example.org")

    def purge(self, target: bytes) -> None:
        key = cache_key("r", self.request(target), route=ROUTE)
        self.cache.begin_purge(Targets(frozenset({key})))
        self.purged[target] = self.next_order()

    def planned(self, request: ForwardRequest) -> Planned:
        tag, order = b'"%b"' % request.target, b"%d" % self.next_order()
        fields: list[Pair] = [(b"Cache-Control", self.choice.choice(CONTROLS)), (b"ETag", tag)]
        fields.append((b"X-Granted", order))
        if self.declared is not None:
            fields.append((b"No-Vary-Search", self.declared))
        delay_s = self.choice.choice((0.01, 0.2, 0.4))
        if request.fields.get(b"if-none-match") == tag:
            return Planned(304, tuple(fields), delay_s=delay_s)
        body = b"%b %b" % (order, request.target)
        return Planned(self.choice.choice(STATUSES), tuple(fields), body, delay_s=delay_s)

    async def client(self, target: bytes) -> None:
        request = self.request(target)

        def forward(*, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
            return ForwardRequest("GET", target, Fields(conditions))

        ask = Ask(
            key=cache_key("r", request, route=ROUTE),
            request=request,
            directives=RequestDirectives(),
            route=ROUTE,
            origin=self.origin,
            forward=forward,
        )
        purged_before = self.purged.get(target, 0)
        try:
            answer = await self.coalescer.answer(ask)
        except ProxyError:
            self.answered += 1
            return
        assert isinstance(answer, Answer)
        reader, pieces = answer.reader(), []
        while piece := await reader.read():
            pieces.append(piece)
        answer.close()
        self.answered += 1
        generated, _, source = b"".join(pieces).partition(b" ")
        variance = search_variance(answer.head.fields)
        declared = answer.head.fields.get(b"no-vary-search")
        told = f"{target!r}, {answer.outcome}, from {source!r} under {declared!r}"
        assert equivalent(source, target, variance), f"another target's answer: {told}"
        # what another target's validation declares after the purge was not covered by it
        since = generated if source == target else answer.head.fields.get(b"x-granted") or b""
        assert int(since) > purged_before, f"from before a purge: {told}"
        self.transitions[f"{answer.outcome} {'own' if source == target else 'equivalent'}"] += 1


def run_schedules(count: int, seed: int = 2026) -> Counter[str]:
    transitions: Counter[str] = Counter()
    for number in range(count):
        run_virtually(Run(random.Random(f"{seed}/{number}"), transitions).run())
    return transitions


@pytest.mark.slow
def test_no_client_gets_the_answer_for_a_target_that_is_not_equivalent() -> None:
    transitions = run_schedules(1500)
    for taken in ("hit equivalent", "collapsed equivalent", "miss own", "collapsed own", "released own"):
        assert transitions[taken] >= 100, transitions


@pytest.mark.slow
def test_the_schedules_are_red_if_seats_are_not_asked_for_their_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Flight, "_is_for_target", lambda *_: True)
    with pytest.raises(AssertionError, match="another target's answer"):
        run_schedules(1500)


@pytest.mark.slow
def test_and_if_the_key_lacks_the_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.policy.key_parts.variance_text", lambda _: b"")
    key_under.cache_clear()
    try:
        with pytest.raises(AssertionError, match="another target's answer"):
            run_schedules(1500)
    finally:
        key_under.cache_clear()
