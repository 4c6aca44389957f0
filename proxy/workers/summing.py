"""The statistics of several workers as those of one server.

Numbers add up, but for those below that are no amounts. What a worker counted does not vanish with it: a
sum that falls would look like a restart of everything to who watches it, and the next reading like a rush.
So what a gone worker last told is kept, without what it held at that moment (its gauges).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import Enum
from typing import Any, TypeVar

from proxy.server.server import ServerStatistics

Summed = TypeVar("Summed")

_GREATEST = frozenset({"uptime_s", "oldest_s", "oldest_age_s", "deepest_lane"})
_LEAST = frozenset({"started_at"})
_ALL = frozenset({"index_complete"})

_GAUGES = frozenset(
    {
        "connections",
        "proxy.flights.running",
        "proxy.flights.seats",
        "proxy.flights.waiters",
        "proxy.flights.oldest_s",
        "proxy.memory.entries",
        "proxy.memory.stored_bytes",
        "proxy.memory.max_bytes",
        "proxy.compressor.running",
        "proxy.compressor.kept",
        "proxy.compressor.kept_bytes",
        "proxy.purges.pending",
        "proxy.disk.entries",
        "proxy.disk.allocated_bytes",
        "proxy.disk.reserved_bytes",
        "proxy.disk.max_bytes",
        "proxy.disk.open_files",
        "proxy.disk.queued_jobs",
        "proxy.disk.queued_bytes",
        "proxy.disk.bans",
        "proxy.disk.alarm",
        "proxy.disk.index_complete",
        "origins.outstanding",
        "origins.queued",
        "origins.idle_connections",
        "origins.left_out",
        "origins.addresses.outstanding",
        "origins.addresses.idle_connections",
        "origins.addresses.left_out",
        "peers.asking",
        "peers.unreachable",
        "writes.lanes.queued",
        "writes.lanes.running",
        "writes.lanes.resting",
        "writes.lanes.busy_keys",
        "writes.lanes.paused_keys",
        "writes.lanes.deepest_lane",
        "writes.lanes.oldest_age_s",
        "writes.journal.condition",
        "writes.journal.reason",
        "writes.journal.queued",
        "writes.journal.queued_bytes",
        "writes.journal.durable",
        "writes.journal.dead_letters",
        "writes.journal.recovering",
        "writes.journal.followers",
    }
)
"""What is held now, by its place in the statistics; everything else was counted since the start."""


_ALWAYS_TEXT = frozenset({"writes.journal.reason"})


def summed(statistics: Sequence[ServerStatistics]) -> ServerStatistics:
    """All as one. There must be one at least."""
    total: ServerStatistics = _sum("", statistics)
    requests = total.proxy.exchanges.shareable
    ratio = total.proxy.flights.shareable_fetches / requests if requests else None
    return dataclasses.replace(total, leak_ratio=ratio)


def counted(statistics: ServerStatistics) -> ServerStatistics:
    """What is left of a worker's statistics when it is gone: its counters."""
    left: ServerStatistics = _without_gauges(statistics, "")
    return dataclasses.replace(left, uptime_s=0.0, draining=False)


def _sum(name: str, values: Sequence[Any]) -> Any:
    present = [value for value in values if value is not None]
    if not present:
        return None
    first = present[0]
    if isinstance(first, bool):
        return all(present) if name in _ALL else any(present)
    if isinstance(first, (int, float)):
        return _number(name, present)
    if isinstance(first, dict):
        return _dict(present)
    if isinstance(first, tuple):
        return _tuple(present)
    if dataclasses.is_dataclass(first) and not isinstance(first, type):
        fields = (field.name for field in dataclasses.fields(first))
        return dataclasses.replace(
            first, **{field: _sum(field, [getattr(one, field) for one in present]) for field in fields}
        )
    return first


def _number(name: str, present: Sequence[Any]) -> Any:
    if name in _GREATEST:
        return max(present)
    return min(present) if name in _LEAST else sum(present)


def _dict(present: Sequence[dict[Any, Any]]) -> dict[Any, Any]:
    keys = dict.fromkeys(key for one in present for key in one)
    return {key: _sum("", [one[key] for one in present if key in one]) for key in keys}


def _tuple(present: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Counts go place by place; addresses are told once each, wherever somebody names them."""
    if all(isinstance(item, (int, float)) for one in present for item in one):
        return tuple(map(sum, zip(*present, strict=True)))
    if all(isinstance(item, str) for one in present for item in one):
        return tuple(dict.fromkeys(item for one in present for item in one))
    longest = max(present, key=len)
    return tuple(
        _sum("", [one[index] for one in present if len(one) > index]) for index in range(len(longest))
    )


def _without_gauges(value: Any, path: str) -> Any:
    if path in _GAUGES:
        return _nothing(value, path)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        below = f"{path}." if path else ""
        names = (field.name for field in dataclasses.fields(value))
        return dataclasses.replace(
            value, **{name: _without_gauges(getattr(value, name), below + name) for name in names}
        )
    if isinstance(value, dict) and path == "origins":
        return {key: _without_gauges(item, path) for key, item in value.items()}
    if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        return tuple(_without_gauges(item, path) for item in value)
    return value


def _nothing(value: Any, path: str) -> Any:
    if isinstance(value, Enum):  # its first member is what nobody need see to
        return next(iter(type(value)))
    if isinstance(value, bool):
        return path.rpartition(".")[2] in _ALL
    if isinstance(value, str):
        return "" if path in _ALWAYS_TEXT else None
    return None if value is None else type(value)()
