"""Who waits for the end of a write: clients in sync mode, long polls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from proxy.http.messages import ResponseHead
from proxy.origin.port import OriginResponse
from proxy.writes.states import FINAL
from proxy.writes.write import Result


@dataclass(frozen=True, slots=True)
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


class Waiters:
    """Futures by write id. Nobody waits for ever: whoever waits sets a limit of his own."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[Ending]]] = {}
        self._reading: set[asyncio.Future[Ending]] = set()

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
        self._waiting.setdefault(write_id, []).append(future)
        if reads:
            self._reading.add(future)
        try:
            yield future
        finally:
            self._forget(write_id, future)

    def tell(self, write_id: str, ending: Ending) -> None:
        """It ended: all who wait are told, the first one who reads it gets the rest of the body."""
        rest = ending.rest
        for future in self._waiting.get(write_id, ()):
            if future.done():
                continue
            own = rest if future in self._reading else None
            future.set_result(ending if own is ending.rest else replace(ending, rest=own))
            if own is not None:
                rest = None
        if rest is not None:
            rest.close()

    def _forget(self, write_id: str, future: asyncio.Future[Ending]) -> None:
        waiting = self._waiting[write_id]
        waiting.remove(future)
        self._reading.discard(future)
        if not waiting:
            del self._waiting[write_id]
        if not future.done():
            future.cancel()
