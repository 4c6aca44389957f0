"""What is asked about, and which entry an answer is about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.cache.entry import Entry
from proxy.coalesce.validating import NOTHING, validating_others, validating_own
from proxy.policy.terms import terms_of
from tests.cache import stored as stored_entries
from tests.policy.heads import NOW, request, response, route

ROUTE = route()
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def entry(fields: str, variant: bytes = b"de") -> Entry:
    head = response(f"Cache-Control: max-age=60|{fields}")
    terms = terms_of(head, cache=ROUTE.cache, now=NOW)
    return replace(stored_entries.entry(variant=(variant,)), head=head, terms=terms)


@pytest.mark.parametrize("stored", [None, entry("")], ids=["nothing", "no-validator"])
def test_what_cannot_be_asked_about_is_not(stored: Entry | None) -> None:
    assert validating_own(stored) is NOTHING
    assert NOTHING.own_entry is None
    assert NOTHING.selected_by(response(status=304), route=ROUTE) is None


def test_the_own_entry_is_asked_about_with_all_that_it_has() -> None:
    own = entry(f'ETag: "a"|Last-Modified: {DATE}')
    validating = validating_own(own)
    assert validating.own_entry is own
    assert [name for name, _ in validating.conditions] == [b"If-None-Match", b"If-Modified-Since"]
    assert validating.selected_by(response(status=304), route=ROUTE) is own


def test_a_bare_304_is_about_the_own_entry_under_the_pragmatic_profile_only() -> None:
    strict = route(cache={"profile": "strict-rfc"})
    assert validating_own(entry('ETag: "a"')).selected_by(response(status=304), route=strict) is None


def test_of_others_the_one_with_the_tag_is_meant() -> None:
    others = [entry('ETag: "a"', b"de"), entry(f"Last-Modified: {DATE}", b"fr"), entry('ETag: "c"', b"nl")]
    validating = validating_others(request(), others, route=ROUTE)
    assert validating.own_entry is None
    assert validating.entries == (others[0], others[2])
    assert validating.conditions == ((b"If-None-Match", b'"a", "c"'),)
    assert validating.selected_by(response('ETag: "a"', status=304), route=ROUTE) is others[0]
    assert validating.selected_by(response(status=304), route=ROUTE) is None


def test_what_the_request_may_not_have_is_not_offered() -> None:
    validating = validating_others(request("Authorization: Basic eA=="), [entry('ETag: "a"')], route=ROUTE)
    assert validating is NOTHING
