"""Cache keys read back into what they were made of: for purges by URL, and to be shown.

A prefix or pattern is compared with the URL of a key, never with its octets: in those a length stands before
each part, and what a client puts into one part could pass for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from proxy.policy.keys import CacheKey
from proxy.policy.no_vary_search import DEFAULT, SearchVariance, canonical_target, variance_text

_SEARCH = b"s"
_SLICE = b"p"

TargetKey = bytes
"""What every key of one target begins with: `keys.key_of_target`."""


@dataclass(frozen=True, slots=True)
class KeyParts:
    """What `keys.cache_key` put into a key.

    `target` is the one that the origin is asked for; with a `search` it is the canonical one of all that
    are equivalent under that variance. `route` is the name, `fields` and `cookies` are what the route adds:
    None is a field that was absent, no value a cookie that was. `cookie_lines` are the whole Cookie lines,
    where these belong to the key. `slice` is the number of a slice, and its size in octets.
    """

    scheme: bytes
    authority: bytes
    target: bytes
    route: bytes
    fields: tuple[tuple[bytes, bytes | None], ...] = ()
    cookies: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()
    cookie_lines: tuple[bytes, ...] = ()
    search: bytes | None = None
    slice: tuple[int, int] | None = None

    @property
    def url(self) -> bytes:
        """The URL, with the target as the origin is asked for it."""
        return b"%b://%b%b" % (self.scheme, self.authority, self.target)


class _Reader:
    """Reads a key from its beginning. Raises: ValueError where it is none."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.at = 0

    @property
    def at_end(self) -> bool:
        return self.at == len(self._octets)

    def take(self, mark: bytes) -> bool:
        """Whether this comes next; then it is passed over."""
        found = self._octets.startswith(mark, self.at)
        self.at += found
        return found

    def netstring(self) -> bytes:
        colon = self._octets.index(b":", self.at)
        begin = colon + 1
        end = begin + int(self._octets[self.at : colon])
        if self._octets[end : end + 1] != b",":
            raise ValueError(f"no cache key: {self._octets!r}")
        self.at = end + 1
        return self._octets[begin:end]

    def skip(self) -> None:
        """Pass over one netstring."""
        colon = self._octets.index(b":", self.at)
        self.at = colon + 2 + int(self._octets[self.at : colon])

    def values(self) -> tuple[bytes, ...]:
        """Netstrings with `~` between them, up to `;`."""
        found: list[bytes] = []
        while not self.take(b";"):
            if found and not self.take(b"~"):
                raise ValueError(f"no cache key: {self._octets!r}")
            found.append(self.netstring())
        return tuple(found)


def parts_of_key(key: CacheKey) -> KeyParts:
    """The parts of a key. Raises: ValueError if `cache_key` did not make it."""
    reader = _Reader(key)
    scheme, authority, target = reader.netstring(), reader.netstring(), reader.netstring()
    route = _Reader(reader.netstring()).netstring()
    search = reader.netstring() if reader.take(_SEARCH) else None
    part = _numbers(reader.netstring()) if reader.take(_SLICE) else None
    fields: list[tuple[bytes, bytes | None]] = []
    while reader.take(b"f"):
        name = reader.netstring()
        fields.append((name, None if reader.take(b"~") else reader.netstring()))
    cookies: list[tuple[bytes, tuple[bytes, ...]]] = []
    while reader.take(b"c"):
        cookies.append((reader.netstring(), reader.values()))
    lines: list[bytes] = []
    while not reader.at_end:
        lines.append(reader.netstring())
    return KeyParts(
        scheme, authority, target, route, tuple(fields), tuple(cookies), tuple(lines), search, part
    )


def _numbers(octets: bytes) -> tuple[int, int]:
    number, _, size = octets.partition(b"/")
    return int(number), int(size)


def place_of_key(key: CacheKey) -> tuple[bytes, bytes, bytes]:
    """Authority, target and route name of a key. Raises: ValueError."""
    reader = _Reader(key)
    reader.skip()
    return reader.netstring(), reader.netstring(), _Reader(reader.netstring()).netstring()


def target_key_of(key: CacheKey) -> TargetKey:
    """The part of a key that all keys of its target share. Raises: ValueError."""
    reader = _Reader(key)
    for _ in range(4):
        reader.skip()
    return key[: reader.at]


@lru_cache(maxsize=4096)
def key_under(key: CacheKey, variance: SearchVariance) -> CacheKey:
    """The key that all share whose targets are equivalent under the variance; `key` is that of one target.

    The variance is in it: so what is stored under one variance is never found under another, nor by a
    target of which nothing is known. Under the default variance it is the key itself.

    Raises: ValueError.
    """
    if variance == DEFAULT:
        return key
    reader = _Reader(key)
    reader.skip()
    reader.skip()
    begin = reader.at
    target = canonical_target(reader.netstring(), variance)
    route_at = reader.at
    reader.skip()
    written, text = (b"%d:%b," % (len(part), part) for part in (target, variance_text(variance)))
    return key[:begin] + written + key[route_at : reader.at] + _SEARCH + text + key[reader.at :]


def slice_key(key: CacheKey, number: int, slice_bytes: int) -> CacheKey:
    """The key of a slice of what has this key. Raises: ValueError.

    The size is in it: after a change of the setting no slice is taken for one of another size.
    """
    at = _end_of_target(key)
    part = b"%d/%d" % (number, slice_bytes)
    return b"%b%b%d:%b,%b" % (key[:at], _SLICE, len(part), part, key[at:])


def whole_key(key: CacheKey) -> CacheKey:
    """The key of what a slice is part of; of any other, the key itself. Raises: ValueError."""
    at = _end_of_target(key)
    reader = _Reader(key)
    reader.at = at
    if not reader.take(_SLICE):
        return key
    reader.skip()
    return key[:at] + key[reader.at :]


def _end_of_target(key: CacheKey) -> int:
    """Where what the route adds begins: behind the target, its route and its search variance."""
    reader = _Reader(key)
    for _ in range(4):
        reader.skip()
    if reader.take(_SEARCH):
        reader.skip()
    return reader.at


def page_of(key: CacheKey) -> bytes:
    """What all keys of one path share, whatever their queries: not a key itself. Raises: ValueError."""
    reader = _Reader(key)
    reader.skip()
    reader.skip()
    begin = reader.at
    path = reader.netstring().partition(b"?")[0]
    middle = reader.at
    reader.skip()
    return b"%b%b %b" % (key[:begin], path, key[middle : reader.at])


def url_of_key(key: CacheKey) -> bytes:
    """The URL of a key, see `KeyParts.url`. Raises: ValueError."""
    reader = _Reader(key)
    return b"%b://%b%b" % (reader.netstring(), reader.netstring(), reader.netstring())
