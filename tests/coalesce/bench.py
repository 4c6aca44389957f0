"""A coalescer, its cache and an origin in memory, in virtual time."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from proxy.cache.cache import ResponseCache
from proxy.coalesce.answer import Answer, PassThrough
from proxy.coalesce.coalescer import Ask, Coalescer
from proxy.coalesce.flight import Flight
from proxy.coalesce.flights import Flights
from proxy.coalesce.plan import FlightPlan
from proxy.config.settings import CacheSettings, RouteSettings
from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest
from proxy.policy.cache_control import RequestDirectives
from tests.origin.memory_origin import MemoryOrigin
from tests.origin.planned import Answer as Planned
from tests.simulation.virtual_time import VirtualClock, run_virtually

Parameters = ParamSpec("Parameters")
TARGET = b"/a"
KEY = b"key"


def virtually(test: Callable[Parameters, Coroutine[Any, Any, None]]) -> Callable[Parameters, None]:
    """Run the test on a loop of its own in which time costs nothing."""

    @functools.wraps(test)
    def run(*arguments: Parameters.args, **named: Parameters.kwargs) -> None:
        run_virtually(test(*arguments, **named))

    return run


def request(*fields: Pair, method: str = "GET") -> RequestHead:
    return RequestHead(method, TARGET, Fields(fields), authority=b"example.org")


class Bench:
    """What is under test and around it: `tier` are settings of the cache, all others of the route."""

    def __init__(self, *, tier: dict[str, Any] | None = None, **route: Any) -> None:
        self.clock = VirtualClock(asyncio.get_running_loop())
        self.cache = ResponseCache(CacheSettings.model_validate(tier or {}), clock=self.clock)
        self.origin = MemoryOrigin()
        self.route = RouteSettings.model_validate({"origin": "memory", **route})
        self.coalescer = Coalescer(cache=self.cache)
        self.flights = Flights(cache=self.cache)

    def answers(self, *fields: Pair, body: bytes = b"body", delay_s: float = 0.2, **more: Any) -> None:
        """The origin's next answer; the last one is given again and again."""
        self.origin.plan.on(TARGET, Planned(fields=fields, body=body, delay_s=delay_s, **more))

    def ask(self, *fields: Pair, method: str = "GET") -> Ask:
        head = request(*fields, method=method)

        def forward(*, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
            own = head.fields if alone else Fields()
            return ForwardRequest(head.method, TARGET, own.with_added(*conditions))

        return Ask(
            key=KEY,
            request=head,
            directives=RequestDirectives.parse(head.fields),
            route=self.route,
            origin=self.origin,
            forward=forward,
            with_authorization=b"authorization" in head.fields,
        )

    def asked(self, *fields: Pair, method: str = "GET") -> asyncio.Task[Answer | PassThrough]:
        """A client that asks now; its answer, or its error, in time."""
        answer = self.coalescer.answer(self.ask(*fields, method=method))
        return asyncio.get_running_loop().create_task(answer)

    async def answered(self, *fields: Pair, method: str = "GET") -> Answer:
        """The answer to a client that is alone."""
        answer = await self.coalescer.answer(self.ask(*fields, method=method))
        assert isinstance(answer, Answer)
        return answer

    def start(self, *fields: Pair, joinable: bool = True, background: bool = False) -> Flight:
        """A flight without the coalescer."""
        return self.flights.start(self.plan(*fields, background=background), joinable=joinable)

    def plan(self, *fields: Pair, background: bool = False) -> FlightPlan:
        """What a flight for a request with these fields is to do."""
        return FlightPlan(
            key=KEY,
            variant=(),
            request=request(*fields),
            route=self.route,
            origin=self.origin,
            forward=ForwardRequest("GET", TARGET, Fields()),
            background=background,
        )


async def body_of(answer: Answer | PassThrough) -> bytes:
    """The whole body; the answer is closed."""
    assert isinstance(answer, Answer)
    reader, pieces = answer.reader(), []
    while piece := await reader.read():
        pieces.append(piece)
    answer.close()
    return b"".join(pieces)
