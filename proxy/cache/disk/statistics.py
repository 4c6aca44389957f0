"""What the disk tier counts."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Counted as it goes; `DiskStatistics` tells them."""

    hits: int = 0
    misses: int = 0
    stores: int = 0
    replaced: int = 0
    evictions: int = 0
    purged: int = 0
    queue_full: int = 0
    unavailable: int = 0
    too_large: int = 0
    superseded: int = 0
    spoiled: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    left_alone: int = 0

    def drop(self, reason: str) -> None:
        """A file was found to be of no use."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


@dataclass(frozen=True, slots=True)
class DiskStatistics:
    """Counters since the start, and the present state.

    `alarm` is why the tier rests, or None. `dropped` counts files that were not served, by reason;
    `left_alone` names in the directory that are not ours. Not stored: `queue_full`, `unavailable` (the
    tier rested), `too_large`, `superseded` (a younger one is there), `spoiled` (purged or failed on the way).
    """

    entries: int
    allocated_bytes: int
    reserved_bytes: int
    max_bytes: int
    index_complete: bool
    open_files: int
    queued_jobs: int
    queued_bytes: int
    bans: int
    purge_sequence: int
    hits: int
    misses: int
    stores: int
    replaced: int
    evictions: int
    purged: int
    queue_full: int
    unavailable: int
    too_large: int
    superseded: int
    spoiled: int
    dropped: dict[str, int]
    left_alone: int
    read_failures: int
    write_failures: int
    alarm: str | None
