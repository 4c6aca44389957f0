"""The writes that have not ended: what the lanes work on, and where each is in the journal."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.writes.embedded.jobs import Job
from proxy.writes.port import Delivery, WriteStatus
from proxy.writes.states import State
from proxy.writes.write import Write


class EmbeddedDelivery(Delivery):
    """A delivery with its place in the journal.

    `body_name` names the file of a large body. `spooling` are the jobs that wait while that file is being
    written, the insert first; None once they were submitted.
    """

    __slots__ = ("body_name", "spooling", "started_at")

    def __init__(
        self,
        write: Write,
        *,
        position: int,
        epoch: int,
        attempts: int = 0,
        started_at: float | None = None,
        body_name: str | None = None,
    ) -> None:
        super().__init__(write, position=position, epoch=epoch, redelivered=attempts > 0, attempts=attempts)
        self.started_at = started_at
        self.body_name = body_name
        self.spooling: list[Job] | None = None

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
            state=State.STARTED if self.attempts else State.QUEUED,
            attempts=self.attempts,
            accepted_at=write.accepted_at,
            not_after=write.not_after,
            principal=write.principal,
            started_at=self.started_at,
        )


class Live:
    """All of them by id, counted."""

    def __init__(self) -> None:
        self._by_id: dict[str, EmbeddedDelivery] = {}
        self.bytes = 0
        self.durable = 0

    def __repr__(self) -> str:
        return f"<Live writes={len(self._by_id)} bytes={self.bytes} durable={self.durable}>"

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[EmbeddedDelivery]:
        return iter(self._by_id.values())

    def get(self, write_id: str) -> EmbeddedDelivery | None:
        """None if there is no such write, or it has ended."""
        return self._by_id.get(write_id)

    def add(self, delivery: EmbeddedDelivery) -> None:
        """It begins."""
        assert delivery.write.id not in self._by_id, f"write {delivery.write.id} is queued already"
        self._by_id[delivery.write.id] = delivery
        self.bytes += len(delivery.write.body)
        self.durable += delivery.write.durable

    def remove(self, delivery: EmbeddedDelivery) -> None:
        """It has ended, or was withdrawn."""
        if self._by_id.pop(delivery.write.id, None) is not None:
            self.bytes -= len(delivery.write.body)
            self.durable -= delivery.write.durable
