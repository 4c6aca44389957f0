"""Every error raised on purpose, branched by whose fault it is.

The status that a client is answered and whether a retry can help are properties of the class;
nobody matches on text. Expected outcomes (a miss, not storable) are return values, not errors.
"""

from __future__ import annotations

from typing import ClassVar


class ProxyError(Exception):
    """Base of every error raised on purpose."""

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False


class ConfigError(ProxyError):
    """The configuration cannot be used; raised at start and at reload only."""


class ClientError(ProxyError):
    """The client sent something that we do not accept; `status` is what it is answered."""

    status = 400


class HeadTooLarge(ClientError):
    """Request line or header fields above `limits.max_head_bytes` (RFC 6585 §5)."""

    status = 431


class TargetTooLong(ClientError):
    """The request target is above its limit (RFC 9110 §15.5.15)."""

    status = 414


class BodyTooLarge(ClientError):
    """The request body is above the route's `max_request_body_bytes` (RFC 9110 §15.5.14)."""

    status = 413


class UnknownMethod(ClientError):
    """A method that the parser does not know (RFC 9110 §15.6.2)."""

    status = 501


class RequestTimeout(ClientError):
    """The client did not send its head or body in time (RFC 9110 §15.5.9)."""

    status = 408


class VersionNotSupported(ClientError):
    """A protocol version other than HTTP/1.0 and HTTP/1.1 (RFC 9110 §15.6.6)."""

    status = 505


class ExpectationFailed(ClientError):
    """An `Expect` other than 100-continue (RFC 9110 §15.5.18)."""

    status = 417


class MethodNotAllowed(ClientError):
    """A method that this route does not answer (RFC 9110 §15.5.6)."""

    status = 405


class Forbidden(ClientError):
    """The client may not do this (RFC 9110 §15.5.4)."""

    status = 403


class EntityMissing(ClientError):
    """What a write changes cannot be told from its request: something is absent, doubled or unreadable."""


class IdempotencyKeyMissing(ClientError):
    """The route takes no write without Idempotency-Key."""


class IdempotencyKeyMalformed(ClientError):
    """The field Idempotency-Key cannot be read, or is too long."""


class ClientGone(ProxyError):
    """The client closed its connection; nobody is left to be answered."""

    status = 499  # never sent; what the access log shows, as nginx does


class RouteNotFound(ProxyError):
    """No route matches the request's host and path."""

    status = 404


class LoopDetected(ProxyError):
    """The request came by here too often: an origin's address points back at us (RFC 5842 §7.2)."""

    status = 508


class RefusedError(ProxyError):
    """We refuse for lack of room; the client may come again."""

    status = 503
    retryable = True


class QueueFull(RefusedError):
    """The queue of writes holds as many as it may."""


class LaneFull(QueueFull):
    """As many writes of this entity wait as may (RFC 6585 §4)."""

    status = 429


class QueueUnavailable(RefusedError):
    """What keeps the writes cannot be read or written now; what it promised before, it still keeps."""


class WriteLost(ProxyError):
    """A write was given over to the worker that has them, and nobody knows what became of it."""

    status = 504


class WritesMoved(ProxyError):
    """This process gives the writes up to another, which is to get this request and its body, `octets`."""

    status = 503

    def __init__(self, text: str, octets: bytes = b"") -> None:
        super().__init__(text)
        self.octets = octets


class NotStored(ProxyError):
    """The client said `only-if-cached` and nothing stored may answer it (RFC 9111 §5.2.1.7)."""

    status = 504


class NotShared(ProxyError):
    """The key's owner has learnt that its answers are for nobody else: each asks the origin by itself."""


class NotForAsker(NotShared):
    """The owner's answer is not for the request that asked, but perhaps for others that wait with it."""


class OriginError(ProxyError):
    """The origin could not be asked, or gave an answer that we cannot pass on."""

    status = 502


class OriginUnreachable(OriginError):
    """No connection: refused, unresolvable, TLS failure, every address left out."""

    retryable = True


class OriginTimeout(OriginError):
    """The origin exceeded one of its time limits (connect, first byte, between bytes)."""

    status = 504


class OriginConnectTimeout(OriginTimeout):
    """No connection in time: nothing was sent."""


class OriginOverloaded(OriginError):
    """No slot under the origin's concurrency limit within `queue_timeout_s`, or its queue is full."""

    status = 503
    retryable = True


class OriginProtocolError(OriginError):
    """The origin's head or framing breaks RFC 9112; nothing of it is believed or stored."""


class OriginBodyCut(OriginError):
    """The origin's body ended before its declared end, or broke its framing."""


class RepresentationChanged(OriginError):
    """The origin's object changed, or went, between two slices: the answer that was begun cannot be ended."""


class FlightFailed(OriginError):
    """The forward request that this exchange waited for failed; the fact is told, not the leader's answer."""

    status = 503
    retryable = True


class WaitTimedOut(OriginError):
    """A waiter's deadline passed before the head of the answer came (`coalesce.wait_timeout_s`)."""

    status = 504
    retryable = True


class StorageError(ProxyError):
    """Our own storage failed in a way that cannot be made good by asking the origin."""


class StoredBodyDamaged(StorageError):
    """A stored body turned out to be damaged after its head was sent; it is cut and dropped."""


class PurgeNotDurable(StorageError):
    """A purge holds in this process, but was not written down: a restart may bring back what it removed."""
