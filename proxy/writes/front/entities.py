"""What a write changes: by the first rule whose path matches, its entities and what else becomes untrue.

The entities decide the order: they are all there, each in one spelling, or the write is refused. Targets and
tags decide what the cache forgets beside the write's own URL: one whose variable the request does not have
(a DELETE has no body) is left out, as it would be if the origin did not know of it.

A target is invalidated in both spellings in use, as `encodeURIComponent` writes values and as browsers leave
them in a path (in a query: as forms write them), since the cache keeps URLs apart by their octets.

Entities are written again and again: which rule has a path is remembered, and all that follows from it where
the path alone decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import quote, quote_plus

from proxy.errors import EntityMissing
from proxy.http.fields import Fields
from proxy.writes.front.normal_path import Segments, escaped, normal_path, segments_of
from proxy.writes.front.request_values import RequestValues
from proxy.writes.front.templates import (
    RESERVED,
    Source,
    Template,
    Variable,
    compile_key,
    compile_tag,
    compile_target,
)

MAX_KEY_CHARACTERS: Final = 1024
"""A longer key ends in a digest of the whole: it is kept, shown and hashed with each write of its entity."""
KNOWN_PATHS: Final = 4096
"""Remembered by each set of rules, if they are short; a match takes 15 µs, a look 0.1."""
KNOWN_PATH_OCTETS: Final = 256
MAX_NAME_OCTETS: Final = 16_384
"""Of a target or tag; nothing is stored under a longer one, since no head that large is read."""

_DIGEST_MARK: Final = ":sha256:"  # no value holds a colon, so no short key ends like one that was cut
_VARIABLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NO_LABEL: Final = re.compile(rb"[^!-+\--~]")  # visible ASCII less the comma
_IN_PATHS: Final = "!$&'()*+,;=:@"
_WHOLE_PATH: Final = Template((Variable(Source.PATH, ("path",)),))


@dataclass(frozen=True, slots=True)
class PathPattern:
    """Segments that a path must have: octets, or the name of a variable; with `rest` more may follow."""

    segments: tuple[bytes | str, ...]
    rest: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its variables, in order."""
        return tuple(one for one in self.segments if isinstance(one, str))

    def match(self, path: Segments) -> dict[str, bytes] | None:
        """The variables' values; None if the path is another one."""
        if len(path) < len(self.segments) or (len(path) > len(self.segments) and not self.rest):
            return None
        values: dict[str, bytes] = {}
        for expected, found in zip(self.segments, path, strict=False):
            if isinstance(expected, str):
                values[expected] = found
            elif expected != found:
                return None
        return values


@dataclass(frozen=True, slots=True)
class EntityRule:
    """One rule, compiled."""

    path: PathPattern
    keys: tuple[Template, ...]
    invalidates: tuple[Template, ...] = ()
    tags: tuple[Template, ...] = ()


@dataclass(slots=True)
class Entities:
    """What one write changes: `keys` sorted, each once, at least one."""

    keys: tuple[str, ...]
    changed_targets: tuple[bytes, ...] = ()
    changed_tags: tuple[bytes, ...] = ()


# compiling


def compile_rule(
    path: str, *, keys: Sequence[str] = (), invalidates: Sequence[str] = (), tags: Sequence[str] = ()
) -> EntityRule:
    """A rule from its templates. Without keys, the entity is the path as far as the pattern names it.

    Raises: ValueError, which names the template, what was found in it, and what to write.
    """
    try:
        pattern = _compile_path(path)
    except ValueError as error:
        raise ValueError(f"path is {path!r}: {error}") from None
    names = pattern.names
    return EntityRule(
        pattern,
        _compiled("keys", keys, compile_key, names) or (_default_key(pattern),),
        _compiled("invalidates", invalidates, compile_target, names),
        _compiled("tags", tags, compile_tag, names),
    )


def _compiled(
    setting: str, texts: Sequence[str], compile_one: Callable[..., Template], names: tuple[str, ...]
) -> tuple[Template, ...]:
    compiled = []
    for index, text in enumerate(texts):
        try:
            compiled.append(compile_one(text, segments=names))
        except ValueError as error:
            raise ValueError(f"{setting}[{index}] is {text!r}: {error}") from None
    return tuple(compiled)


def _compile_path(text: str) -> PathPattern:
    if not text.startswith("/"):
        raise ValueError("a path begins with /")
    if not set("?#").isdisjoint(text):
        raise ValueError("a path has neither query nor fragment; name a parameter in keys, as {query:NAME}")
    written = text[1:].split("/")
    rest = written[-1] == "**"
    if rest or written[-1] == "":  # a slash at the end does not count
        del written[-1]
    segments = tuple(map(_compile_segment, written))
    names = [one for one in segments if isinstance(one, str)]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{{{name}}} is there twice; give each segment a name of its own")
    return PathPattern(segments, rest)


def _compile_segment(written: str) -> bytes | str:
    match = _VARIABLE.fullmatch(written)
    if match is not None:
        if match[1] in RESERVED:
            raise ValueError(
                f"{written} means something else in the other templates; name the segment otherwise"
            )
        return match[1]
    if not set("{}").isdisjoint(written):
        raise ValueError(
            f"the segment {written!r} is neither text nor one variable; write {{name}}, of letters, digits, _"
        )
    if written == "**":
        raise ValueError("** stands for any rest, and only at the end; write {name} for one segment")
    if "*" in written:
        raise ValueError(
            f"the segment {written!r} has a star; write {{name}} for a segment, ** at the end, else %2A"
        )
    found = segments_of(written.encode())
    if len(found) != 1:
        raise ValueError(f"the segment {written!r} is no segment of a normal path; leave it out")
    return found[0]


def _default_key(pattern: PathPattern) -> Template:
    if not pattern.segments and pattern.rest:
        return _WHOLE_PATH
    parts: list[str | Variable] = []
    for one in pattern.segments:
        parts += ["/", Variable(Source.SEGMENT, (one,)) if isinstance(one, str) else escaped(one)]
    return Template(tuple(parts) or ("/",))


# applying


@dataclass(frozen=True, slots=True)
class _Found:
    """The rule that a path has, and the values that its pattern takes from it.

    `entities` are there where nothing but the path decides on them.
    """

    rule: EntityRule
    values: dict[str, bytes]
    path: str
    entities: Entities | None = None


class EntityRules:
    """The rules of a route, in their order."""

    def __init__(self, rules: Iterable[EntityRule]) -> None:
        self._rules = tuple((rule, _is_of_path_alone(rule)) for rule in rules)
        self._known: dict[bytes, _Found | None] = {}

    def __repr__(self) -> str:
        return f"<EntityRules {len(self._rules)}>"

    def covers(self, path: bytes) -> bool:
        """Whether a rule has this path."""
        return self._found(path) is not None

    def entities_of(self, path: bytes, query: bytes, fields: Fields, body: bytes) -> Entities | None:
        """What this request changes; None if no rule has its path. `query` is without its `?`.

        Raises: EntityMissing, which names the variable.
        """
        found = self._found(path)
        if found is None or found.entities is not None:
            return None if found is None else found.entities
        return _entities(
            found.rule,
            RequestValues(found.values, path=found.path, query=query, fields=fields, body=body),
        )

    def _found(self, path: bytes) -> _Found | None:
        known = self._known
        if path in known:
            return known[path]
        found = self._look(segments_of(path))
        if len(path) <= KNOWN_PATH_OCTETS:
            if len(known) >= KNOWN_PATHS:
                known.clear()
            known[path] = found
        return found

    def _look(self, segments: Segments) -> _Found | None:
        for rule, of_path_alone in self._rules:
            found = rule.path.match(segments)
            if found is not None:
                path = normal_path(segments)
                if not of_path_alone:
                    return _Found(rule, found, path)
                values = RequestValues(found, path=path, query=b"", fields=_NO_FIELDS, body=b"")
                return _Found(rule, found, path, _entities(rule, values))
        return None


_NO_FIELDS: Final = Fields()
_OF_PATH: Final = (Source.SEGMENT, Source.PATH)


def _is_of_path_alone(rule: EntityRule) -> bool:
    templates = (*rule.keys, *rule.invalidates, *rule.tags)
    return all(variable.source in _OF_PATH for template in templates for variable in template.variables)


def _entities(rule: EntityRule, values: RequestValues) -> Entities:
    keys = {_bounded(key.fill(lambda variable: _written(variable, values, escaped))) for key in rule.keys}
    if not (rule.invalidates or rule.tags):
        return Entities(tuple(sorted(keys)))
    targets = (target for one in rule.invalidates for target in _targets(one, values))
    tags = (tag for one in rule.tags for tag in _tags(one, values))
    return Entities(tuple(sorted(keys)), tuple(dict.fromkeys(targets)), tuple(dict.fromkeys(tags)))


def _written(variable: Variable, values: RequestValues, write: Callable[[bytes], str]) -> str:
    if variable.source is Source.PATH:
        return values.path
    return write(values.value(variable))


def _bounded(key: str) -> str:
    if len(key) <= MAX_KEY_CHARACTERS:
        return key
    digest = sha256(key.encode()).hexdigest()
    return key[: MAX_KEY_CHARACTERS - len(_DIGEST_MARK) - len(digest)] + _DIGEST_MARK + digest


def _targets(template: Template, values: RequestValues) -> Iterator[bytes]:
    for in_path, in_query in ((escaped, escaped), (_as_browsers_do, _as_forms_do)):
        try:
            target = _filled_target(template, values, in_path, in_query).encode()
        except EntityMissing:
            return
        if len(target) <= MAX_NAME_OCTETS:
            yield target


def _filled_target(
    template: Template,
    values: RequestValues,
    in_path: Callable[[bytes], str],
    in_query: Callable[[bytes], str],
) -> str:
    written: list[str] = []
    write = in_path
    for part in template.parts:
        if isinstance(part, str):
            written.append(part)
            write = in_query if "?" in part else write
        else:
            written.append(_written(part, values, write))
    return "".join(written)


def _as_browsers_do(value: bytes) -> str:
    return quote(value, safe=_IN_PATHS)


def _as_forms_do(value: bytes) -> str:
    return quote_plus(value, safe="*")


def _tags(template: Template, values: RequestValues) -> Iterator[bytes]:
    """At most one: with its values as they are, but for octets that no tag can hold."""
    try:
        tag = template.fill(lambda variable: _written(variable, values, _in_tags)).encode()
    except EntityMissing:
        return
    if len(tag) <= MAX_NAME_OCTETS:
        yield tag


def _in_tags(value: bytes) -> str:
    return _NO_LABEL.sub(lambda match: b"%%%02X" % match[0][0], value).decode()
