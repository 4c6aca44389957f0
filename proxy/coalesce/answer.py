"""What an exchange is to be answered with, and under which name it is counted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.cache.entry import Entry, HeadMemo
from proxy.coalesce.body import BodyReader, SharedBody
from proxy.coalesce.outcomes import Role
from proxy.coalesce.seat import Seat
from proxy.http.messages import ResponseHead
from proxy.policy.cache_status import ForwardReason


class Outcome(StrEnum):
    """Of an exchange; each has exactly one, so that the counters add up to the requests."""

    HIT = "hit"
    STALE = "stale"
    MISS = "miss"
    """It led a flight."""
    COLLAPSED = "collapsed"
    """It waited and was answered from another's flight."""
    RELEASED = "released"
    """It waited, the answer was not for it, and it asked by itself."""
    PASSED = "passed"
    """It asked by itself from the start."""
    WRITTEN = "written"
    """Its write was queued: its client was told what became of it, or where to ask."""
    REFUSED = "refused"
    """We answered it without asking: bad request, no room, nothing stored for only-if-cached."""
    ANSWERED = "answered"
    """It was for us: a purge, or OPTIONS of which we are the last recipient."""
    FAILED = "failed"
    """It asked or waited, and the origin gave no answer."""
    GONE = "gone"
    """Its client left before it was clear what it would get."""


@dataclass(slots=True, eq=False)
class Answer:
    """A response to give: end-to-end head as the origin sent it, and a body to read from.

    `age_s` is None where the origin's own Age stands. `collapsed` is None where nobody tried to share.
    Whoever receives it calls `close()` in the end.
    """

    head: ResponseHead
    body: SharedBody
    outcome: Outcome
    memo: HeadMemo
    received_at: float
    age_s: float | None = None
    ttl_s: float | None = None
    forward: ForwardReason | None = None
    forward_status: int | None = None
    stored: bool = False
    collapsed: bool | None = None
    wait_s: float = 0.0
    origin_s: float = 0.0
    role: Role | None = None
    entry: Entry | None = None
    seat: Seat | None = None

    @property
    def in_any_order(self) -> bool:
        """Whether all of the body can be read, from wherever one begins."""
        return self.body.whole

    def at_hand(self, first: int, last: int) -> bool:
        """Whether these octets can be read without waiting."""
        return self.body.whole

    def reader(self, first: int | None = None, last: int | None = None) -> BodyReader:
        """A reader of the body, or of the octets from `first` up to and including `last`."""
        if self.seat is None or self.body is not self.seat.flight.body:
            return self.body.reader(first or 0, last)
        self.seat.take_place()
        if self.seat.reader is None:
            return self.body.reader(first or 0, last)
        if first is not None and last is not None:
            self.seat.reader.narrow(first, last)
        return self.seat.reader

    def close(self) -> None:
        """The exchange is over: give up the seat. Idempotent."""
        if self.seat is not None:
            self.seat.leave()


@dataclass(frozen=True, slots=True)
class PassThrough:
    """Nothing here can answer it and nothing may be learned from it (a HEAD): pass it through."""

    forward: ForwardReason
    outcome: Outcome = Outcome.PASSED
