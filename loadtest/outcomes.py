"""What a cache did for a response, as its Cache-Status tells (RFC 9211)."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """One word per response; `direct` where no cache spoke."""

    LEADER = "leader"
    COLLAPSED = "collapsed"
    HIT = "hit"
    PASSED = "passed"
    DIRECT = "direct"


def outcome_of(field: str) -> Outcome:
    """Read the member nearest to the client, the last one.

    Source: RFC 9211 §2: `hit`, `fwd` and `collapsed` of one cache.
    """
    member = field.rpartition(",")[2].strip()
    if not member:
        return Outcome.DIRECT
    parameters: dict[str, str] = {}
    for part in member.split(";")[1:]:
        name, _, value = part.strip().partition("=")
        parameters[name] = value or "?1"
    if parameters.get("hit") == "?1":
        return Outcome.HIT
    if parameters.get("collapsed") == "?1":
        return Outcome.COLLAPSED
    if parameters.get("fwd") in ("bypass", "method", "request"):
        return Outcome.PASSED
    return Outcome.LEADER
