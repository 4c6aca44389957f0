"""How one request is answered, as read from its query string over the stub's defaults."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from origin_stub.raw import RAW_KINDS

DELAY_CAP_S = 30.0
_PARETO_SHAPE = 1.5  # finite mean of 3 times the scale, infinite variance: a heavy tail
_FAIL = re.compile(r"(?P<rate>[0-9.]+)(:(?P<kind>[a-z0-9]+))?")


class BadBehaviour(ValueError):
    """A parameter that cannot be read; the text names it, its value and the form."""


class DelayKind(StrEnum):
    """How a delay is drawn."""

    FIXED = "fixed"
    RANGE = "range"
    PARETO = "pareto"


@dataclass(frozen=True, slots=True)
class Delay:
    """Seconds before the head: `low_s`, uniform up to `high_s`, or Pareto with `low_s` as its minimum."""

    kind: DelayKind = DelayKind.FIXED
    low_s: float = 0.0
    high_s: float = 0.0

    def draw(self, chance: random.Random) -> float:
        """One delay in seconds; a heavy tail ends at 30."""
        match self.kind:
            case DelayKind.FIXED:
                return self.low_s
            case DelayKind.RANGE:
                return chance.uniform(self.low_s, self.high_s)
            case DelayKind.PARETO:
                return min(DELAY_CAP_S, self.low_s * chance.paretovariate(_PARETO_SHAPE))


@dataclass(frozen=True, slots=True)
class Failure:
    """With which probability a request fails, and how: a status, or `reset`, `hang`, `cut`."""

    rate: float
    kind: str = "503"


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends after so many octets of the body, by a close or a reset."""

    after_bytes: int
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Everything that a query may ask for; each field is a parameter of the same name."""

    delay: Delay = Delay()
    """Seconds before the head: `0.2`, `0.1-0.5` (uniform) or `pareto:0.05` (heavy tail)."""
    size: int = 1024
    """Octets of the body."""
    chunked: bool = False
    """Whether the body is sent in chunks instead of with Content-Length."""
    chunks: int = 0
    """Number of chunks; sets `chunked`."""
    status: int = 200
    """Status of the answer."""
    cc: str | None = None
    """Cache-Control; no field when absent."""
    vary: str | None = None
    """Vary; with `unique` the named fields are in the body."""
    cookie: str | None = None
    """Name of a cookie that is set to another value each time."""
    etag: str | None = None
    """`1` for a strong entity tag, `weak` for a weak one, else the tag's text."""
    lm: float | None = None
    """Last-Modified, so many seconds before the stub began or the path was touched."""
    unique: bool = False
    """Whether the body is JSON with the request's number, X-Who, Cookie, Authorization and fields of Vary."""
    fail: Failure | None = None
    """`RATE` or `RATE:KIND`: this share of requests fails, with a status (503), `reset`, `hang` or `cut`."""
    hang: bool = False
    """Whether no head ever comes."""
    reset: bool = False
    """Whether the connection is reset before the head."""
    cut: Cut | None = None
    """`N` or `N:reset`: the connection ends after N octets of the body."""
    drip: float = 0.0
    """Octets of the body per second; 0 sets no limit."""
    raw: str | None = None
    """An answer that no server should give, by its name in `origin_stub.raw`."""
    hints: bool = False
    """Whether 103 Early Hints goes before the answer."""
    type: str | None = None
    """Content-Type."""
    header: tuple[tuple[str, str], ...] = field(default=())
    """`Name:value`, may be repeated: further fields of the answer."""

    def with_parameters(self, parameters: Iterable[tuple[str, str]]) -> Behaviour:
        """These parameters over this behaviour; names that are none are left alone.

        Raises: BadBehaviour.
        """
        changes: dict[str, object] = {}
        header = self.header
        for name, text in parameters:
            reader = _READERS.get(name)
            if reader is None:
                continue
            try:
                value = reader(text)
            except ValueError as error:
                raise BadBehaviour(f"{name}={text}: {error}") from None
            if name == "header":
                header = (*header, _header(text))
            else:
                changes[name] = value
        if changes.get("chunks"):
            changes["chunked"] = True
        return replace(self, header=header, **changes)  # type: ignore[arg-type]


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("write a number of octets or pieces, 0 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError("write a number, 0 or more")
    return value


def _flag(text: str) -> bool:
    if text not in ("", "0", "1"):
        raise ValueError("write 1 or 0")
    return text != "0"


def _delay(text: str) -> Delay:
    if text.startswith("pareto:"):
        return Delay(DelayKind.PARETO, _seconds(text.removeprefix("pareto:")))
    low, dash, high = text.partition("-")
    if not dash:
        return Delay(DelayKind.FIXED, _seconds(low))
    delay = Delay(DelayKind.RANGE, _seconds(low), _seconds(high))
    if delay.high_s < delay.low_s:
        raise ValueError("the range's end is below its begin")
    return delay


def _status(text: str) -> int:
    if not text.isdigit() or not 200 <= int(text) <= 599:
        raise ValueError("write a final status, 200 to 599")
    return int(text)


def _failure(text: str) -> Failure:
    match = _FAIL.fullmatch(text)
    if match is None:
        raise ValueError("write RATE or RATE:KIND, as 0.1 or 0.1:reset")
    rate = _seconds(match["rate"])
    kind = match["kind"] or "503"
    if rate > 1:
        raise ValueError("a rate is at most 1")
    if kind not in ("reset", "hang", "cut"):
        _status(kind)
    return Failure(rate, kind)


def _cut(text: str) -> Cut:
    octets, colon, how = text.partition(":")
    if colon and how != "reset":
        raise ValueError("write N or N:reset")
    return Cut(_count(octets), reset=bool(colon))


def _raw(text: str) -> str:
    if text not in RAW_KINDS:
        raise ValueError(f"known are {', '.join(RAW_KINDS)}")
    return text


def _value(text: str) -> str:
    if any(ord(character) < 32 and character != "\t" for character in text):
        raise ValueError("a field value holds no control characters")
    return text


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name:
        raise ValueError("write Name:value")
    return _value(name), _value(value.strip())


_READERS: dict[str, Callable[[str], object]] = {
    "delay": _delay,
    "size": _count,
    "chunked": _flag,
    "chunks": _count,
    "status": _status,
    "cc": _value,
    "vary": _value,
    "cookie": _value,
    "etag": _value,
    "lm": _seconds,
    "unique": _flag,
    "fail": _failure,
    "hang": _flag,
    "reset": _flag,
    "cut": _cut,
    "drip": _seconds,
    "raw": _raw,
    "hints": _flag,
    "type": _value,
    "header": _header,
}

PARAMETERS: tuple[str, ...] = tuple(each.name for each in fields(Behaviour))
assert set(PARAMETERS) == set(_READERS), "each field of Behaviour has its reader"
