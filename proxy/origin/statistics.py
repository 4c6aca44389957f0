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

    `requests` counts calls of `send`, however they ended. `outstanding` counts slots in use;
    `queue_refused` those that met a full queue or waited above `queue_timeout_s`.
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
