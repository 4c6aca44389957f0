"""Who waits for the end of a write: clients in sync mode, long polls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from proxy.http.messages import ResponseHead
from proxy.origin.port import OriginResponse
from proxy.writes.states import FINAL
from proxy.writes.write import Result


@dataclass(slots=True)
class Ending:
    """The end of a write, as one of its waiters gets it.

    `rest` is the answer's body from where `result.body` stops, if that is not the whole and more is to
    come: whoever gets it reads and closes it. `head` is the answer's, which `result` has in parts.
    """

    result: Result
    rest: OriginResponse | None = None
    head: ResponseHead | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it is none: this process ends, and another one goes on with the write as it is kept."""
        return self.result.state not in FINAL


class Waiter(Protocol):
    """Who waits for one end: a future, or whatever is told in the same step in its stead."""

    def done(self) -> bool:
        """Whether it needs to be told nothing any more."""

    def set_result(self, ending: Ending, /) -> None:
        """This is the end."""


class Waiters:
    """Who waits, by write id. Nobody waits for ever: whoever waits sets a limit of his own."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Waiter]] = {}
        self._reading: set[Waiter] = set()

    def __repr__(self) -> str:
        return f"<Waiters for {len(self._waiting)} writes>"

    def __len__(self) -> int:
        return len(self._waiting)

    def waits(self, write_id: str) -> bool:
        """Whether anybody waits for this write."""
        return write_id in self._waiting

    def count(self, write_id: str) -> int:
        """How many wait for this write."""
        return len(self._waiting.get(write_id, ()))

    def reads(self, write_id: str) -> bool:
        """Whether any of them would read a body that goes on."""
        return not self._reading.isdisjoint(self._waiting.get(write_id, ()))

    @contextmanager
    def wait(self, write_id: str, *, reads: bool = False) -> Iterator[asyncio.Future[Ending]]:
        """A future of the end of this write, from now until the block is left.

        Only who `reads` may get the rest of a body, and then has to close it.
        """
        future: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.join(write_id, future, reads=reads)
        try:
            yield future
        finally:
            self.leave(write_id, future)
            future.cancel()

    def join(self, write_id: str, waiter: Waiter, *, reads: bool = False) -> None:
        """Have it told, until it leaves."""
        self._waiting.setdefault(write_id, []).append(waiter)
        if reads:
            self._reading.add(waiter)

    def leave(self, write_id: str, waiter: Waiter) -> None:
        """It waits no more; it may leave while it is told."""
        waiting = self._waiting[write_id]
        waiting.remove(waiter)
        self._reading.discard(waiter)
        if not waiting:
            del self._waiting[write_id]

    def tell(self, write_id: str, ending: Ending) -> None:
        """It ended: all who wait are told, the first one who reads it gets the rest of the body."""
        rest = ending.rest
        for waiter in tuple(self._waiting.get(write_id, ())):
            if waiter.done():
                continue
            own = rest if waiter in self._reading else None
            waiter.set_result(ending if own is ending.rest else replace(ending, rest=own))
            if own is not None:
                rest = None
        if rest is not None:
            rest.close()
