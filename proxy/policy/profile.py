"""What RFC 9111 leaves to taste, and where we depart from it: one table, two profiles.

`pragmatic` guards against what origins get wrong, `strict-rfc` keeps to the letter. What a route option
of its own decides (heuristics, grace, Set-Cookie removed) is not here. Nor is what guards one client
from another whatever the profile (`hop_by_hop.may_be_named`, `request_checks`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

from proxy.config.settings import CacheProfile, RouteCacheSettings


class _Choice(NamedTuple):
    """A choice under each profile, with the section that leaves it open or says otherwise."""

    pragmatic: bool
    strict: bool
    section: str


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices as they hold on a route."""

    no_store_outweighs_must_understand: bool
    """`no-store` forbids even beside a `must-understand` that we understand."""
    set_cookie_forbids: bool
    """A response with Set-Cookie is not for sharing unless the route says so."""
    malformed_forbids: bool
    """A Cache-Control that cannot be read forbids sharing, since a `private` may hide in it."""
    cookie_needs_explicit_lifetime: bool
    """A request with Cookie shares nothing whose lifetime is a guess."""
    offered_stale_outweighs_s_maxage: bool
    """`stale-while-revalidate` and `stale-if-error` hold beside `s-maxage`."""
    shares_stale_on_arrival: bool
    """Those who waited for a response get it although it was stale when it came."""
    bare_304_matches: bool
    """A 304 without validator is about the one stored response whose validator was sent."""
    drops_leaders_directives: bool
    """A flight does not forward those of its leader's directives that let a tier behind answer with less."""


TABLE: dict[str, _Choice] = {
    "no_store_outweighs_must_understand": _Choice(True, False, "5.2.2.3"),
    "set_cookie_forbids": _Choice(True, False, "7.3"),
    "malformed_forbids": _Choice(True, False, "4.2.1"),
    "cookie_needs_explicit_lifetime": _Choice(True, False, "4.2.2"),
    "offered_stale_outweighs_s_maxage": _Choice(True, False, "5.2.2.10"),
    "shares_stale_on_arrival": _Choice(True, False, "4"),
    "bare_304_matches": _Choice(True, False, "4.3.4"),
    "drops_leaders_directives": _Choice(True, False, "5.2"),
}

assert {field.name for field in fields(Choices)} == set(TABLE), "each choice has its line"

_CHOICES = {
    CacheProfile.PRAGMATIC: Choices(**{name: choice.pragmatic for name, choice in TABLE.items()}),
    CacheProfile.STRICT_RFC: Choices(**{name: choice.strict for name, choice in TABLE.items()}),
}


def choices_of(cache: RouteCacheSettings) -> Choices:
    """The choices of the route's profile."""
    return _CHOICES[cache.profile]
