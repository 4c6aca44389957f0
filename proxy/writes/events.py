"""What is told of a write that ended: the source of invalidation elsewhere, of push, of replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.writes.states import State

Positions = Mapping[int, int]
"""By shard, the last position that was seen: where a reader is who follows several shards."""


@dataclass(slots=True)
class CommitEvent:
    """The end of one write, whichever it is; at once the record that it is done.

    `accepted` tells that the origin answered 202: it applies the write later. `invalidated` are the
    targets and tags that the cache was told to forget.
    """

    write_id: str
    route: str
    keys: tuple[str, ...]
    shard: int
    method: str
    target: bytes
    state: State
    at: float
    ingress: str = ""
    status: int | None = None
    accepted: bool = False
    etag: bytes | None = None
    invalidated: tuple[str, ...] = ()


@dataclass(slots=True)
class LoggedEvent:
    """An event at its place. Positions of one shard only rise, and none is given twice, crashes included."""

    position: int
    event: CommitEvent


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of this shard are missing before `oldest`: the reader has to look afresh."""

    shard: int
    oldest: int
