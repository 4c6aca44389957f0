"""How writes, results and events become octets for the journal, and back.

msgpack takes bytes as they are and a third of the time that JSON takes, which is what the writer thread would
spend most on; bodies follow raw behind a head. A record names its parts by position: `schema.VERSION` rises
when one is added. Problems are JSON, in columns of their own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

try:
    import msgpack
except ImportError as _missing:  # pragma: no cover - the tests have it
    raise ImportError("Queued writes are kept with msgpack: pip install 'lockgate[writes]'.") from _missing

from proxy.http.fields import Fields
from proxy.writes.events import CommitEvent, LoggedEvent
from proxy.writes.port import WriteStatus
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from proxy.writes.write import Idempotency, Mode, Result, Write

Value = TypeVar("Value")

_LENGTH_BYTES: Final = 4


class _Packer(threading.local):
    """One for each thread: making one takes half as long as packing, and two threads may not share it."""

    def __init__(self) -> None:
        self.pack: Final = msgpack.Packer(unicode_errors="surrogatepass").pack


_packer: Final = _Packer()


def _packed(parts: object) -> bytes:
    # Names may hold surrogates, where octets of a request were no UTF-8.
    packed: bytes = _packer.pack(parts)
    return packed


def _unpacked(octets: bytes) -> list[Any]:
    parts: list[Any] = msgpack.unpackb(octets, unicode_errors="surrogatepass")
    return parts


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


def _fields(pairs: list[list[bytes]]) -> Fields:
    one = _pairs_pool.one
    return Fields([one((name, value)) for name, value in pairs])


def _framed(parts: tuple[object, ...], body: bytes) -> bytes:
    head = _packed(parts)
    return b"".join((len(head).to_bytes(_LENGTH_BYTES, "big"), head, body))


def _unframed(record: bytes) -> tuple[list[Any], bytes]:
    end = _LENGTH_BYTES + int.from_bytes(record[:_LENGTH_BYTES], "big")
    return _unpacked(record[_LENGTH_BYTES:end]), record[end:]


def problem_text(problem: Problem | None) -> str | None:
    """A problem as text; None stays None."""
    return None if problem is None else json.dumps([problem.type, problem.detail, problem.status])


def problem_of(text: str | None) -> Problem | None:
    """What `problem_text` was made from."""
    if text is None:
        return None
    kind, detail, status = json.loads(text)
    return Problem(ProblemType(kind), detail, status)


def write_record(write: Write, *, with_body: bool) -> bytes:
    """A whole write, its body last, or left out where a file has it."""
    idempotency = write.idempotency
    parts = (
        write.id,
        write.route,
        write.keys,
        write.shard,
        write.method,
        write.target,
        None if write.forward_target == write.target else write.forward_target,
        tuple(write.fields),
        write.mode,
        write.accepted_at,
        write.not_after,
        write.scheme,
        write.authority,
        write.ingress,
        write.principal,
        write.client_key,
        idempotency and (idempotency.scope, idempotency.key, idempotency.fingerprint),
        write.changed_targets,
        write.changed_tags,
    )
    return _framed(parts, write.body if with_body else b"")


def write_of(record: bytes, *, body: bytes | None = None) -> Write:
    """What `write_record` was made from; `body` where it was left out."""
    parts, inline = _unframed(record)
    one = _words.one
    target = one(parts[5])
    return Write(
        id=parts[0],
        route=one(parts[1]),
        keys=one(tuple(map(one, parts[2]))),
        shard=parts[3],
        method=one(parts[4]),
        target=target,
        forward_target=target if parts[6] is None else parts[6],
        fields=_fields(parts[7]),
        body=inline if body is None else body,
        mode=Mode(parts[8]),
        accepted_at=parts[9],
        not_after=parts[10],
        scheme=one(parts[11]),
        authority=one(parts[12]),
        ingress=one(parts[13]),
        principal=one(parts[14]),
        client_key=parts[15],
        idempotency=None if parts[16] is None else Idempotency(parts[16][0], parts[16][1], parts[16][2]),
        changed_targets=tuple(map(one, parts[17])),
        changed_tags=tuple(map(one, parts[18])),
    )


def end_record(write: Write, result: Result, *, position: int, started_at: float | None) -> bytes:
    """How a write ended: what its status shows, and its result, the origin's body last."""
    parts = (
        write.id,
        write.route,
        write.keys,
        write.shard,
        position,
        write.method,
        write.target,
        write.mode,
        write.accepted_at,
        write.not_after,
        write.principal,
        started_at,
        result.state,
        result.attempts,
        result.taken,
        result.finished_at,
        result.status,
        tuple(result.fields),
        result.complete,
        problem_text(result.problem),
    )
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
        target=parts[6],
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
        taken=parts[14],
        finished_at=parts[15],
        status=parts[16],
        fields=_fields(parts[17]),
        body=body,
        complete=parts[18],
        problem=problem_of(parts[19]),
    )


def event_record(event: CommitEvent) -> bytes:
    """An event, but for its position and its shard."""
    return _packed(
        (
            event.write_id,
            event.route,
            event.keys,
            event.method,
            event.target,
            event.state,
            event.at,
            event.ingress,
            event.status,
            event.accepted,
            event.etag,
            event.invalidated,
        )
    )


def event_row(events: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Several events as one row, each by its position, its shard and its record."""
    parts = []
    for position, shard, record in events:
        parts.append(_packed((position, shard)))
        parts.append(record)
    return b"".join(parts)


def events_of(row: bytes) -> Iterator[LoggedEvent]:
    """The events of a row."""
    unpacker = msgpack.Unpacker(unicode_errors="surrogatepass", max_buffer_size=len(row))
    unpacker.feed(row)
    for position, shard in unpacker:
        yield LoggedEvent(position, _event_of(unpacker.unpack(), shard=shard))


def _event_of(parts: list[Any], *, shard: int) -> CommitEvent:
    return CommitEvent(
        write_id=parts[0],
        route=parts[1],
        keys=tuple(parts[2]),
        shard=shard,
        method=parts[3],
        target=parts[4],
        state=State(parts[5]),
        at=parts[6],
        ingress=parts[7],
        status=parts[8],
        accepted=parts[9],
        etag=parts[10],
        invalidated=tuple(parts[11]),
    )
