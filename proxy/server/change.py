"""A change of configuration under way: what may change while a server runs, and what it is made ready with.

Theory of operation. A change is prepared, which can fail, and then committed, which cannot. What is stored,
the flights that run, the counters and the connections stay; routes, origins, limits and what they lead to
are others from one step to the next. An exchange that has begun ends as it began, at the origin where it
began: an origin that is no longer named is closed when the last of them is over.

What sockets, files, threads and tables were made from stays as it is until a restart or an upgrade, and to
change it is refused: half a change would be worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.config.settings import Config
from proxy.origin.client import OriginClient

_CHANGEABLE = frozenset(
    {
        "cache",
        "defaults",
        "gate",
        "limits",
        "origins",
        "routes",
        "shutdown_delay_s",
        "shutdown_timeout_s",
    }
)
_CHANGEABLE_OF_CACHE = frozenset({"cache_name", "cache_status", "cache_status_key"})


def unchangeable(old: Config, new: Config) -> list[str]:
    """The settings that differ and that a running server cannot change; empty if it can go on with `new`."""
    found = [name for name in _differing(old, new) if name not in _CHANGEABLE]
    below = _differing(old.cache, new.cache)
    return sorted([*found, *(f"cache.{name}" for name in below if name not in _CHANGEABLE_OF_CACHE)])


def _differing(old: Any, new: Any) -> list[str]:
    names = type(old).model_fields
    return [name for name in names if getattr(old, name) != getattr(new, name)]


@dataclass(frozen=True, slots=True)
class Change:
    """A configuration that a server was made ready for. `origins` has those to use, old and new."""

    config: Config
    origins: Mapping[str, OriginClient]
    fresh: tuple[OriginClient, ...]

    async def abandon(self) -> None:
        """It will not be used."""
        for origin in self.fresh:
            await origin.close()
