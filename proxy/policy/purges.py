"""What a purge covers, told from a key and from the labels of the response that is stored under it.

Labels are all that a fill on its way has beside its key once its head is there: so whatever else decides on
a purge is a label, too (`labels_of`).

HTTP and HTTPS are one here: before TLS ends in front of us, the URL that a user knows begins with `https`,
and the key with `http`. To purge one response too many costs a fetch; to miss one breaks a promise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from proxy.config.settings import RouteSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.authority import normal_authority
from proxy.policy.key_parts import TargetKey, page_of, parts_of_key, place_of_key, target_key_of, url_of_key
from proxy.policy.keys import CacheKey, key_of_target
from proxy.policy.no_vary_search import DEFAULT, SearchVariance, equivalent, search_variance
from proxy.policy.surrogate_keys import plain_groups, surrogate_keys
from proxy.routing import Route

SCHEMES = ("http", "https")

_SEARCH_LABEL = b"no-vary-search, "
"""Begins the label that keeps the field: with a comma and a space, which no surrogate key has both."""


class PurgeKind(StrEnum):
    """What names the things to purge."""

    URL = "url"
    TAG = "tag"
    PREFIX = "prefix"
    PATTERN = "pattern"
    EVERYTHING = "everything"
    INVALIDATION = "invalidation"
    """A write went through: the target, or the cache groups, that its answer made untrue."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Every response of these targets: all variants, all that fields and cookies add to the key, and all
    queries that the response itself declares to be equivalent.
    """

    keys: frozenset[TargetKey]
    kind: PurgeKind = PurgeKind.URL

    def pages(self) -> frozenset[bytes]:
        """The pages of the targets, as `key_parts.page_of` has them."""
        return frozenset(map(page_of, self.keys))

    def covers(self, key: CacheKey, labels: frozenset[bytes]) -> bool:
        """Whether a response under this key and with these labels is one of them."""
        if target_key_of(key) in self.keys:
            return True
        page, variance, parts = page_of(key), _variance_in(labels), parts_of_key(key)
        if variance is None:  # of a fill whose head has not come, the key only tells that there may be one
            return parts.search is not None and page in self.pages()
        target = parts.target
        return any(
            page_of(one) == page and equivalent(parts_of_key(one).target, target, variance)
            for one in self.keys
        )


@dataclass(frozen=True, slots=True)
class Tagged:
    """Every response with one of these labels."""

    labels: frozenset[bytes]
    kind: PurgeKind = PurgeKind.TAG

    def covers(self, key: CacheKey, labels: frozenset[bytes]) -> bool:
        """Whether a response with these labels is one of them."""
        return not self.labels.isdisjoint(labels)


@dataclass(frozen=True, slots=True)
class Prefixed:
    """Every response whose target begins so, by the names of the routes: the targets that origins see."""

    authorities: frozenset[bytes]
    by_route: Mapping[bytes, tuple[bytes, ...]]
    kind: PurgeKind = PurgeKind.PREFIX

    def covers(self, key: CacheKey, labels: frozenset[bytes]) -> bool:
        """Whether a response under this key is one of them."""
        authority, target, route = place_of_key(key)
        return authority in self.authorities and target.startswith(self.by_route.get(route, ()))


@dataclass(frozen=True, slots=True)
class Matching:
    """Every response in whose URL the pattern is found; with either scheme, where that could matter."""

    pattern: re.Pattern[bytes]
    kind: PurgeKind = PurgeKind.PATTERN

    def covers(self, key: CacheKey, labels: frozenset[bytes]) -> bool:
        """Whether a response under this key is one of them."""
        url = url_of_key(key)
        if self.pattern.search(url) is not None:
            return True
        rest = url.partition(b":")[2]
        other = b"http:" if url.startswith(b"https:") else b"https:"
        return self.pattern.search(other + rest) is not None


@dataclass(frozen=True, slots=True)
class Everything:
    """All there is."""

    kind: PurgeKind = PurgeKind.EVERYTHING

    def covers(self, key: CacheKey, labels: frozenset[bytes]) -> bool:
        """Yes."""
        return True


Coverage = Targets | Tagged | Prefixed | Matching | Everything


LABEL_FIELDS = frozenset({b"surrogate-key", b"cache-tag", b"cache-groups", b"no-vary-search"})
"""The fields that labels are made of; a response with none of them has no label."""

NO_LABELS: frozenset[bytes] = frozenset()


def labels_of(fields: Fields, *, origin: bytes) -> frozenset[bytes]:
    """All by which a response can be purged beside its key: surrogate keys, groups, its search variance.

    The name of a cache group is a label by itself, too: whoever purges by hand means the group of every
    origin; an invalidation by the origin names its own (`surrogate_keys.invalidated_groups`).
    """
    labels = surrogate_keys(fields, origin=origin)
    if b"cache-groups" in fields:
        labels |= plain_groups(fields)
    value = fields.get(b"no-vary-search")
    if value is not None and search_variance(fields) != DEFAULT:
        labels |= {_SEARCH_LABEL + value}
    return labels


def varies_on_search(labels: frozenset[bytes]) -> bool:
    """Whether a response with these labels answers for other queries than its own."""
    return _variance_in(labels) is not None


def _variance_in(labels: frozenset[bytes]) -> SearchVariance | None:
    for label in labels:
        if label.startswith(_SEARCH_LABEL):
            return _variance_of(label)
    return None


@lru_cache(maxsize=256)
def _variance_of(label: bytes) -> SearchVariance:
    return search_variance(Fields([(b"No-Vary-Search", label.removeprefix(_SEARCH_LABEL))]))


def target_keys(route: Route, request: RequestHead) -> frozenset[TargetKey]:
    """What the keys of this target begin with, under either scheme.

    Raises: ClientError if the route's rewriting makes of it what is no path.
    """
    authority = normal_authority(request.authority, scheme=request.scheme)
    return frozenset(
        key_of_target(route.name, replace(request, scheme=scheme, authority=authority), route=route.settings)
        for scheme in SCHEMES
    )


def prefixed(request: RequestHead, *, routes: Iterable[Route]) -> Prefixed:
    """Every target of the request's authority that begins with the request's."""
    authority = normal_authority(request.authority, scheme=request.scheme)
    by_route = {
        route.name.encode(): forwarded_prefixes(request.target, route=route.settings)
        for route in routes
        if _may_take(route.settings, request.target)
    }
    return Prefixed(frozenset(normal_authority(authority, scheme=scheme) for scheme in SCHEMES), by_route)


def _may_take(route: RouteSettings, prefix: bytes) -> bool:
    """Whether the route may take a target that begins so."""
    path = route.path.encode()
    return prefix.startswith(path) or path.startswith(prefix)


def forwarded_prefixes(prefix: bytes, *, route: RouteSettings) -> tuple[bytes, ...]:
    """With what the forward targets of all targets begin that begin with `prefix`.

    What a route's pattern makes of them nobody can tell: then it is all of the route.
    """
    rewrite = route.rewrite
    if rewrite.pattern is not None:
        return (b"",)
    strip = (rewrite.strip_prefix or "").rstrip("/").encode()
    add = (rewrite.add_prefix or "").rstrip("/").encode()
    path, _, _ = prefix.partition(b"?")
    if not strip:
        return (add + prefix,)
    if path.startswith(strip + b"/"):
        return (add + prefix[len(strip) :],)
    if path == strip and b"?" in prefix:
        return (add + b"/" + prefix[len(strip) :],)
    if strip.startswith(path):  # all that is stripped, and what only begins alike
        return (add + b"/", add + prefix)
    return (add + prefix,)
