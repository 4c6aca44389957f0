"""Which part of the proxy a request's time is spent in, as the interpreter's profiler sees it.

The profiler makes each call dearer than it is, so that parts of many small functions look larger: the shares
tell where to look, and what a change is worth is for `path` to say. Time in C counts for whoever called it.
"""

from __future__ import annotations

import cProfile
import gc
import pstats
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from loadtest.bench.in_memory import Clients

CONNECTIONS = "connections, parser"
GATE = "gate"
ANSWERS = "exchanges, answers"

_SERVER = dict.fromkeys(("client_connection", "client_transport", "listener", "parser"), CONNECTIONS)
_SERVER |= dict.fromkeys(("gate", "gate_keeper", "folding", "likeness", "standing", "head_table"), GATE)

WRITES = "writes"
PARTS = (CONNECTIONS, GATE, ANSWERS, WRITES, "policy", "http", "coalesce", "cache", "origin", "the rest")
"""By package of `proxy/`; `server/` is four of them."""

_Place = tuple[str, int, str]


async def shares_of(clients: Clients, requests: list[bytes]) -> Mapping[str, float]:
    """The share of each part in the time that these requests take."""
    profile = cProfile.Profile()
    gc.collect()
    gc.disable()
    profile.enable()
    await clients.ask(requests)
    profile.disable()
    gc.enable()
    spent: Counter[str] = Counter()
    stats: dict[_Place, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for place, (_, _, own_s, _, callers) in stats.items():
        if place[0] != "~":
            spent[part_of(place[0])] += own_s
        else:
            for caller, (_, _, for_caller_s, _) in callers.items():
                spent[part_of(caller[0])] += for_caller_s
    del spent[""]
    return {part: spent[part] / spent.total() for part in PARTS}


def part_of(file: str) -> str:
    """The part that this source file belongs to; empty for the clients in memory."""
    path = PurePath(file)
    if "bench" in path.parts:
        return ""
    if WRITES in path.parts:
        return WRITES
    if path.parent.name == "server":
        return _SERVER.get(path.stem, ANSWERS)
    if "aiohttp" in path.parts:
        return CONNECTIONS
    if "cachetools" in path.parts:
        return "cache"
    return path.parent.name if path.parent.name in PARTS else "the rest"
