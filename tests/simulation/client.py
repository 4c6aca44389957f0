"""A client of the simulation: what it asks, and what became of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from proxy.coalesce.answer import Answer
from proxy.coalesce.ask import Ask, Wait
from proxy.coalesce.coalescer import Joined
from proxy.errors import ProxyError
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from tests.simulation.schedule import Join, Traits


@dataclass(frozen=True, slots=True)
class Begun:
    """How far a parked exchange came at once: an answer, a seat, an error, or None for none of these."""

    ask: Ask
    wait: Wait
    step: Answer | Joined | ProxyError | None


@dataclass(slots=True, eq=False)
class Client:
    """One exchange. `order` is its place among all that happened, set when it asks.

    A `parked` one asks at once and waits in its seat, as the server's exchanges do before they need a task.
    `settled` lists the outcomes its seats had, `sent_away_at` when the last one released it.
    """

    number: int
    key: int
    traits: Traits
    request: RequestHead
    pace_s: float
    parked: bool
    order: int = 0
    asked_at: float = 0.0
    answered_at: float | None = None
    regroups: int = 0
    sent_away: bool = False
    sent_away_at: float | None = None
    seated: tuple[str, str] | None = None
    crowded: bool = False
    ended: bool = False
    begun: Begun | None = None
    task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<client {self.number}: {self.traits!r} /{self.key}>"

    def leave(self) -> None:
        """Go, in the middle of whatever is going on."""
        if self.ended:
            return
        if self.begun is not None and isinstance(self.begun.step, Joined) and self.answered_at is None:
            self.ended = not self.begun.step.seat.settled  # else it may have another seat by now
            self.begun.step.seat.leave()
        if self.task is not None:
            self.task.cancel()


def client_of(step: Join, number: int) -> Client:
    """A client as the step says."""
    fields = Fields((*step.traits.fields, (b"x-client", b"%d" % number)))
    return Client(
        number=number,
        key=step.key,
        traits=step.traits,
        request=RequestHead(step.traits.method, b"/%d" % step.key, fields, authority=b"example.org"),
        pace_s=step.pace_s,
        parked=step.swap or number % 2 == 0,
    )
