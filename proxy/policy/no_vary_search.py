"""`No-Vary-Search`: which parts of the query an origin says make no difference.

Source: draft-ietf-httpbis-no-vary-search-10 (in the RFC Editor's queue), §3 to §6.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote_plus, unquote_to_bytes

from proxy.http.fields import Fields
from proxy.http.structured import parse_dictionary

MAX_NAMES = 256
"""Parameters that one field may name; with more it is ignored, which only costs hits."""


@dataclass(frozen=True, slots=True)
class SearchVariance:
    """How a response varies on the query: by default on every octet of it.

    `ignored` are the decoded names that make no difference; None for all but those in `counted`.
    """

    ignored: frozenset[str] | None = frozenset()
    counted: frozenset[str] = frozenset()
    key_order: bool = True


DEFAULT = SearchVariance()


def search_variance(fields: Fields) -> SearchVariance:
    """The variance that a response declares; the default where it declares none that can be understood."""
    value = fields.get(b"no-vary-search")
    if value is None:
        return DEFAULT
    members = parse_dictionary(value)
    key_order = members.get("key-order", False)
    params, excepted = members.get("params", False), members.get("except")
    if not isinstance(key_order, bool) or (excepted is not None and params is not True):
        return DEFAULT
    counted = _names(() if excepted is None else excepted)
    ignored = None if params is True else _names(() if params is False else params)
    if counted is None or (ignored is None and params is not True):
        return DEFAULT
    return SearchVariance(ignored, counted, key_order=not key_order)


def _names(member: object) -> frozenset[str] | None:
    """The decoded names of an inner list of strings; None if it is something else."""
    if not isinstance(member, tuple) or len(member) > MAX_NAMES:
        return None
    names = [name for name in member if isinstance(name, str)]
    return (
        frozenset(_decoded(name.encode("latin-1")) for name in names) if len(names) == len(member) else None
    )


def canonical_query(target: bytes, variance: SearchVariance) -> bytes:
    """What two targets of one path have in common exactly if they are equivalent under the variance.

    Not a query: names and values are decoded, each a netstring. Under the default variance the query as
    it is, and no query differs from an empty one.
    """
    _, question_mark, query = target.partition(b"?")
    if variance == DEFAULT:
        return question_mark + query
    return b"".join(_netstring(part) for pair in _counted(query, variance) for part in pair)


def _counted(query: bytes, variance: SearchVariance) -> list[tuple[str, str]]:
    """What is compared of a query, in the order in which it is."""
    pairs = [pair for pair in _pairs(query) if _counts(pair[0], variance)]
    if not variance.key_order:
        pairs.sort(key=lambda pair: pair[0])
    return pairs


def canonical_target(target: bytes, variance: SearchVariance) -> bytes:
    """A target that is equivalent, and the same for all that are. Idempotent.

    Names and values as a form writes them; what makes no difference is gone.
    """
    if variance == DEFAULT:
        return target
    path, _, query = target.partition(b"?")
    written = b"&".join(_written(name) + b"=" + _written(value) for name, value in _counted(query, variance))
    return path + b"?" + written if written else path


def variance_text(variance: SearchVariance) -> bytes:
    """What names a variance in a cache key: the same text for the same variance only."""
    ignored = b"*" if variance.ignored is None else _list(variance.ignored)
    return b"%b %b %b" % (ignored, _list(variance.counted), b"ordered" if variance.key_order else b"-")


def _list(names: frozenset[str]) -> bytes:
    return b"(%b)" % b"&".join(map(_written, sorted(names)))


def _written(text: str) -> bytes:
    return quote_plus(text).encode()


def equivalent(one: bytes, other: bytes, variance: SearchVariance) -> bool:
    """Whether two targets are equivalent modulo search variance (§5)."""
    if one.partition(b"?")[0] != other.partition(b"?")[0]:
        return False
    return canonical_query(one, variance) == canonical_query(other, variance)


def _counts(name: str, variance: SearchVariance) -> bool:
    if variance.ignored is None:
        return name in variance.counted
    return name not in variance.ignored


def _pairs(query: bytes) -> list[tuple[str, str]]:
    """As the application/x-www-form-urlencoded parser gives them."""
    parts = (part.partition(b"=") for part in query.split(b"&") if part)
    return [(_decoded(name), _decoded(value)) for name, _, value in parts]


def _decoded(octets: bytes) -> str:
    return unquote_to_bytes(octets.replace(b"+", b" ")).decode("utf-8", "replace")


def _netstring(text: str) -> bytes:
    octets = text.encode()
    return b"%d:%b," % (len(octets), octets)
