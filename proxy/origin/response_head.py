"""The response head: llhttp reads it, and a grammar of our own refuses what llhttp lets through.

Seen with httptools 0.9 in strict mode, accepted without a word: NUL in the reason phrase, HTTP/2.0,
HTTP/0.9 and RTSP/1.0 as the version, the statuses 099 and 999, empty lines before the status line,
`Transfer-Encoding: gzip, chunked` (whose `gzip` would be forgotten), and an unknown coding as a body that
ends with its connection.

An origin says the same again and again: within a second the heads of all answers of one kind are the same
octets. So what was read of the last few hundred heads is remembered, with all that follows from them whatever
was asked; and as it is the same object each time, others can remember by it what follows for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import httptools

from proxy.http.fields import Fields, Pair
from proxy.http.messages import ResponseHead
from proxy.http.remembered import KNOWN_HEAD_BYTES, KNOWN_HEADS
from proxy.origin.port import Framing

# RFC 9112 §4 and §5, without its leniencies: no bare CR or LF, no folding, no blank before a colon, no
# controls. One pass; possessive, so that a head that does not match is not searched again.
_HEAD = re.compile(
    rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*+)?\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n"
)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_BEGIN = b"HTTP/1."
_END = b"\r\n\r\n"

MAX_FIELDS = 256
"""Fields in one response head. Origins are trusted further than clients (100), yet each is an object."""


class HeadDefect(Exception):
    """What is wrong with a head; becomes an OriginProtocolError where origin and address are known."""


class _Collector:
    __slots__ = ("pairs", "reason")

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self.reason = b""

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name, value.rstrip(b" \t")))


def read_response_head(raw: bytes) -> ResponseHead:
    """The head that these octets are, from the status line to the empty line.

    Raises: HeadDefect. Source: RFC 9112 §4, §5.
    """
    if _HEAD.fullmatch(raw) is None:
        raise HeadDefect(f"its head breaks the grammar of RFC 9112: {_first_bad_line(raw)!r}")
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # 101 with its Upgrade field; what follows is not HTTP
    except httptools.HttpParserError as error:
        # 101 without an Upgrade field stops the parser too, after the head; the exchange judges it.
        if not raw.startswith(b"101", 9):
            raise HeadDefect(f"its head is malformed: {error}") from error
    pairs = collector.pairs
    if len(pairs) != raw.count(b"\r\n") - 2:
        raise HeadDefect("its head is malformed: the parser gave up inside it")
    if len(pairs) > MAX_FIELDS:
        raise HeadDefect(f"its head has {len(pairs)} fields, above {MAX_FIELDS}")
    return ResponseHead(
        status=int(raw[9:12]), fields=Fields(pairs), reason=collector.reason, minor_version=raw[7] - 48
    )


@dataclass(frozen=True, slots=True)
class ReceivedHead:
    """A head and what follows from it, whatever was asked.

    `framing` and `length` are those of a body, if there is one (`framing_for`). `keeps_alive`: the connection
    may carry another request. `lasts`: it begins an event stream, which goes on for as long as it is read.
    """

    head: ResponseHead
    framing: Framing
    length: int | None
    keeps_alive: bool
    lasts: bool

    @classmethod
    def of(cls, head: ResponseHead) -> Self:
        """Raises: HeadDefect, for framing that two readers could understand differently."""
        framing, length = _declared_framing(head)
        kind = head.fields.get(b"content-type")
        lasts = kind is not None and kind.partition(b";")[0].strip().lower() == b"text/event-stream"
        return cls(head, framing, length, keeps_alive(head), lasts)

    def framing_for(self, method: str) -> tuple[Framing, int | None]:
        """How the body is delimited in the answer to such a request, and its length where that is known.

        Source: RFC 9112 §6.3.
        """
        status = self.head.status
        if method == "HEAD" or status in (204, 304) or status < 200:
            return Framing.NONE, 0
        return self.framing, self.length


def received_head(raw: bytes) -> ReceivedHead:
    """The head that these octets are, from the status line to the empty line. Raises: HeadDefect."""
    return _known_head(raw) if len(raw) <= KNOWN_HEAD_BYTES else ReceivedHead.of(read_response_head(raw))


@lru_cache(maxsize=KNOWN_HEADS)
def _known_head(raw: bytes) -> ReceivedHead:
    return ReceivedHead.of(read_response_head(raw))


class HeadReader:
    """Cuts whole heads off what arrives; refuses one that is too long, or no head, while it arrives."""

    __slots__ = ("_max_head_bytes", "_partial")

    def __init__(self, *, max_head_bytes: int) -> None:
        self._max_head_bytes = max_head_bytes
        self._partial: bytearray | None = None

    def cut(self, octets: bytes) -> tuple[bytes | None, bytes]:
        """The first whole head, None if it is not there yet, and what follows it.

        Raises: HeadDefect.
        """
        limit = self._max_head_bytes
        partial = self._partial
        if partial is None:
            end = octets.find(_END, 0, limit)
            if end >= 0:
                return octets[: end + 4], octets[end + 4 :]
            self._partial = partial = bytearray(octets)
        else:
            begin = max(0, len(partial) - 3)  # the end may lie in two segments
            partial += octets
            end = partial.find(_END, begin, limit)
            if end >= 0:
                self._partial = None
                return bytes(partial[: end + 4]), bytes(partial[end + 4 :])
        _check_partial(partial)
        if len(partial) >= limit:
            raise HeadDefect(f"its head is longer than max_head_bytes ({limit})")
        return None, b""


def _check_partial(octets: bytearray) -> None:
    # A peer that ends its lines with LF alone would be waited for until the time limit.
    if not octets.startswith(_BEGIN[: len(octets)]):
        raise HeadDefect(f"it does not speak HTTP/1: {bytes(octets[:40])!r}")
    if octets.count(b"\n") != octets.count(b"\r\n"):
        raise HeadDefect("its head has a line that ends with LF alone")


def _first_bad_line(raw: bytes) -> bytes:
    lines = raw[:-4].split(b"\r\n")
    if _HEAD.fullmatch(lines[0] + b"\r\n\r\n") is None:
        return lines[0][:80]
    good = lines[0] + b"\r\n"
    bad = (line for line in lines[1:] if _HEAD.fullmatch(good + line + b"\r\n\r\n") is None)
    return next(bad, b"")[:80]


def _declared_framing(head: ResponseHead) -> tuple[Framing, int | None]:
    """How a body of this answer is delimited, and its length where that is known beforehand.

    Anything that two readers could understand differently is a defect, also where the answer has no body.

    Raises: HeadDefect. Source: RFC 9112 §6.1–6.3.
    """
    coded = _is_chunked(head)
    length = _declared_length(head)
    if coded and length is not None:
        raise HeadDefect("its head has both Content-Length and Transfer-Encoding")
    if coded:
        return Framing.CHUNKED, None
    if length is not None:
        return Framing.LENGTH, length
    return Framing.CLOSE, None


def _is_chunked(head: ResponseHead) -> bool:
    codings = head.fields.get_all(b"transfer-encoding")
    if not codings:
        return False
    if len(codings) > 1 or codings[0].lower() != b"chunked":
        raise HeadDefect(
            f"its Transfer-Encoding is {b', '.join(codings)[:80]!r}; only `chunked` is understood"
        )
    if head.minor_version == 0:
        raise HeadDefect("it sends Transfer-Encoding with HTTP/1.0")
    return True


def _declared_length(head: ResponseHead) -> int | None:
    lengths = head.fields.get_all(b"content-length")
    if not lengths:
        return None
    if len(lengths) > 1:
        raise HeadDefect("its head has several Content-Length fields")
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise HeadDefect(f"its Content-Length is {lengths[0][:40]!r}, which is not a number of octets")
    return int(lengths[0])


def keeps_alive(head: ResponseHead) -> bool:
    """Whether the connection may carry another request after this answer (RFC 9112 §9.3).

    A 204 that announces a body is answered for by nobody: what the origin sends after it is not waited for.
    """
    said = head.fields.get(b"connection")
    if (said is None and head.minor_version == 0) or (said is not None and said != b"keep-alive"):
        tokens = [token.lower() for token in head.fields.members(b"connection")]
        if b"close" in tokens:
            return False
        if head.minor_version == 0 and b"keep-alive" not in tokens:
            return False
    if head.status != 204:
        return True
    announces = b"transfer-encoding" in head.fields or head.fields.get(b"content-length") not in (None, b"0")
    return not announces
