"""The writes that have not ended: what the lanes work on, as a backend of one process has them."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest
from typing import Final, Generic, TypeVar

from proxy.errors import QueueFull
from proxy.writes.delivery import Delivery
from proxy.writes.port import WriteStatus
from proxy.writes.states import State
from proxy.writes.write import Write


class LiveDelivery(Delivery):
    """A delivery that knows when its last attempt was begun, in Unix seconds."""

    __slots__ = ("started_at",)

    def __init__(
        self,
        write: Write,
        *,
        position: int,
        epoch: int,
        attempts: int = 0,
        started_at: float | None = None,
    ) -> None:
        super().__init__(write, position=position, epoch=epoch, redelivered=attempts > 0, attempts=attempts)
        self.started_at = started_at

    @property
    def state(self) -> State:
        """As far as is known here: the lanes know of a pause as well."""
        return State.STARTED if self.attempts else State.QUEUED

    def status(self) -> WriteStatus:
        """The write as it is shown."""
        write = self.write
        return WriteStatus(
            id=write.id,
            route=write.route,
            keys=write.keys,
            shard=write.shard,
            position=self.position,
            method=write.method,
            target=write.target,
            mode=write.mode,
            state=self.state,
            attempts=self.attempts,
            accepted_at=write.accepted_at,
            not_after=write.not_after,
            principal=write.principal,
            started_at=self.started_at,
        )


_HERE: Final = frozenset({State.QUEUED, State.STARTED})
"""States that these writes are in: who asks for ends only need not look at a hundred thousand of them."""

One = TypeVar("One", bound=LiveDelivery)


MAX_WRITES: Final = 100_000
MAX_BYTES: Final = 256 * 1024 * 1024


class Live(Generic[One]):
    """All of them by id, counted; so many at most, with bodies of so many octets in all."""

    def __init__(self, *, max_writes: int = MAX_WRITES, max_bytes: int = MAX_BYTES) -> None:
        self._max_writes = max_writes
        self._max_bytes = max_bytes
        self._by_id: dict[str, One] = {}
        self.bytes = 0
        self.durable = 0

    def __repr__(self) -> str:
        return f"<Live writes={len(self._by_id)} bytes={self.bytes} durable={self.durable}>"

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[One]:
        return iter(self._by_id.values())

    def get(self, write_id: str) -> One | None:
        """None if there is no such write, or it has ended."""
        return self._by_id.get(write_id)

    def check_room(self, write: Write) -> None:
        """See that one more may come. Raises: QueueFull."""
        if len(self._by_id) >= self._max_writes:
            raise QueueFull(f"{len(self._by_id)} writes are queued, as many as writes.max_queued allows.")
        if self.bytes + len(write.body) > self._max_bytes:
            raise QueueFull(f"Writes of {self.bytes} octets are queued; writes.max_bytes allows no more.")

    def add(self, delivery: One) -> None:
        """It begins."""
        assert delivery.write.id not in self._by_id, f"write {delivery.write.id} is queued already"
        self._by_id[delivery.write.id] = delivery
        self.bytes += len(delivery.write.body)
        self.durable += delivery.write.durable

    def remove(self, delivery: One) -> None:
        """It has ended, or was withdrawn."""
        if self._by_id.pop(delivery.write.id, None) is not None:
            self.bytes -= len(delivery.write.body)
            self.durable -= delivery.write.durable

    def page(
        self, *, key: str | None, states: frozenset[State] | None, after: str, limit: int
    ) -> list[WriteStatus]:
        """In the order of their ids, those after the id `after`; see `Store.listing`."""
        if states is not None and states.isdisjoint(_HERE):
            return []
        found = (
            one
            for one in self
            if one.write.id > after
            and (key is None or key in one.write.keys)
            and (states is None or one.state in states)
        )
        return [one.status() for one in nsmallest(limit, found, key=lambda one: one.write.id)]


def is_asked(status: WriteStatus, *, key: str | None, states: frozenset[State] | None) -> bool:
    """Whether a listing of this key and these states has it; None is any."""
    return (key is None or key in status.keys) and (states is None or status.state in states)
