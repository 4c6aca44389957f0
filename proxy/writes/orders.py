"""What an operator orders of the writes, as values: whoever gives an order need not be in their process.

Each order is answered with a document of JSON values; `desk.Desk` does so where the writes are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from proxy.errors import ClientError, RefusedError
from proxy.writes.states import FINAL, State

MAX_PAGE = 1000
"""Of anything that is listed; a page of writes is some hundred thousand octets."""
MAX_WAIT_S = 30.0
"""How long an order for events may wait for the first one."""
MAX_KEY_CHARACTERS = 4096
MAX_REASON_CHARACTERS = 1000

Document = dict[str, object]

NOT_ENDED = frozenset(State) - FINAL


class NoSuchWrite(ClientError):
    """No write, dead letter or lane is called so; or it was, and is not known any more."""

    status = 404


class NotNow(ClientError):
    """The write is in a state in which this cannot be done (RFC 9110 §15.5.10)."""

    status = 409


class NoWrites(ClientError):
    """No route queues writes."""

    status = 404


class WritesElsewhere(RefusedError):
    """Not this process has the writes."""


@dataclass(frozen=True, slots=True)
class ListWrites:
    """Writes in these states, in the order of their ids, those behind `after`; of one key if it is named."""

    states: tuple[State, ...]
    key: str | None = None
    after: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class ShowWrite:
    """All that is known of one write."""

    id: str


@dataclass(frozen=True, slots=True)
class ListDeadLetters:
    """Dead letters in the order of their ids, those behind `after`."""

    after: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class ListPausedKeys:
    """Keys of which nothing is started, in their order, those behind `after`, and why."""

    after: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class PauseKey:
    """Start nothing of this key, until it is resumed."""

    key: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ResumeKey:
    """Go on with this key."""

    key: str


@dataclass(frozen=True, slots=True)
class SkipHead:
    """Give up the write at the head of this key: it becomes a dead letter, the next one has its turn."""

    key: str


@dataclass(frozen=True, slots=True)
class CancelWrite:
    """Take back a write that was never sent."""

    id: str


@dataclass(frozen=True, slots=True)
class ReplayWrite:
    """Take a dead letter in again, as a new write behind those that wait."""

    id: str


@dataclass(frozen=True, slots=True)
class DiscardLetter:
    """Drop a dead letter that was seen to."""

    id: str


@dataclass(frozen=True, slots=True)
class ReadEvents:
    """Events behind these positions of shards; those to come without any, all that are kept for an empty one.

    `wait_s` bounds the wait for the first one.
    """

    after: dict[int, int] | None = None
    limit: int = 100
    wait_s: float = 0.0


WritesOrder = (
    ListWrites
    | ShowWrite
    | ListDeadLetters
    | ListPausedKeys
    | PauseKey
    | ResumeKey
    | SkipHead
    | CancelWrite
    | ReplayWrite
    | DiscardLetter
    | ReadEvents
)


class WritesDesk(Protocol):
    """Where orders are given."""

    async def carry_out(self, order: WritesOrder) -> Document:
        """Do it; the answer. Raises: ProxyError."""


class ClosedDesk:
    """The desk of a process that has no writes; `elsewhere` if another one has."""

    def __init__(self, *, elsewhere: bool) -> None:
        self._elsewhere = elsewhere

    def __repr__(self) -> str:
        return f"<ClosedDesk elsewhere={self._elsewhere}>"

    async def carry_out(self, order: WritesOrder) -> Document:
        """Raises: WritesElsewhere, NoWrites."""
        if self._elsewhere:
            raise WritesElsewhere("another worker has the writes")
        raise NoWrites("no route queues writes: none has `writes` in the configuration")
