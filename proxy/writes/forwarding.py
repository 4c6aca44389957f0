"""Sends one write to its origin, once, and reads what came of it.

A write goes over a new connection or one that was idle for less than a second, is never repeated by the
origin leg, and asks the caller in the very step that sends its first octet: by then it may have waited for
a place at the origin, and its lease may be over.

The answer's body is held, up to a limit, for it is kept for a replay and the lane is to be free again
however slowly a client reads. What is above the limit stays in the connection: a client that waits gets it
streamed from there, anybody else does without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxy.clock import Clock
from proxy.errors import OriginError, OriginTimeout, OriginUnreachable, ProxyError
from proxy.http.dates import parse_http_date
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.origin.port import AT_HAND_BYTES, ForwardRequest, Origin, OriginResponse
from proxy.writes.limit import TaskLimit
from proxy.writes.outcomes import Reading, read_answer, read_error
from proxy.writes.policy import WritePolicy
from proxy.writes.write import Write

_MAX_RETRY_AFTER_DIGITS = 9


class OneBody:
    """A whole body as `proxy.origin.port.RequestBody`."""

    __slots__ = ("_octets", "touched")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.touched = False

    @property
    def length(self) -> int:
        return len(self._octets)

    def at_hand(self) -> bytes | None:
        if self.touched or len(self._octets) > AT_HAND_BYTES:
            return None
        self.touched = True
        return self._octets

    async def read(self) -> bytes:
        if self.touched:
            return b""
        self.touched = True
        return self._octets


@dataclass(slots=True)
class Attempt:
    """What came of sending a write once. With an answer, `response` is open: whoever has it closes it."""

    reading: Reading
    response: OriginResponse | None = None
    limit: TaskLimit | None = None

    @property
    def head(self) -> ResponseHead | None:
        """The answer's head; None without an answer."""
        return None if self.response is None else self.response.head

    def close(self) -> None:
        """Do without the answer's body."""
        if self.limit is not None:
            self.limit.stop()
        if self.response is not None:
            self.response.close()


@dataclass(slots=True)
class Kept:
    """The body of an answer as far as it is kept; `whole` if that is all of it. `rest` is open."""

    octets: bytes = b""
    whole: bool = True
    rest: OriginResponse | None = None


class Forwarder:
    """Sends writes to origins by their names."""

    def __init__(self, origins: Mapping[str, Origin], *, clock: Clock) -> None:
        self._origins = origins
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Forwarder to {', '.join(self._origins)}>"

    async def send(self, write: Write, policy: WritePolicy, *, before_sending: Callable[[], None]) -> Attempt:
        """Send it once and wait for the answer's head, `policy.origin_timeout_s` from the first octet.

        `before_sending` may raise a ProxyError: then nothing is sent. Cancelling it drops the connection.
        """
        origin = self._origins.get(policy.origin)
        if origin is None:  # the configuration was changed while it waited
            unreachable = OriginUnreachable(f"no origin is called {policy.origin} any more")
            return Attempt(read_error(unreachable, sent=False))
        sent = False
        limit = TaskLimit()

        def sending() -> None:
            nonlocal sent
            before_sending()
            sent = True
            limit.begin(policy.origin_timeout_s)

        request = ForwardRequest(
            method=write.method,
            target=write.forward_target,
            fields=_fields(write, policy),
            body=OneBody(write.body) if write.body else None,
            before_sending=sending,
        )
        try:
            response = await origin.send(request)
        except asyncio.CancelledError:
            if not limit.raises_now():
                raise
            told = f"origin {policy.origin}: no answer within writes.origin_timeout_s"
            return Attempt(read_error(OriginTimeout(told), sent=True))
        except ProxyError as error:
            return Attempt(read_error(error, sent=sent))
        finally:
            limit.lift()
        return Attempt(self._read(response.head), response, limit)

    def _read(self, head: ResponseHead) -> Reading:
        if b"retry-after" not in head.fields:
            return read_answer(head.status)
        return read_answer(head.status, retry_after_s=retry_after(head.fields, now=self._clock.now()))

    async def keep(self, attempt: Attempt, policy: WritePolicy, *, leave_rest: bool) -> Kept:
        """Read the body as far as it is kept. A body that is cut takes nothing back of what its head said.

        With `leave_rest` the response stays open where it is longer; else it is closed.
        """
        response, limit = attempt.response, attempt.limit or TaskLimit()
        assert response is not None, "without an answer nothing is kept"
        pieces: list[bytes] = []
        rest = None
        limit.begin(policy.origin_timeout_s)
        try:
            whole = await _read_up_to(response, policy.max_answer_bytes, pieces)
            if not whole and leave_rest:
                rest = response
        except OriginError:
            whole = False
        except asyncio.CancelledError:
            if not limit.raises_now():
                raise
            whole = False
        finally:
            limit.stop()
            if rest is None:
                response.close()
        return Kept(pieces[0] if len(pieces) == 1 else b"".join(pieces), whole, rest)


async def _read_up_to(response: OriginResponse, limit_bytes: int, pieces: list[bytes]) -> bool:
    """Whether the body ended before it passed the limit."""
    size = 0
    while piece := await response.read():
        pieces.append(piece)
        size += len(piece)
        if size > limit_bytes:
            return False
    return True


def _fields(write: Write, policy: WritePolicy) -> Fields:
    if not policy.send_key:
        return write.fields
    key = write.client_key if write.client_key is not None else b'"%b"' % write.id.encode()
    return write.fields.with_added((b"Idempotency-Key", key))


def retry_after(fields: Fields, *, now: float) -> float | None:
    """Seconds that Retry-After asks for; None if it is absent or unreadable (RFC 9110 §10.2.3)."""
    value = fields.get(b"retry-after")
    if value is None:
        return None
    if value.isdigit():
        return float(value) if len(value) <= _MAX_RETRY_AFTER_DIGITS else None
    at = parse_http_date(value, now=now)
    return None if at is None else max(0.0, at - now)
