"""The two histories of a key side by side, around where something went wrong."""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.writes.key_history import Fault, KeyHistory

_BEFORE = 25
_AFTER = 12


def timeline(history: KeyHistory, faults: tuple[Fault, ...], *, around: int, began_at: int) -> Iterator[str]:
    """What happened shortly before and after that time: seconds, who, what."""
    moments = sorted(_moments(history, faults))
    middle = next((place for place, moment in enumerate(moments) if moment[0] >= around), len(moments))
    first = max(0, middle - _BEFORE)
    if first:
        yield f"      … {first} before"
    for at, who, what in moments[first : middle + _AFTER]:
        yield f"    {'>' if at == around else ' '} {(at - began_at) / 1e9:12.6f}  {who:10}  {what}"
    if len(moments) > middle + _AFTER:
        yield f"      … {len(moments) - middle - _AFTER} after"


def _moments(history: KeyHistory, faults: tuple[Fault, ...]) -> Iterator[tuple[int, str, str]]:
    for attempt in history.attempts:
        yield attempt.enter, "origin", f"{attempt.write} enters"
        version = "" if attempt.version is None else f", version {attempt.version}"
        unanswered = "" if attempt.answered else ", answer lost"
        yield attempt.leave, "origin", f"{attempt.write} leaves: {attempt.do}{version}{unanswered}"
    for write in history.writes.values():
        if write.invoked_at is not None:
            yield write.invoked_at, write.by, f"{write.write} begun, {write.tries} tries"
        if write.accepted_at is not None:
            yield write.accepted_at, write.by, f"{write.write} answered 202"
        if write.ok_at is not None:
            told = "" if write.ok_version is None else f", version {write.ok_version}"
            yield write.ok_at, write.by, f"{write.write} told to be applied{told}"
        if write.failed_at is not None:
            yield write.failed_at, write.by, f"{write.write} told to be refused"
    for read in history.reads:
        yield read.began, read.by, f"begins to read version {read.version}, {read.last}"
    for seen in history.seen:
        yield seen.at, seen.by, "is told of a gap" if seen.write is None else f"is told of {seen.write}"
    for fault in faults:
        yield fault.at, "fault", fault.what
        yield fault.until, "fault", f"{fault.what} is over"
