"""Conditional and range requests on a body of known size, as pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class Validators:
    """What the answer would carry; None where it has no such field."""

    etag: str | None = None
    last_modified_at: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Octets `start` up to `stop` of the body."""

    start: int
    stop: int


class Unsatisfiable:
    """The range lies outside the body: 416."""


def _opaque(tag: str) -> str:
    return tag.strip().removeprefix("W/")


def _unix_time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


def is_not_modified(
    validators: Validators, *, if_none_match: str | None, if_modified_since: str | None
) -> bool:
    """Whether a GET or HEAD is answered 304; If-None-Match goes before If-Modified-Since.

    Source: RFC 9110 §13.2.2.
    """
    if if_none_match is not None:
        if validators.etag is None:
            return False
        wanted = {_opaque(tag) for tag in if_none_match.split(",")}
        return "*" in wanted or _opaque(validators.etag) in wanted
    if if_modified_since is None or validators.last_modified_at is None:
        return False
    since = _unix_time(if_modified_since)
    return since is not None and int(validators.last_modified_at) <= since


def _may_use_range(validators: Validators, if_range: str | None) -> bool:
    if if_range is None:
        return True
    if if_range.startswith(('"', "W/")):
        return if_range == validators.etag and not if_range.startswith("W/")
    since = _unix_time(if_range)
    return (
        since is not None
        and validators.last_modified_at is not None
        and int(validators.last_modified_at) == since
    )


def select_range(
    validators: Validators, size: int, *, range_field: str | None, if_range: str | None
) -> Part | Unsatisfiable | None:
    """The one range to send; None for the whole body, also when several ranges were asked for.

    Source: RFC 9110 §14.2, §13.1.5.
    """
    match = _RANGE.fullmatch(range_field.strip()) if range_field is not None else None
    if match is None or not _may_use_range(validators, if_range):
        return None
    first, last = match.groups()
    if not first:
        return _suffix(size, last)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        return Unsatisfiable()
    return Part(start, min(int(last) + 1, size) if last else size)


def _suffix(size: int, length: str) -> Part | Unsatisfiable | None:
    if not length:
        return None
    if int(length) == 0 or size == 0:
        return Unsatisfiable()
    return Part(max(0, size - int(length)), size)
