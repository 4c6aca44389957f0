"""Purges by coverage as the disk tier takes them: what finds its objects fast, and what must be searched.

    Everything            one ban of everything
    Tagged                a ban of each label
    Targets               a ban of each target, looked up by what the keys of a target begin with
    Prefixed, Matching    a ban that is asked of each key, written down as JSON

An index entry carries a fingerprint of its *marks*: its labels, its target and, if it answers for other
queries than its own, its page. So a sweep reads only the files that one of its purges may cover.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from proxy.policy.key_parts import page_of, target_key_of
from proxy.policy.keys import CacheKey
from proxy.policy.purges import Matching, Prefixed, varies_on_search

Marks = frozenset[bytes]

Where = Callable[[CacheKey, frozenset[bytes]], bool]

_TARGET, _PAGE = b"target ", b"page "
_SEARCHES = b"answers other queries"


def marks_of(key: CacheKey, labels: frozenset[bytes]) -> Marks:
    """By what an object may be found, beside its own key."""
    target = target_of(key)
    if target is None:
        return labels
    marks = labels | {_TARGET + target}
    return marks | {_SEARCHES, _PAGE + page_of(key)} if varies_on_search(labels) else marks


def marks_of_target(target: bytes) -> tuple[Marks, Marks]:
    """The marks of objects that a purge of this target may cover: all of the first set, or of the second."""
    return frozenset({_TARGET + target}), frozenset({_SEARCHES, _PAGE + page_of(target)})


def target_of(key: CacheKey) -> bytes | None:
    """What all keys of the key's target begin with; None for a key that `cache_key` did not make."""
    try:
        return target_key_of(key)
    except ValueError:
        return None


def encode_searched(coverage: Prefixed | Matching) -> bytes:
    """A coverage that is asked of each key, as octets for the log."""
    if isinstance(coverage, Matching):
        parts: dict[str, object] = {
            "pattern": coverage.pattern.pattern.decode("latin-1"),
            "flags": coverage.pattern.flags,
        }
    else:
        by_route = sorted(coverage.by_route.items())
        parts = {
            "authorities": sorted(authority.decode("latin-1") for authority in coverage.authorities),
            "by_route": {
                route.decode("latin-1"): [prefix.decode("latin-1") for prefix in prefixes]
                for route, prefixes in by_route
            },
        }
    return json.dumps(parts, separators=(",", ":")).encode()


def decode_searched(octets: bytes) -> Prefixed | Matching:
    """The coverage again. Raises: ValueError, KeyError, TypeError, AttributeError, re.error."""
    parts = json.loads(octets)
    if "pattern" in parts:
        return Matching(re.compile(parts["pattern"].encode("latin-1"), parts["flags"]))
    return Prefixed(
        frozenset(authority.encode("latin-1") for authority in parts["authorities"]),
        {
            route.encode("latin-1"): tuple(prefix.encode("latin-1") for prefix in prefixes)
            for route, prefixes in parts["by_route"].items()
        },
    )


def covers_safely(covers: Where) -> Where:
    """The same, but that a key which cannot be read is covered: in doubt a fetch too many."""

    def asked(key: CacheKey, labels: frozenset[bytes]) -> bool:
        try:
            return covers(key, labels)
        except ValueError:
            return True

    return asked
