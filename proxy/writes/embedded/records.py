"""How writes, results and events become octets for the journal, and back.

JSON, since it is in the standard library, encodes a write in a few microseconds and stays readable in a
debugger; bytes pass as latin-1, which maps each octet to one character. Bodies follow raw behind it. A record
names its parts by position: `schema.VERSION` rises when one is added.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, TypeVar

from proxy.http.fields import Fields
from proxy.writes.events import CommitEvent, LoggedEvent
from proxy.writes.port import WriteStatus
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from proxy.writes.write import Idempotency, Mode, Result, Write

Value = TypeVar("Value")

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, check_circular=False).encode
_LENGTH_BYTES = 4


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")


def _octets(text: str) -> bytes:
    return text.encode("latin-1")


def _pairs(fields: Fields) -> list[str]:
    flat: list[str] = []
    for name, value in fields:
        flat.append(name.decode("latin-1"))
        flat.append(value.decode("latin-1"))
    return flat


class _Pool:
    """Equal values as one object. Queued writes are many and alike: routes, methods, whole field lines.

    Without it 100,000 writes that were left take twice the memory. Bounded. Two threads that meet in it
    lose some of the sharing and nothing else.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[Any, Any] = {}

    def one(self, value: Value) -> Value:
        """The object that stands for all values equal to this one, and of its type."""
        known: Value | None = self._values.get(value)
        if known is not None:
            return known
        if len(self._values) >= self._limit:
            self._values.clear()
        self._values[value] = value
        return value


_words: Final = _Pool(4096)
_pairs_pool: Final = _Pool(4096)


def _fields(flat: list[str]) -> Fields:
    names = iter(flat)
    one = _pairs_pool.one
    return Fields(one((_octets(name), _octets(value))) for name, value in zip(names, names, strict=True))


def _framed(parts: list[Any], body: bytes) -> bytes:
    head = _encode(parts).encode("ascii")
    return b"".join((len(head).to_bytes(_LENGTH_BYTES, "big"), head, body))


def _unframed(record: bytes) -> tuple[list[Any], bytes]:
    end = _LENGTH_BYTES + int.from_bytes(record[:_LENGTH_BYTES], "big")
    return json.loads(record[_LENGTH_BYTES:end]), record[end:]


def problem_text(problem: Problem | None) -> str | None:
    """A problem as text; None stays None."""
    return None if problem is None else _encode([problem.type, problem.detail, problem.status])


def problem_of(text: str | None) -> Problem | None:
    """What `problem_text` was made from."""
    if text is None:
        return None
    kind, detail, status = json.loads(text)
    return Problem(ProblemType(kind), detail, status)


def write_record(write: Write, *, with_body: bool) -> bytes:
    """A whole write, its body last, or left out where a file has it."""
    idempotency = write.idempotency
    parts = [
        write.id,
        write.route,
        write.keys,
        write.shard,
        write.method,
        _text(write.target),
        None if write.forward_target == write.target else _text(write.forward_target),
        _pairs(write.fields),
        write.mode,
        write.accepted_at,
        write.not_after,
        write.scheme,
        _text(write.authority),
        write.ingress,
        write.principal,
        None if write.client_key is None else _text(write.client_key),
        idempotency and (idempotency.scope, idempotency.key, _text(idempotency.fingerprint)),
        [_text(target) for target in write.changed_targets],
        [_text(tag) for tag in write.changed_tags],
    ]
    return _framed(parts, write.body if with_body else b"")


def write_of(record: bytes, *, body: bytes | None = None) -> Write:
    """What `write_record` was made from; `body` where it was left out."""
    parts, inline = _unframed(record)
    one = _words.one
    target = one(_octets(parts[5]))
    return Write(
        id=parts[0],
        route=one(parts[1]),
        keys=one(tuple(map(one, parts[2]))),
        shard=parts[3],
        method=one(parts[4]),
        target=target,
        forward_target=target if parts[6] is None else _octets(parts[6]),
        fields=_fields(parts[7]),
        body=inline if body is None else body,
        mode=Mode(parts[8]),
        accepted_at=parts[9],
        not_after=parts[10],
        scheme=one(parts[11]),
        authority=one(_octets(parts[12])),
        ingress=one(parts[13]),
        principal=one(parts[14]),
        client_key=None if parts[15] is None else _octets(parts[15]),
        idempotency=None
        if parts[16] is None
        else Idempotency(parts[16][0], parts[16][1], _octets(parts[16][2])),
        changed_targets=tuple(one(_octets(target)) for target in parts[17]),
        changed_tags=tuple(one(_octets(tag)) for tag in parts[18]),
    )


def end_record(write: Write, result: Result, *, position: int, started_at: float | None) -> bytes:
    """How a write ended: what its status shows, and its result, the origin's body last."""
    parts = [
        write.id,
        write.route,
        write.keys,
        write.shard,
        position,
        write.method,
        _text(write.target),
        write.mode,
        write.accepted_at,
        write.not_after,
        write.principal,
        started_at,
        result.state,
        result.attempts,
        result.sent,
        result.finished_at,
        result.status,
        _pairs(result.fields),
        result.complete,
        problem_text(result.problem),
    ]
    return _framed(parts, result.body)


def status_of(record: bytes) -> WriteStatus:
    """The status in an end."""
    parts, _ = _unframed(record)
    return WriteStatus(
        id=parts[0],
        route=parts[1],
        keys=tuple(parts[2]),
        shard=parts[3],
        position=parts[4],
        method=parts[5],
        target=_octets(parts[6]),
        mode=Mode(parts[7]),
        state=State(parts[12]),
        attempts=parts[13],
        accepted_at=parts[8],
        not_after=parts[9],
        principal=parts[10],
        started_at=parts[11],
        finished_at=parts[15],
        status=parts[16],
        problem=problem_of(parts[19]),
    )


def result_of(record: bytes) -> Result:
    """The result in an end."""
    parts, body = _unframed(record)
    return Result(
        state=State(parts[12]),
        attempts=parts[13],
        sent=parts[14],
        finished_at=parts[15],
        status=parts[16],
        fields=_fields(parts[17]),
        body=body,
        complete=parts[18],
        problem=problem_of(parts[19]),
    )


def event_text(event: CommitEvent) -> str:
    """An event as text."""
    return _encode(
        [
            event.write_id,
            event.route,
            event.keys,
            event.method,
            _text(event.target),
            event.state,
            event.at,
            event.ingress,
            event.status,
            event.accepted,
            None if event.etag is None else _text(event.etag),
            event.invalidated,
        ]
    )


def events_of(text: str) -> Iterator[LoggedEvent]:
    """The events of a row, which is a list of `[position, shard, what event_text gave]`."""
    for position, shard, parts in json.loads(text):
        yield LoggedEvent(position, _event_of(parts, shard=shard))


def _event_of(parts: list[Any], *, shard: int) -> CommitEvent:
    return CommitEvent(
        write_id=parts[0],
        route=parts[1],
        keys=tuple(parts[2]),
        shard=shard,
        method=parts[3],
        target=_octets(parts[4]),
        state=State(parts[5]),
        at=parts[6],
        ingress=parts[7],
        status=parts[8],
        accepted=parts[9],
        etag=None if parts[10] is None else _octets(parts[10]),
        invalidated=tuple(parts[11]),
    )
