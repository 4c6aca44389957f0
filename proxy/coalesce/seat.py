"""A seat: one exchange's share in a flight, with its one outcome and its place in the body."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from proxy.coalesce.body import BodyReader, SharedBody
from proxy.coalesce.outcomes import Outcome, Role, Stream
from proxy.http.messages import RequestHead
from proxy.policy.keys import CacheKey

OnSettled = Callable[[], Callable[[], None] | None]
"""Called in the loop's next round when the outcome is there, for those who do not `wait_outcome`.

What it gives back is called when all others who were settled together have been told: what does not hold up
an answer should not hold up theirs.
"""


class SeatedIn(Protocol):
    """What a seat needs of its flight."""

    body: SharedBody
    asked_mono: float

    def give_up(self, seat: Seat) -> None:
        """The exchange leaves."""

    def tell(self, seat: Seat) -> None:
        """Call its `on_settled` in the loop's next round."""


class Seat:
    """One exchange's share in a flight; it must `leave()` in the end, however it ends."""

    __slots__ = (
        "_outcome",
        "_waiting",
        "epoch",
        "flight",
        "joined_mono",
        "on_settled",
        "reader",
        "request",
        "role",
        "target_key",
    )

    def __init__(
        self,
        flight: SeatedIn,
        role: Role,
        request: RequestHead,
        *,
        epoch: int,
        joined_mono: float,
        target_key: CacheKey | None = None,
    ) -> None:
        self.flight = flight
        self.role = role
        self.request = request
        self.target_key = target_key
        """The key of the request's own target, where the flight's may be that of several."""
        self.epoch = epoch
        self.joined_mono = joined_mono
        self.reader: BodyReader | None = None
        self.on_settled: OnSettled | None = None
        self._outcome: Outcome | None = None
        self._waiting: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Seat {self.role} {self._outcome!r} in {self.flight!r}>"

    @property
    def settled(self) -> bool:
        """Whether it has its outcome."""
        return self._outcome is not None

    def settle(self, outcome: Outcome) -> None:
        """Give the seat its one outcome, and its place in the body before any of it can be dropped."""
        assert self._outcome is None, f"{self!r} is given {outcome!r} as well"
        self._outcome = outcome
        if not self.flight.body.keeping:
            self.take_place()
        if self.on_settled is not None:
            self.flight.tell(self)
        elif self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def take_place(self) -> None:
        """Stand at the beginning of the body: it is kept for those who stand there, and for nobody else.

        While all of it is kept nobody has to; a herd that is answered at once never does.
        """
        if self.reader is None and isinstance(self._outcome, Stream):
            self.reader = self.flight.body.reader()

    @property
    def outcome(self) -> Outcome | None:
        """The outcome, if it is there."""
        return self._outcome

    async def wait_outcome(self) -> Outcome:
        """Wait until the head came, the flight failed or the deadline passed."""
        if self._outcome is None:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        assert self._outcome is not None, f"{self!r} was woken without an outcome"
        return self._outcome

    def leave(self) -> None:
        """Give the seat up. Idempotent."""
        if self.reader is not None:
            self.reader.close()
        self.flight.give_up(self)
