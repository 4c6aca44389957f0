"""`Cache-Control` and `Pragma` as values (RFC 9111 §5.2, §5.4; RFC 5861; RFC 8246).

The field is a list of directives with optional arguments, not a structured field. Where it cannot be
read, what was meant cannot be known: a `private` may hide in it. Such a response is `malformed`, and
nobody shares it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol, Self

from proxy.http.fields import Fields

MAX_DELTA_S: Final = 2**31
"""What larger delta-seconds count as (RFC 9111 §1.2.2)."""

ANY_STALENESS_S: Final = MAX_DELTA_S
"""`RequestDirectives.max_stale` of a `max-stale` without argument."""

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_MEMBER = re.compile(rb'(?:[^,"]|"(?:[^"\\]|\\.)*")+', re.DOTALL)
_few_distinct = lru_cache(maxsize=256)  # parsed once: 5 µs saved a request, and nearly all values recur

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Directive:
    name: bytes
    argument: bytes | None
    """None if there is none or if it is neither a token nor a quoted string."""
    well_formed: bool


def _members(line: bytes) -> list[bytes]:
    """The line split at the commas outside quotes; at every comma if a quote is never closed."""
    members = []
    position = 0
    while position < len(line):
        match = _MEMBER.match(line, position)
        if match is not None:
            members.append(match.group())
            position = match.end()
        elif line[position] == ord(","):
            position += 1
        else:  # a quote that is never closed; read on in the hope of a directive that forbids
            members.append(b'"')
            members.extend(line[position + 1 :].split(b","))
            break
    return [member for part in members if (member := part.strip(b" \t"))]


def _directive(member: bytes) -> _Directive:
    name, equals, argument = member.partition(b"=")
    bare = name.strip(b" \t").lower()
    named = _TOKEN.fullmatch(name) is not None
    if not equals:
        return _Directive(bare, None, named)
    if _TOKEN.fullmatch(argument):
        return _Directive(bare, argument, named)
    if _QUOTED.fullmatch(argument):
        return _Directive(bare, _ESCAPED.sub(rb"\1", argument[1:-1]), named)
    return _Directive(bare, None, False)


class _Directives:
    """The directives of all lines by lower-case name, in the order sent."""

    __slots__ = ("_by_name", "well_formed")

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._by_name: dict[bytes, list[_Directive]] = {}
        self.well_formed = True
        for line in lines:
            for member in _members(line):
                directive = _directive(member)
                self._by_name.setdefault(directive.name, []).append(directive)
                self.well_formed = self.well_formed and directive.well_formed

    def has(self, name: bytes) -> bool:
        """Present in whatever form: for directives that forbid, an argument changes nothing."""
        return name in self._by_name

    def has_plain(self, name: bytes) -> bool:
        """Present as the grammar has it, without argument: for directives that permit."""
        found = self._by_name.get(name, ())
        return any(directive.argument is None and directive.well_formed for directive in found)

    def names_in(self, name: bytes) -> tuple[bytes, ...]:
        """The field names in the arguments of a qualified directive, lower case."""
        arguments = (directive.argument or b"" for directive in self._by_name.get(name, ()))
        parts = (part.strip(b" \t").lower() for argument in arguments for part in argument.split(b","))
        return tuple(part for part in parts if part)

    def seconds(self, name: bytes) -> int | None:
        """Its delta-seconds; None if absent, 0 if it cannot be read or is said twice differently (§4.2.1)."""
        found = self._by_name.get(name)
        if found is None:
            return None
        values = {_delta_seconds(directive) for directive in found}
        return values.pop() if len(values) == 1 else 0


class DirectiveSource(Protocol):
    """Directives as a field holds them; `targeted` fields are read by other rules and asked the same."""

    well_formed: bool

    def has(self, name: bytes) -> bool:
        """Present in whatever form."""

    def has_plain(self, name: bytes) -> bool:
        """Present without argument."""

    def names_in(self, name: bytes) -> tuple[bytes, ...]:
        """The field names in its argument, lower case."""

    def seconds(self, name: bytes) -> int | None:
        """Its delta-seconds; None if absent, 0 if they cannot be read."""


def _delta_seconds(directive: _Directive) -> int:
    argument = directive.argument
    if argument is None or not directive.well_formed:
        return 0
    return parse_delta_seconds(argument) or 0


def parse_delta_seconds(value: bytes) -> int | None:
    """A non-negative number of seconds, at most `MAX_DELTA_S`; None if it is anything else.

    Source: RFC 9111 §1.2.2.
    """
    if not value.isdigit():  # for bytes: ASCII digits only
        return None
    digits = value.lstrip(b"0")
    return MAX_DELTA_S if len(digits) > 10 else min(int(digits or b"0"), MAX_DELTA_S)


@dataclass(frozen=True, slots=True)
class ResponseDirectives:
    """What a response's `Cache-Control` says; the lifetimes are in seconds, None where absent.

    A `private` or `no-cache` with field names counts as one without: RFC 9111 §5.2.2.4 and §5.2.2.7 allow
    it, and many caches do. `malformed` means that some of the field could not be read, `targeted` that a
    field of RFC 9213 said it.
    """

    public: bool = False
    private: bool = False
    private_fields: tuple[bytes, ...] = ()
    no_store: bool = False
    no_cache: bool = False
    no_cache_fields: tuple[bytes, ...] = ()
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    no_transform: bool = False
    immutable: bool = False
    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    malformed: bool = False
    targeted: bool = False

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        """Read them from a response's Cache-Control alone; never raises. See `targeted` for the rest."""
        lines = fields.get_all(b"cache-control")
        return cls._of_lines(lines) if lines else cls()

    @classmethod
    @_few_distinct
    def _of_lines(cls, lines: tuple[bytes, ...]) -> Self:
        return cls.of(_Directives(lines))

    @classmethod
    def of(cls, found: DirectiveSource, *, targeted: bool = False) -> Self:
        """What the directives of one source say."""
        return cls(
            public=found.has_plain(b"public"),
            private=found.has(b"private"),
            private_fields=found.names_in(b"private"),
            no_store=found.has(b"no-store"),
            no_cache=found.has(b"no-cache"),
            no_cache_fields=found.names_in(b"no-cache"),
            must_revalidate=found.has(b"must-revalidate"),
            proxy_revalidate=found.has(b"proxy-revalidate"),
            must_understand=found.has(b"must-understand"),
            no_transform=found.has(b"no-transform"),
            immutable=found.has_plain(b"immutable"),
            max_age=found.seconds(b"max-age"),
            s_maxage=found.seconds(b"s-maxage"),
            stale_while_revalidate=found.seconds(b"stale-while-revalidate"),
            stale_if_error=found.seconds(b"stale-if-error"),
            malformed=not found.well_formed,
            targeted=targeted,
        )

    @property
    def forbids_stale(self) -> bool:
        """Whether no shared cache may serve it stale, for whatever reason (RFC 9111 §4.2.4).

        `s-maxage` is among them: it includes `proxy-revalidate` (§5.2.2.10).
        """
        return self.forbids_stale_in_words or self.s_maxage is not None

    @property
    def forbids_stale_in_words(self) -> bool:
        """The same without what `s-maxage` implies."""
        return self.no_cache or self.must_revalidate or self.proxy_revalidate


@dataclass(frozen=True, slots=True)
class RequestDirectives:
    """What a request's `Cache-Control` says; seconds, None where absent.

    What cannot be read counts as 0, which never makes more of a stored response usable.
    """

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    no_transform: bool = False
    max_age: int | None = None
    min_fresh: int | None = None
    max_stale: int | None = None
    stale_if_error: int | None = None

    @classmethod
    def parse(cls, fields: Fields) -> Self:
        """Read them from a request's fields; never raises.

        `Pragma: no-cache` counts only where there is no `Cache-Control` (RFC 9111 §5.4).
        """
        lines = fields.get_all(b"cache-control")
        if not lines and b"pragma" in fields:
            return cls(no_cache=_Directives(fields.get_all(b"pragma")).has(b"no-cache"))
        return cls._of_lines(lines)  # without lines, too: what says nothing is made once

    @classmethod
    @_few_distinct
    def _of_lines(cls, lines: tuple[bytes, ...]) -> Self:
        found = _Directives(lines)
        max_stale = found.seconds(b"max-stale")
        if max_stale == 0 and found.has_plain(b"max-stale"):
            max_stale = ANY_STALENESS_S
        return cls(
            no_cache=found.has(b"no-cache"),
            no_store=found.has(b"no-store"),
            only_if_cached=found.has(b"only-if-cached"),
            no_transform=found.has(b"no-transform"),
            max_age=found.seconds(b"max-age"),
            min_fresh=found.seconds(b"min-fresh"),
            max_stale=max_stale,
            stale_if_error=found.seconds(b"stale-if-error"),
        )


def without_directives(value: bytes, names: frozenset[bytes]) -> bytes:
    """The field value less the directives with these lower-case names; empty if none is left."""
    lowered = value.lower()
    if not any(name in lowered for name in names):
        return value
    kept = [member for member in _members(value) if _directive(member).name not in names]
    return b", ".join(kept)
