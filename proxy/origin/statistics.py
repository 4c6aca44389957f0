"""What an origin's client has counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AddressStatistics:
    """One target of an origin. `outstanding` includes tunnels and event streams."""

    address: str
    host: str
    requests: int
    outstanding: int
    idle_connections: int
    connects: int
    connect_failures: int
    left_out: bool


@dataclass(frozen=True, slots=True)
class OriginStatistics:
    """Counters since the start, and what is the case now.

    `requests` = those that took a slot at once or after waiting, and those refused. `outstanding` counts
    slots in use, `queue_refused` the full queue and waits above `queue_timeout_s`.
    """

    name: str
    requests: int
    retries: int
    connects: int
    connect_failures: int
    reused: int
    outstanding: int
    queued: int
    queue_refused: int
    idle_connections: int
    left_out: tuple[str, ...]
    addresses: tuple[AddressStatistics, ...]
