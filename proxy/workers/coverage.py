"""What a purge covers, as a message between processes."""

from __future__ import annotations

from typing import assert_never

from proxy.policy.purge_order import compiled
from proxy.policy.purges import Coverage, Everything, Matching, Prefixed, PurgeKind, Tagged, Targets
from proxy.workers.frames import Message


def coverage_message(coverage: Coverage) -> Message:
    """The coverage as JSON values; octets are written as Latin-1."""
    kind = coverage.kind.value
    match coverage:
        case Targets():
            return {"kind": kind, "keys": sorted(map(_text, coverage.keys))}
        case Tagged():
            return {"kind": kind, "labels": sorted(map(_text, coverage.labels))}
        case Prefixed():
            by_route = {_text(route): list(map(_text, found)) for route, found in coverage.by_route.items()}
            return {
                "kind": kind,
                "authorities": sorted(map(_text, coverage.authorities)),
                "by_route": by_route,
            }
        case Matching():
            return {"kind": kind, "pattern": coverage.pattern.pattern.decode()}
        case Everything():
            return {"kind": kind}
        case never:
            assert_never(never)


def coverage_of(message: Message) -> Coverage:
    """What `coverage_message` made a message of. Raises: KeyError, ValueError for any other."""
    match PurgeKind(message["kind"]):
        case PurgeKind.URL:
            return Targets(_octets_of(message["keys"]))
        case PurgeKind.TAG:
            return Tagged(_octets_of(message["labels"]))
        case PurgeKind.PREFIX:
            by_route = {
                _octets(route): tuple(map(_octets, found)) for route, found in message["by_route"].items()
            }
            return Prefixed(_octets_of(message["authorities"]), by_route)
        case PurgeKind.PATTERN:
            return Matching(compiled(message["pattern"]))
        case PurgeKind.EVERYTHING:
            return Everything()
        case PurgeKind.INVALIDATION:
            raise ValueError("an invalidation covers targets or tags, and goes by them")
        case never:
            assert_never(never)


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")


def _octets(text: str) -> bytes:
    return text.encode("latin-1")


def _octets_of(texts: list[str]) -> frozenset[bytes]:
    return frozenset(map(_octets, texts))
