"""Labels of three fields live in one table and never meet; groups never leave their origin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.surrogate_keys import (
    MAX_GROUPS,
    group_label,
    invalidated_groups,
    surrogate_keys,
    uri_origin,
)
from tests.policy.heads import fields_of, request, response

ORIGIN = b"http://example.org"


def groups(*names: str, origin: bytes = ORIGIN) -> frozenset[bytes]:
    return frozenset(group_label(name, origin=origin) for name in names)


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        pytest.param("", frozenset(), id="none"),
        pytest.param("Surrogate-Key: a b|Surrogate-Key: c", {b"a", b"b", b"c"}, id="surrogate-key"),
        pytest.param("Cache-Tag: a, b c,,", {b"a", b"b c"}, id="cache-tag"),
        pytest.param("Surrogate-Key: a|Cache-Tag: a,b", {b"a", b"b"}, id="both"),
        pytest.param('Cache-Groups: "a", "b";x=1', groups("a", "b"), id="groups"),
        pytest.param('Cache-Groups: "a"|Cache-Groups: "b"', groups("a", "b"), id="two-lines"),
        pytest.param('Cache-Groups: "A"', groups("A"), id="case-means-something"),
        pytest.param("Cache-Groups: a", frozenset(), id="a-token-is-no-group"),
        pytest.param('Cache-Groups: "a", b', frozenset(), id="nor-are-those-beside-one"),
        pytest.param('Cache-Groups: ("a")', frozenset(), id="inner-list"),
        pytest.param('Cache-Groups: "a', frozenset(), id="unreadable"),
        pytest.param('Cache-Tag: a|Cache-Groups: "', {b"a"}, id="unreadable-beside-tags"),
    ],
)
def test_labels_are_read(fields: str, labels: frozenset[bytes]) -> None:
    assert surrogate_keys(fields_of(fields), origin=ORIGIN) == labels


def test_groups_need_an_origin() -> None:
    assert surrogate_keys(fields_of('Cache-Groups: "a"|Cache-Tag: b')) == {b"b"}


def test_many_groups_of_some_length_are_taken_and_no_more_than_the_bound() -> None:
    names = [f"{number:032}" for number in range(MAX_GROUPS + 1)]
    line = ", ".join(f'"{name}"' for name in names)
    assert surrogate_keys(fields_of(f"Cache-Groups: {line}"), origin=ORIGIN) == groups(*names[:MAX_GROUPS])


@pytest.mark.slow
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8), st.binary(max_size=30))
def test_no_other_field_makes_the_label_of_a_group(name: str, value: bytes) -> None:
    label = group_label(name, origin=ORIGIN)
    others = surrogate_keys(Fields([(b"Surrogate-Key", value), (b"Cache-Tag", value)]))
    copied = surrogate_keys(Fields([(b"Surrogate-Key", label), (b"Cache-Tag", label)]))
    assert label not in others | copied


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param((b"example.org", "http"), (b"EXAMPLE.org:80", "http"), True, id="case-and-port"),
        pytest.param((b"example.org", "http"), (b"example.org", "https"), False, id="scheme"),
        pytest.param((b"example.org", "http"), (b"example.org:81", "http"), False, id="port"),
        pytest.param((b"example.org", "http"), (b"www.example.org", "http"), False, id="host"),
    ],
)
def test_a_group_is_one_within_its_origin(
    one: tuple[bytes, str], other: tuple[bytes, str], same: bool
) -> None:
    def label(place: tuple[bytes, str]) -> bytes:
        head = RequestHead("GET", b"/", Fields(), scheme=place[1], authority=place[0])
        return group_label("g", origin=uri_origin(head))

    assert (label(one) == label(other)) is same


@pytest.mark.parametrize(
    ("method", "fields", "expected"),
    [
        pytest.param("POST", 'Cache-Group-Invalidation: "a", "b"', groups("a", "b"), id="post"),
        pytest.param("PURGE", 'Cache-Group-Invalidation: "a"', groups("a"), id="unknown-is-unsafe"),
        pytest.param("GET", 'Cache-Group-Invalidation: "a"', frozenset(), id="get"),
        pytest.param("HEAD", 'Cache-Group-Invalidation: "a"', frozenset(), id="head"),
        pytest.param("OPTIONS", 'Cache-Group-Invalidation: "a"', frozenset(), id="options"),
        pytest.param("POST", "Cache-Group-Invalidation: a", frozenset(), id="tokens"),
        pytest.param("POST", 'Cache-Groups: "a"', frozenset(), id="own-groups-are-not-invalidated"),
    ],
)
def test_unsafe_requests_invalidate_the_groups_named(
    method: str, fields: str, expected: frozenset[bytes]
) -> None:
    assert invalidated_groups(request(method=method), response(fields)) == expected
