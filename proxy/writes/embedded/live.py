"""A write that has not ended, and where it is in the journal."""

from __future__ import annotations

from proxy.writes.embedded.jobs import Job
from proxy.writes.live import LiveDelivery
from proxy.writes.write import Write


class EmbeddedDelivery(LiveDelivery):
    """A delivery with its place in the journal.

    `body_name` names the file of a large body. `spooling` are the jobs that wait while that file is being
    written, the insert first; None once they were submitted.
    """

    __slots__ = ("body_name", "spooling")

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
        super().__init__(write, position=position, epoch=epoch, attempts=attempts, started_at=started_at)
        self.body_name = body_name
        self.spooling: list[Job] | None = None
