"""Templates of a write's entities, targets and tags: text with variables, checked when it is compiled.

    {id}            a segment of the path, by its name in the rule's `path`
    {path}          the whole path, in its normal spelling
    {host}          the host, in lower case and without a port
    {query:name}    a parameter of the query            {header:Name}   a field of the request
    {json:a.b}      a scalar of a JSON body, by the names that lead to it

Where two variables stand in a key, the octets between them must be such that no value holds: else
`("a-b", "c")` and `("a", "b-c")` were one entity in `{x}-{y}`, and a client could stand in another's way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from proxy.policy.hop_by_hop import HOP_BY_HOP

MAX_JSON_DEPTH: Final = 8
"""Names of `{json:a.b}`; deeper than that no entity is named, but a mistake."""

RESERVED: Final = frozenset({"path", "host"})
"""No segment is called so."""

_PIECE: Final = re.compile(r"\{([^{}]*)\}|([{}])|([^{}]+)")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FIELD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PERCENT: Final = re.compile(r"%(?:([0-9A-Fa-f]{2}))?")
_NEVER_IN_A_VALUE: Final = re.compile(r"[^A-Za-z0-9._~%-]")
_NEVER_IN_A_PATH: Final = re.compile(r"[^A-Za-z0-9._~%/-]")
_VISIBLE: Final = "".join(map(chr, range(32, 127)))
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_CREDENTIALS: Final = frozenset({b"authorization", b"cookie"})
_SOURCES: Final = "{path}, {host}, {query:NAME}, {header:NAME}, {json:A.B}"


class Source(StrEnum):
    """Where a variable's value is taken from."""

    SEGMENT = "segment"
    PATH = "path"
    HOST = "host"
    QUERY = "query"
    HEADER = "header"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: `names` is one name, or those that lead to a member of a JSON text."""

    source: Source
    names: tuple[str, ...]

    def __str__(self) -> str:
        """As it is written in a template."""
        name = ".".join(self.names)
        named = self.source in (Source.QUERY, Source.HEADER, Source.JSON)
        return f"{{{self.source.value}:{name}}}" if named else f"{{{name}}}"


@dataclass(frozen=True, slots=True)
class Template:
    """Text and variables in turn, as they stand."""

    parts: tuple[str | Variable, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Its variables, in order."""
        return tuple(part for part in self.parts if isinstance(part, Variable))

    def fill(self, write: Callable[[Variable], str]) -> str:
        """The text with each variable written by the function."""
        return "".join([part if isinstance(part, str) else write(part) for part in self.parts])


def compile_template(text: str, *, segments: Collection[str]) -> Template:
    """A template whose segments are among these names. Raises: ValueError: found, and what to do."""
    if not text:
        raise ValueError("it is empty; write a name, as /posts/{id}")
    parts: list[str | Variable] = []
    for match in _PIECE.finditer(text):
        inner, brace, literal = match.groups()
        if brace is not None:
            raise ValueError(
                f"the {brace!r} at character {match.start() + 1} has no partner; a variable is written "
                "{name}, a brace as such %7B or %7D"
            )
        parts.append(_literal(literal) if literal is not None else _variable(inner, segments))
    return Template(tuple(parts))


def _variable(inner: str, segments: Collection[str]) -> Variable:
    source, colon, name = inner.partition(":")
    if not colon:
        return _segment(inner, segments)
    if source == "json":
        return Variable(Source.JSON, _json_names(inner))
    if source not in ("query", "header"):
        raise ValueError(f"{{{inner}}} is of no known kind; there are {_SOURCES}")
    if not name:
        raise ValueError(f"{{{inner}}} names nothing; write {{{source}:NAME}}")
    if source == "query":
        return Variable(Source.QUERY, (name,))
    if not _FIELD.fullmatch(name):
        raise ValueError(f"{{{inner}}} names no header field (RFC 9110 §5.1)")
    lower = name.lower().encode()
    if lower == b"host":
        raise ValueError(f"{{{inner}}} has many spellings; write {{host}}")
    if lower in HOP_BY_HOP:
        raise ValueError(f"{{{inner}}} belongs to the connection, and the origin does not see it")
    if lower in _CREDENTIALS:
        raise ValueError(
            f"{{{inner}}} holds credentials, and keys are shown; have a field that only names whose"
        )
    return Variable(Source.HEADER, (name,))


def _segment(name: str, segments: Collection[str]) -> Variable:
    if name in RESERVED:
        return Variable(Source(name), (name,))
    if name in segments:
        return Variable(Source.SEGMENT, (name,))
    if not name:
        raise ValueError("{} names nothing; write {name}")
    there = ", ".join(f"{{{one}}}" for one in segments) or "none"
    raise ValueError(
        f"{{{name}}} is not in the path, whose variables are: {there}; besides there are {_SOURCES}"
    )


def _json_names(inner: str) -> tuple[str, ...]:
    names = tuple(inner.partition(":")[2].split("."))
    if not all(names):
        raise ValueError(f"{{{inner}}} has an empty name; write {{json:A}} or {{json:A.B}}")
    if len(names) > MAX_JSON_DEPTH:
        raise ValueError(f"{{{inner}}} leads {len(names)} names deep; at most {MAX_JSON_DEPTH} are read")
    return names


def _literal(text: str) -> str:
    """In the spelling of values, so that what one rule writes out meets what another fills in."""
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("it holds a control character; leave it out")
    return _PERCENT.sub(_normal_octet, quote(text, safe=_VISIBLE))


def _normal_octet(match: re.Match[str]) -> str:
    if match[1] is None:
        raise ValueError("a % stands for itself only as %25; else two hexadecimal digits follow it")
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


# what each kind of template must be besides


def compile_key(text: str, *, segments: Collection[str]) -> Template:
    """A template of an entity. Raises: ValueError."""
    template = compile_template(text, segments=segments)
    before: Variable | None = None
    between = ""
    for part in template.parts:
        if isinstance(part, str):
            between = part
            continue
        if before is not None:
            _check_between(before, between, part)
        before, between = part, ""
    return template


def _check_between(before: Variable, between: str, behind: Variable) -> None:
    if before.source is Source.PATH:
        delimited = _NEVER_IN_A_PATH.search(between) is not None
    else:  # a path begins with a slash, which no other value holds
        delimited = behind.source is Source.PATH or _NEVER_IN_A_VALUE.search(between) is not None
    if delimited:
        return
    found = f"{before}{between}{behind}"
    raise ValueError(
        f"in {found} two entities could get one name, since a value may hold what stands between the "
        f"variables; write a colon there, as {before}:{behind}"
    )


def compile_target(text: str, *, segments: Collection[str]) -> Template:
    """A template of a target that is made untrue: path and query. Raises: ValueError."""
    template = compile_template(text, segments=segments)
    first = template.parts[0]
    if first != Variable(Source.PATH, ("path",)) and not (isinstance(first, str) and first.startswith("/")):
        raise ValueError("a target begins with / or {path}; of other origins nothing can be invalidated")
    for part in template.parts:
        if isinstance(part, str) and not set(" #").isdisjoint(part):
            raise ValueError("a target holds neither a space, which is written %20, nor a fragment")
    return template


def compile_tag(text: str, *, segments: Collection[str]) -> Template:
    """A template of a tag. Raises: ValueError."""
    template = compile_template(text, segments=segments)
    if not text.isascii() or any(isinstance(part, str) and set(part) & set(" ,") for part in template.parts):
        raise ValueError(
            "a tag is visible ASCII without a comma, since Surrogate-Key and Cache-Tag are lists of them"
        )
    return template
