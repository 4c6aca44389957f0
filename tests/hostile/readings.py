"""Three readings of the same octets: one strict, two lenient in the ways that smuggling lives from.

An origin is safe behind us if all of its conceivable parsers see the same requests. So what it received is
read by the letter of RFC 9112, and by readers that accept bare LF, blanks before a colon, underscores for
hyphens, `xchunked`, signs and `0x`, one believing Content-Length first, one Transfer-Encoding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_START = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)")
_ALLOWED_START = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +([\x21-\x7e]+) +HTTP/1\.[01]")
_ALLOWED_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})")
_ALLOWED_SIZE = re.compile(rb"([0-9A-Fa-f]+)(?:;[\t\x20-\x7e\x80-\xff]*)?")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?")


class NotHttp(Exception):
    """The octets break RFC 9112."""


class Incomplete(Exception):
    """More octets belong to the message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response; `start` is (method, target) or (status, reason)."""

    start: tuple[bytes, bytes]
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    trailers: bytes = b""

    def get(self, name: bytes) -> bytes | None:
        """The field's value, its lines joined."""
        values = [value for found, value in self.fields if found.lower() == name]
        return b", ".join(values) if values else None


@dataclass(slots=True)
class _Cursor:
    octets: bytes
    at: int = 0
    field_line: re.Pattern[bytes] = _FIELD
    size_line: re.Pattern[bytes] = _SIZE

    def line(self) -> bytes:
        end = self.octets.find(b"\r\n", self.at)
        if end < 0:
            raise Incomplete
        line, self.at = self.octets[self.at : end], end + 2
        return line

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.octets):
            raise Incomplete
        taken, self.at = self.octets[self.at : self.at + count], self.at + count
        return taken


def strict_requests(octets: bytes) -> tuple[list[Message], bytes]:
    """The requests in these octets, and what is left of an incomplete one.

    Raises: NotHttp.
    """
    cursor = _Cursor(octets)
    found: list[Message] = []
    while cursor.at < len(octets):
        begin = cursor.at
        try:
            start = _matched(_START, cursor.line())
            found.append(_with_body(cursor, start, has_body=True))
        except Incomplete:
            return found, octets[begin:]
    return found, b""


def allowed_requests(octets: bytes) -> list[Message]:
    """The requests that we may see in what a client sent, up to the first thing that we must refuse.

    As strict as `strict_requests` where readers differ; it lets pass what all understand in one way: empty
    lines in front, several spaces in the request line, blanks around values, chunk extensions, trailers.
    """
    cursor = _Cursor(octets, field_line=_ALLOWED_FIELD, size_line=_ALLOWED_SIZE)
    found: list[Message] = []
    try:
        while True:
            while octets[cursor.at : cursor.at + 1] in (b"\r", b"\n"):
                cursor.at += 1
            start = _matched(_ALLOWED_START, cursor.line())
            found.append(_with_body(cursor, start, has_body=True))
    except (Incomplete, NotHttp):
        return found


def allowed_response(octets: bytes) -> Message | None:
    """The answer to a GET that we may see in what an origin sent before it closed; None if there is none."""
    cursor = _Cursor(octets, field_line=_ALLOWED_FIELD, size_line=_ALLOWED_SIZE)
    try:
        return _response(cursor, method=b"GET", closed=True)
    except (Incomplete, NotHttp):
        return None


def strict_response(octets: bytes, *, method: bytes = b"GET", closed: bool = False) -> tuple[Message, int]:
    """The first response and where it ends, 1xx ones skipped.

    Raises: NotHttp; Incomplete.
    """
    cursor = _Cursor(octets)
    return _response(cursor, method=method, closed=closed), cursor.at


def _response(cursor: _Cursor, *, method: bytes, closed: bool) -> Message:
    while True:
        start = _matched(_STATUS, cursor.line())
        status = int(start[0])
        bodyless = method == b"HEAD" or status in (204, 304) or status < 200
        response = _with_body(cursor, start, has_body=not bodyless, until_close=True, closed=closed)
        if status >= 200 or status == 101:
            return response


def _matched(pattern: re.Pattern[bytes], line: bytes) -> tuple[bytes, bytes]:
    match = pattern.fullmatch(line)
    if match is None:
        raise NotHttp(line)
    return match[1], match[2] or b""


def _with_body(
    cursor: _Cursor,
    start: tuple[bytes, bytes],
    *,
    has_body: bool,
    until_close: bool = False,
    closed: bool = False,
) -> Message:
    fields = []
    while line := cursor.line():
        fields.append(_matched(cursor.field_line, line))
    message = Message(start, tuple(fields))
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    codings = [value for name, value in fields if name.lower() == b"transfer-encoding"]
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
        raise NotHttp(b"framing said more than once")
    if codings and codings[0].lower() != b"chunked":
        raise NotHttp(codings[0])
    if lengths and not re.fullmatch(rb"[0-9]+", lengths[0]):
        raise NotHttp(lengths[0])
    if not has_body:
        return message
    body, trailers = b"", b""
    if codings:
        body, trailers = _chunks(cursor)
    elif lengths:
        body = cursor.take(int(lengths[0]))
    elif until_close:
        if not closed:
            raise Incomplete
        body = cursor.take(len(cursor.octets) - cursor.at)
    return Message(start, tuple(fields), body, trailers)


def _chunks(cursor: _Cursor) -> tuple[bytes, bytes]:
    content = b""
    while True:
        line = cursor.line()
        match = cursor.size_line.fullmatch(line)
        if match is None:
            raise NotHttp(line)
        size = int(match[1], 16)
        if size == 0:
            trailers = b""
            while line := cursor.line():
                trailers += line + b"\r\n"
            return content, trailers
        content += cursor.take(size)
        if cursor.take(2) != b"\r\n":
            raise NotHttp(b"no CRLF after a chunk")


def lenient_requests(octets: bytes, *, believes: bytes) -> list[tuple[bytes, bytes]]:
    """Method and target of each request that a careless server could see.

    `believes` is the field that wins: `content-length` or `transfer-encoding`.
    """
    found = []
    at = 0
    while True:
        while octets[at : at + 1] in (b"\r", b"\n", b" ", b"\0"):
            at += 1
        lines, after = _until_blank_line(octets, at)
        words = lines[0].split() if lines else []
        if after is None or len(words) < 2:
            return found
        found.append((words[0], words[1]))
        at = _after_body(octets, after, lines[1:], believes)


def _until_blank_line(octets: bytes, at: int) -> tuple[list[bytes], int | None]:
    """The lines up to an empty one, and where what follows begins; None if there is no empty line."""
    lines = []
    while (end := octets.find(b"\n", at)) >= 0:
        line, at = octets[at:end].rstrip(b"\r"), end + 1
        if not line:
            return lines, at
        lines.append(line)
    return lines, None


def _after_body(octets: bytes, at: int, lines: list[bytes], believes: bytes) -> int:
    values: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        canonical = name.strip(b" \t\v\f\0\r").lower().replace(b"_", b"-")
        values.setdefault(canonical, value.strip(b" \t\v\f\0\r\"'").lower())
    chunked = b"chunked" in values.get(b"transfer-encoding", b"")
    length = values.get(b"content-length")
    if chunked and (believes == b"transfer-encoding" or length is None):
        return _after_chunks(octets, at)
    digits = re.search(rb"[0-9]+", length or b"0")
    return at + (int(digits[0]) if digits else 0)


def _after_chunks(octets: bytes, at: int) -> int:
    while (end := octets.find(b"\n", at)) >= 0:
        digits = re.match(rb"\s*(?:0x)?\+?([0-9a-fA-F_]+)", octets[at:end])
        size = int(digits[1].replace(b"_", b"") or b"0", 16) if digits else 0
        at = end + 1
        if size == 0:
            after = _until_blank_line(octets, at)[1]
            return len(octets) if after is None else after
        at += size
        while octets[at : at + 1] in (b"\r", b"\n"):
            at += 1
    return len(octets)
