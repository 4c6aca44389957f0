"""The origin port: what a forward request is, what comes back, and what may go wrong.

Everything above the origin leg knows these classes only. `proxy.origin.client` is the adapter over
sockets; the simulation and unit tests use one in memory, and both pass `tests/origin/test_contract.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.peers.question import Question
from proxy.peers.word import OwnersWord


class Framing(StrEnum):
    """How a message body is delimited (RFC 9112 §6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"
    """Ends with the connection: its end cannot be told from a cut, so it is passed on and never stored."""


AT_HAND_BYTES = 64 * 1024
"""A longer body is read in pieces: so much is written without waiting for the origin to take it."""


class RequestBody(Protocol):
    """The body of a client's request, read once, piece by piece."""

    @property
    def length(self) -> int | None:
        """Declared octets; None if the body is chunked."""

    @property
    def touched(self) -> bool:
        """Whether any of it has been read: then the request cannot be sent a second time."""

    def at_hand(self) -> bytes | None:
        """All of it, which is read by this: a short body of declared length that is here; else None."""

    async def read(self) -> bytes:
        """The next piece; `b""` at the end.

        Raises: ClientGone, ClientError (bad framing, time-out, above the limit).
        """


@dataclass(frozen=True, slots=True)
class ForwardRequest:
    """One request to an origin.

    `fields` are complete, Host included, but without framing and connection fields (Content-Length,
    Transfer-Encoding, Connection, Upgrade, Expect): the adapter writes those.
    `upgrade` is the Upgrade value where the protocol switch is passed through.
    `expect_continue` asks the origin with `Expect: 100-continue` before the body is read.
    `may_repeat` says that the request may be sent again when a kept connection died before any
    byte of the answer (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
    `question` is what another worker may be asked in the origin's place, which owns the key.
    `written` keeps the head's octets of a request that is sent again and again, by method and authority: a
    copy of it with another method shares them.
    `before_sending` is called in the step that writes the first octet, each time that one is written; what
    it raises ends the request unsent.
    """

    method: str
    target: bytes
    fields: Fields
    body: RequestBody | None = None
    upgrade: bytes | None = None
    expect_continue: bool = False
    may_repeat: bool = False
    question: Question | None = None
    written: dict[tuple[str, bytes], bytes] | None = field(default=None, compare=False, repr=False)
    before_sending: Callable[[], None] | None = None


class Tunnel(Protocol):
    """The connection after 101: octets both ways."""

    async def read(self) -> bytes:
        """The next octets, `b""` when the origin has closed. Raises: OriginError."""

    async def write(self, octets: bytes) -> None:
        """Send, waiting while the origin is slow. Raises: OriginError."""

    def write_eof(self) -> None:
        """Tell the origin that nothing more will come."""

    def close(self) -> None:
        """Drop the connection."""


class OriginResponse(Protocol):
    """An answer whose head has been checked and whose body is read piece by piece.

    Whoever received it owns it and calls `close()` in the end, however it ends.
    """

    @property
    def head(self) -> ResponseHead:
        """The final head, framing and connection fields included (1xx but 101 went to `on_informational`)."""

    @property
    def framing(self) -> Framing:
        """How the body is delimited."""

    @property
    def length(self) -> int | None:
        """Declared octets of the body; None unless framing is LENGTH (0 for NONE)."""

    @property
    def tunnel(self) -> Tunnel | None:
        """Set after a 101 to a request with `upgrade`."""

    @property
    def word(self) -> OwnersWord | None:
        """What the owner of the key said of its answer; None where the origin was asked."""

    async def read(self) -> bytes:
        """The next piece of the body, `b""` at its proper end.

        Raises: OriginBodyCut, OriginTimeout, OriginProtocolError. Never a short body without an error,
        except with framing CLOSE, where nobody can tell.
        """

    def close(self) -> None:
        """Give the connection back if the answer was read to its end, else drop it. Idempotent."""


OnInformational = Callable[[ResponseHead], None]


class Origin(Protocol):
    """A named origin with its addresses, limits and health."""

    @property
    def name(self) -> str:
        """As in the configuration."""

    async def send(
        self, request: ForwardRequest, *, on_informational: OnInformational | None = None
    ) -> OriginResponse:
        """Send and wait for the final response head; the body of the request may still be on its way.

        Cancelling it drops the connection and gives the slot back.

        Raises: OriginUnreachable, OriginConnectTimeout, OriginOverloaded (nothing was sent), OriginTimeout,
        OriginProtocolError; and what `request.body.read()` raises if that ends the request before an
        answer came.
        """
