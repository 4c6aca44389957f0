"""How a client is told the end of its write, and how long it is kept waiting for it."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.clock import Clock
from proxy.config.settings import Config
from proxy.config.write_settings import ClientGoneRule
from proxy.routing import route_name
from proxy.server.exchange import Exchange
from proxy.server.writes.answers import WriteAnswers
from proxy.server.writes.routes import WriteRoute
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.service import Writes
from proxy.writes.waiting import Ending
from proxy.writes.write import Mode, Result, Write

_NOT_YET = Problem(ProblemType.UNKNOWN_OUTCOME, "it has not ended within the time that a client may wait")


class Telling:
    """Tells ends under one configuration."""

    def __init__(self, config: Config, *, answers: WriteAnswers, writes: Writes, clock: Clock) -> None:
        self._answers = answers
        self._route_settings = {route_name(route): route for route in config.routes}
        self._writes = writes
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Telling {sorted(self._route_settings)}>"

    def at_once(self, exchange: Exchange, route: WriteRoute, write: Write, ending: Ending | None) -> bool:
        """Tell how it ended, or None that it has not; False where the answer's body goes on.

        Raises: ClientGone.
        """
        exchange.origin_s = self._clock.mono() - exchange.started_mono
        safe = self.retry_safe(route, write)
        if ending is None:
            self._answers.problem(exchange, _NOT_YET, write_id=write.id, retry_safe=safe)
            return True
        settings = self._route_settings[route.name]
        return self._answers.ended_at_once(
            exchange, ending, route=settings, write_id=write.id, retry_safe=safe
        )

    async def body_goes_on(self, exchange: Exchange, route: WriteRoute, ending: Ending) -> None:
        """What `at_once` left. Raises: ClientGone; OriginError in the middle of a body."""
        await self._answers.body_goes_on(exchange, ending, route=self._route_settings[route.name])

    def again(
        self, exchange: Exchange, route: WriteRoute, write: Write, result: Result, *, first_id: str
    ) -> bool:
        """Tell how the first request with its Idempotency-Key ended; False where the body was not kept."""
        return self._answers.replayed(
            exchange,
            result,
            route=self._route_settings[route.name],
            write_id=first_id,
            retry_safe=self.retry_safe(route, write),
        )

    def without_body(
        self, exchange: Exchange, route: WriteRoute, result: Result, document: Mapping[str, object]
    ) -> None:
        """The same with a document of ours in the place of the body. Raises: ClientGone."""
        settings = self._route_settings[route.name]
        self._answers.without_body(exchange, result, document, route=settings)

    def retry_safe(self, route: WriteRoute, write: Write) -> bool:
        """Whether the client may send it again without doing it twice."""
        return write.idempotency is not None or route.policy.may_repeat(write.method)

    def patience_s(self, route: WriteRoute, write: Write) -> float:
        """Longer than any write can take that does not find its lane held."""
        policy = route.policy
        budget_s = policy.retry_of(write.method).budget_s
        return max(0.0, write.not_after - write.accepted_at) + budget_s + 2 * policy.origin_timeout_s

    def left(self, route: WriteRoute, write: Write) -> None:
        """A client of it has left, which waits still: take the write back, if it is of no use to others."""
        cancels = route.settings.client_gone is ClientGoneRule.CANCEL and write.mode is Mode.SYNC
        if cancels and self._writes.waiting(write.id) == 1:
            self._writes.cancel(write.id)
