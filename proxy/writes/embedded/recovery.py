"""What was left from before, handed over in its order, page by page.

The first write is at its lane as soon as the first page is read, however many there are: the rest follows
while the loop does other things. New writes that come meanwhile are kept and have their place, but are
delivered behind what was left, since they were put behind it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from proxy.writes.embedded.database import Database
from proxy.writes.embedded.jobs import queued_place
from proxy.writes.embedded.live import EmbeddedDelivery
from proxy.writes.embedded.records import write_of
from proxy.writes.embedded.sealing import Damaged
from proxy.writes.embedded.spool import Spool
from proxy.writes.port import WriteStatus

_PAGE: Final = 256
_FIRST_PAGE: Final = 16
_PAGE_BYTES: Final = 4 * 1024 * 1024
"""Of large bodies a page has fewer: none of them holds up the commits of new writes for long."""

Page = list[EmbeddedDelivery]


async def recover(
    read: Callable[[Callable[[Database], Page]], Awaitable[Page]],
    *,
    spool: Spool,
    epoch: int,
    last_seq: int,
    deliver: Callable[[EmbeddedDelivery], None],
) -> None:
    """Deliver every write up to `last_seq`. Raises: QueueUnavailable if the journal cannot be read on."""
    after, limit = -1, _FIRST_PAGE
    while page := await read(_reading(spool, epoch, after, last_seq, limit)):
        for delivery in page:
            deliver(delivery)
        after, limit = page[-1].position, _PAGE


def _reading(spool: Spool, epoch: int, after: int, last_seq: int, limit: int) -> Callable[[Database], Page]:
    def read(database: Database) -> Page:
        rows = database.connection.execute(
            "SELECT seq, attempts, started_at, body, sealed FROM queued WHERE seq > ? AND seq <= ?"
            " ORDER BY seq LIMIT ?",
            (after, last_seq, limit),
        )
        page = []
        size_bytes = 0
        for delivery in _deliveries(database, spool, epoch, rows):
            page.append(delivery)
            size_bytes += len(delivery.write.body)
            if size_bytes >= _PAGE_BYTES:
                break
        return page

    return read


def _deliveries(
    database: Database,
    spool: Spool,
    epoch: int,
    rows: Iterator[tuple[int, int, float | None, str | None, bytes]],
) -> Iterator[EmbeddedDelivery]:
    for seq, attempts, started_at, body_name, sealed in rows:
        try:
            record = database.seal.open(sealed, queued_place(seq))
            body = None if body_name is None else spool.read(body_name)
        except Damaged as error:
            raise Damaged(
                f"queued write {seq} cannot be read ({error}); nothing behind it is delivered"
            ) from error
        yield EmbeddedDelivery(
            write_of(record, body=body),
            position=seq,
            epoch=epoch,
            attempts=attempts,
            started_at=started_at,
            body_name=body_name,
        )


def left(database: Database, write_id: str) -> WriteStatus | None:
    """A write that is in the journal and was not delivered yet; None if it is not there. Reads every row."""
    row = database.connection.execute(
        "SELECT seq, attempts, started_at, sealed FROM queued WHERE id = ?", (write_id,)
    ).fetchone()
    if row is None:
        return None
    seq, attempts, started_at, sealed = row
    write = write_of(database.seal.open(sealed, queued_place(seq)), body=b"")
    return EmbeddedDelivery(write, position=seq, epoch=0, attempts=attempts, started_at=started_at).status()
