"""Entities that are written without any lock, so that overlapping writes lose updates and show it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import asdict, dataclass, field

from origin_stub.changes import Changes

LOG_LENGTH = 100_000


@dataclass(slots=True)
class Write:
    """One write, in the order of arrival."""

    number: int
    method: str
    body: str
    idempotency_key: str | None
    overlapped: int
    """Writes of the same entity that were in progress when it came."""
    ended: int | None = None
    """Its place in the order in which writes ended; None while in progress or given up."""


@dataclass(slots=True)
class _Entity:
    value: str | None = None
    in_progress: int = 0
    max_overlap: int = 0
    ended: int = 0
    arrived: int = 0
    log: deque[Write] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))


class Entities:
    """Values by id; each write reads, waits, then writes what it made of what it had read."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._by_id: dict[str, _Entity] = {}

    def value(self, entity_id: str) -> str | None:
        """The entity's value; None if there is none."""
        entity = self._by_id.get(entity_id)
        return entity.value if entity is not None else None

    def reset(self) -> None:
        """Forget all values and logs."""
        self._by_id.clear()

    async def write(
        self,
        entity_id: str,
        method: str,
        body: str,
        *,
        delay_s: float,
        increment: bool = False,
        idempotency_key: str | None = None,
    ) -> str | None:
        """Apply one write and give the new value.

        PUT replaces, POST appends, DELETE removes; `increment` adds one to a number.
        """
        entity = self._by_id.setdefault(entity_id, _Entity())
        entity.arrived += 1
        record = Write(entity.arrived, method, body, idempotency_key, entity.in_progress)
        entity.log.append(record)
        entity.in_progress += 1
        entity.max_overlap = max(entity.max_overlap, entity.in_progress)
        self._changes.notify()
        try:
            read = entity.value
            await asyncio.sleep(delay_s)
            entity.value = _increment(read) if increment else _apply(method, read, body)
            entity.ended += 1
            record.ended = entity.ended
            return entity.value
        finally:
            entity.in_progress -= 1
            self._changes.notify()

    def report(self, entity_id: str) -> dict[str, object]:
        """Value, most writes at one time, and the log in order of arrival; JSON can carry it."""
        entity = self._by_id.get(entity_id) or _Entity()
        return {
            "value": entity.value,
            "writes": entity.arrived,
            "in_progress": entity.in_progress,
            "max_overlap": entity.max_overlap,
            "log": [asdict(record) for record in entity.log],
        }


def _increment(read: str | None) -> str:
    return str((int(read) if read is not None and read.isdigit() else 0) + 1)


def _apply(method: str, read: str | None, body: str) -> str | None:
    if method == "DELETE":
        return None
    return (read or "") + body if method == "POST" else body
