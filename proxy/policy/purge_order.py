"""What an operator orders to be purged, as a JSON object says it.

    {"url": "https://example.org/a"}                 every response of one URL
    {"tag": "shoes"}, {"tags": ["shoes", "hats"]}    surrogate keys, cache tags, cache groups
    {"prefix": "https://example.org/img/"}           every URL that begins so
    {"pattern": "\\\\.(png|jpe?g)$"}                   a regular expression, searched in the URL
    {"everything": true}

Each with `"soft": true`, to make stale and not remove. Anything else is refused: a mistyped word must not
purge more, or less, than was meant.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.errors import ClientError
from proxy.policy.purges import PurgeKind

MAX_TAGS = 1000
MAX_TAG_CHARACTERS = 1024
MAX_PATTERN_CHARACTERS = 1024

_KINDS = {
    "url": PurgeKind.URL,
    "tag": PurgeKind.TAG,
    "tags": PurgeKind.TAG,
    "prefix": PurgeKind.PREFIX,
    "pattern": PurgeKind.PATTERN,
    "everything": PurgeKind.EVERYTHING,
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class PurgeOrder:
    """What to purge: `values` are tags, else the one URL, prefix or pattern, or nothing."""

    kind: PurgeKind
    values: tuple[str, ...] = ()
    soft: bool = False


def parse_order(document: object) -> PurgeOrder:
    """The order that a JSON document gives. Raises: ClientError, with what was found and the fix."""
    if not isinstance(document, dict):
        raise ClientError(f'the body is {_shown(document)}; write an object, as {{"tag": "shoes"}}')
    for name in document:
        if name not in _KINDS and name != "soft":
            near = difflib.get_close_matches(str(name), [*_KINDS, "soft"], n=1)
            guess = f"did you mean {near[0]}?" if near else f"there are: {', '.join(_KINDS)} and soft"
            raise ClientError(f"{_shown(name)} is not known; {guess}")
    named = [name for name in document if name in _KINDS]
    if len(named) != 1:
        found = " and ".join(named) or "none of them"
        raise ClientError(f"name one of {', '.join(_KINDS)}; found {found}")
    soft = document.get("soft", False)
    if not isinstance(soft, bool):
        raise ClientError(f"soft is {_shown(soft)}; write true or false")
    name = named[0]
    return PurgeOrder(_KINDS[name], _values(name, document), soft)


def _values(name: str, document: Mapping[str, object]) -> tuple[str, ...]:
    value = document[name]
    if name == "everything":
        if value is not True:
            raise ClientError(f"everything is {_shown(value)}; write true, or name what to purge")
        return ()
    if name == "tags":
        if not isinstance(value, list) or not 0 < len(value) <= MAX_TAGS:
            raise ClientError(f"tags is {_shown(value)}; write a list of 1 to {MAX_TAGS} tags")
        return tuple(_tag(one) for one in value)
    if name == "tag":
        return (_tag(value),)
    if not isinstance(value, str) or not value:
        raise ClientError(f"{name} is {_shown(value)}; write text")
    if name == "pattern":
        compiled(value)
    return (value,)


def _tag(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TAG_CHARACTERS or _CONTROL.search(value):
        raise ClientError(f"a tag is {_shown(value)}; write text of 1 to {MAX_TAG_CHARACTERS} characters")
    _octets(value)
    return value


def _octets(text: str) -> bytes:
    """Raises: ClientError for half a surrogate pair, which JSON can write and no encoding."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ClientError(f"{_shown(text)} holds half of a character; write the whole") from None


def compiled(pattern: str) -> re.Pattern[bytes]:
    """The pattern, over octets. Raises: ClientError."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ClientError(f"the pattern has {len(pattern)} characters; at most {MAX_PATTERN_CHARACTERS}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what a later Python reads differently
            return re.compile(_octets(pattern))
    except (re.error, Warning, OverflowError, RecursionError) as error:
        raise ClientError(f"the pattern {_shown(pattern)} is no regular expression: {error}") from None


def labels(order: PurgeOrder) -> frozenset[bytes]:
    """The labels that an order for tags names."""
    return frozenset(tag.encode() for tag in order.values)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
