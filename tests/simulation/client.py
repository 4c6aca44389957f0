"""A client of the simulation: what it asks, and what became of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from tests.simulation.schedule import Join, Traits


@dataclass(slots=True, eq=False)
class Client:
    """One exchange. `order` is its place among all that happened, set when it asks.

    `settled` lists the outcomes its seats had, `sent_away_at` when the last one released it.
    """

    number: int
    key: int
    traits: Traits
    request: RequestHead
    pace_s: float
    order: int = 0
    asked_at: float = 0.0
    answered_at: float | None = None
    regroups: int = 0
    sent_away: bool = False
    sent_away_at: float | None = None
    seated: tuple[str, str] | None = None
    left: bool = False
    ended: bool = False
    task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<client {self.number}: {self.traits!r} /{self.key}>"

    def leave(self) -> None:
        """Go, in the middle of whatever is going on."""
        self.left = True
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
    )
