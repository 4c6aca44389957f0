"""Conditions are evaluated to the letter; where in doubt, the whole answer is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.conditional import (
    freshen,
    has_validator,
    if_range_matches,
    not_modified,
    not_modified_head,
    parse_entity_tags,
    revalidation_fields,
    same_representation,
)
from tests.policy.heads import NOW, request, response

D = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER = "Sat, 05 Nov 1994 08:49:37 GMT"
LATER = "Mon, 07 Nov 1994 08:49:37 GMT"
A_SECOND_EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        pytest.param(b'"a"', (b'"a"',), id="one"),
        pytest.param(b'"a", W/"b"', (b'"a"', b'W/"b"'), id="two"),
        pytest.param(b'"a,b" ,, "c"', (b'"a,b"', b'"c"'), id="comma-inside"),
        pytest.param(b',"a",', (b'"a"',), id="empty-members"),
        pytest.param(b'""', (b'""',), id="empty-tag"),
        pytest.param('"é"'.encode(), ('"é"'.encode(),), id="obs-text"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b"a", None, id="unquoted"),
        pytest.param(b'w/"a"', None, id="lower-case-w"),
        pytest.param(b'"a" "b"', None, id="no-comma"),
        pytest.param(b'"a', None, id="open"),
        pytest.param(b'"a b"', None, id="space-inside"),
        pytest.param(b'*, "a"', None, id="star-among-tags"),
    ],
)
def test_entity_tags_are_listed(value: bytes, tags: tuple[bytes, ...] | None) -> None:
    assert parse_entity_tags(value) == tags


@pytest.mark.parametrize(
    ("asked", "stored", "expected"),
    [
        pytest.param("", 'ETag: "a"', False, id="no-condition"),
        pytest.param('If-None-Match: "a"', 'ETag: "a"', True, id="same"),
        pytest.param('If-None-Match: "b"', 'ETag: "a"', False, id="other"),
        pytest.param('If-None-Match: W/"a"', 'ETag: "a"', True, id="weakly-equal"),
        pytest.param('If-None-Match: "a"', 'ETag: W/"a"', True, id="weakly-equal-too"),
        pytest.param('If-None-Match: "b", "a"', 'ETag: "a"', True, id="one-of-several"),
        pytest.param('If-None-Match: "b"|If-None-Match: "a"', 'ETag: "a"', True, id="several-lines"),
        pytest.param('If-None-Match: "x,"a","', 'ETag: "a"', False, id="inside-a-broken-list"),
        pytest.param('If-None-Match: "b,a"', 'ETag: "a"', False, id="comma-inside"),
        pytest.param("If-None-Match: *", "", True, id="star"),
        pytest.param("If-None-Match: a", "ETag: a", False, id="unquoted"),
        pytest.param('If-None-Match: "a"', 'ETag: "a"|ETag: "b"', False, id="two-etags"),
        pytest.param(
            f'If-None-Match: "b"|If-Modified-Since: {LATER}', f"Last-Modified: {D}", False, id="etag-first"
        ),
        pytest.param(f"If-Modified-Since: {D}", f"Last-Modified: {D}", True, id="same-date"),
        pytest.param(f"If-Modified-Since: {LATER}", f"Last-Modified: {D}", True, id="later-date"),
        pytest.param(f"If-Modified-Since: {EARLIER}", f"Last-Modified: {D}", False, id="earlier-date"),
        pytest.param(f"If-Modified-Since: {D}", f"Date: {D}", True, id="date-in-place-of-last-modified"),
        pytest.param(f"If-Modified-Since: {EARLIER}", f"Date: {D}", False, id="date-after"),
        pytest.param(f"If-Modified-Since: {D}", f"Date: {D}|Last-Modified: x", False, id="bad-last-modified"),
        pytest.param(f"If-Modified-Since: {D}", "", False, id="nothing-to-compare"),
        pytest.param("If-Modified-Since: yesterday", f"Last-Modified: {D}", False, id="bad-date"),
        pytest.param(f"If-Modified-Since: {D}|If-Modified-Since: {D}", f"Date: {D}", False, id="two-dates"),
        pytest.param(
            "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", f"Last-Modified: {D}", True, id="rfc850"
        ),
        pytest.param(
            f'If-Match: "b"|If-Unmodified-Since: {EARLIER}', 'ETag: "a"', False, id="the-origins-own"
        ),
    ],
)
def test_a_clients_condition_is_evaluated(asked: str, stored: str, expected: bool) -> None:
    assert not_modified(request(asked), response(stored), now=NOW) is expected


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_never_get_a_304(method: str) -> None:
    assert not not_modified(request('If-None-Match: "a"', method=method), response('ETag: "a"'), now=NOW)


@pytest.mark.parametrize(("status", "expected"), [(200, True), (203, True), (301, False), (404, False)])
def test_only_a_success_has_a_304(status: int, expected: bool) -> None:
    stored = response('ETag: "a"', status=status)
    assert not_modified(request('If-None-Match: "a"'), stored, now=NOW) is expected


@pytest.mark.parametrize(
    ("asked", "stored", "expected"),
    [
        pytest.param("", "", True, id="no-condition"),
        pytest.param('If-Range: "a"', 'ETag: "a"', True, id="same"),
        pytest.param('If-Range: "b"', 'ETag: "a"', False, id="other"),
        pytest.param('If-Range: W/"a"', 'ETag: W/"a"', False, id="weak-ones-equal-nothing"),
        pytest.param('If-Range: "a"', 'ETag: W/"a"', False, id="weak-stored"),
        pytest.param('If-Range: "a", "b"', 'ETag: "a"', False, id="no-list"),
        pytest.param('If-Range: "a"', "", False, id="no-etag"),
        pytest.param(f"If-Range: {EARLIER}", f"Date: {D}|Last-Modified: {EARLIER}", True, id="date"),
        pytest.param(
            f"If-Range: {A_SECOND_EARLIER}",
            f"Date: {D}|Last-Modified: {A_SECOND_EARLIER}",
            True,
            id="one-second",
        ),
        pytest.param(f"If-Range: {D}", f"Date: {D}|Last-Modified: {D}", False, id="not-a-strong-date"),
        pytest.param(
            f"If-Range: {D}", f"Date: {LATER}|Last-Modified: {EARLIER}", False, id="later-is-not-equal"
        ),
        pytest.param(f"If-Range: {EARLIER}", f"Last-Modified: {EARLIER}", False, id="stored-without-date"),
        pytest.param("If-Range: x", f"Date: {D}|Last-Modified: {EARLIER}", False, id="bad-date"),
        pytest.param('If-Range: "a"|If-Range: "a"', 'ETag: "a"', False, id="twice"),
    ],
)
def test_if_range_wants_a_strong_validator(asked: str, stored: str, expected: bool) -> None:
    assert if_range_matches(request(asked), response(stored)) is expected


@pytest.mark.parametrize(
    ("stored", "conditions"),
    [
        pytest.param("", (), id="none"),
        pytest.param('ETag: W/"a"', ((b"If-None-Match", b'W/"a"'),), id="etag"),
        pytest.param(f"Last-Modified: {D}", ((b"If-Modified-Since", D.encode()),), id="last-modified"),
        pytest.param(
            f'Last-Modified: {D}|ETag: "a"',
            ((b"If-None-Match", b'"a"'), (b"If-Modified-Since", D.encode())),
            id="both",
        ),
        pytest.param("ETag: a|Last-Modified: x", (), id="both-invalid"),
    ],
)
def test_a_revalidation_sends_the_valid_validators(stored: str, conditions: tuple[Pair, ...]) -> None:
    assert revalidation_fields(response(stored)) == conditions
    assert has_validator(response(stored)) == bool(conditions)


@pytest.mark.parametrize(
    ("stored", "validation", "expected"),
    [
        pytest.param('ETag: "a"', 'ETag: "a"', True, id="same"),
        pytest.param('ETag: "a"', 'ETag: "b"', False, id="other"),
        pytest.param('ETag: W/"a"', 'ETag: "a"', False, id="strong-is-not-the-stored-weak"),
        pytest.param('ETag: "a"', 'ETag: W/"a"', True, id="weak-corresponds"),
        pytest.param('ETag: "a"', "", True, id="no-validator"),
        pytest.param('ETag: "a"', "ETag: a", False, id="unreadable"),
        pytest.param("", 'ETag: "a"', False, id="nothing-stored"),
        pytest.param(f"Last-Modified: {D}", f"Last-Modified: {D}", True, id="same-date"),
        pytest.param(f"Last-Modified: {D}", f"Last-Modified: {LATER}", False, id="other-date"),
        pytest.param(f"Last-Modified: {D}", "Last-Modified: x", False, id="bad-date"),
        pytest.param(
            f'ETag: "a"|Last-Modified: {D}', f'ETag: "a"|Last-Modified: {LATER}', True, id="the-etag-decides"
        ),
    ],
)
def test_a_304_must_be_about_what_is_stored(stored: str, validation: str, expected: bool) -> None:
    assert same_representation(response(stored), response(validation, status=304)) is expected


def test_a_304_freshens_what_is_stored() -> None:
    stored = response(
        f'Date: {D}|Cache-Control: max-age=1|ETag: "a"|Content-Type: text/css|Content-Length: 9|Age: 50'
        "|Content-Encoding: gzip|Cache-Status: x; hit|X-Old: 1|X-Both: 1"
    )
    validation = response(
        f'Date: {LATER}|cache-control: max-age=2|ETag: W/"a"|Content-Length: 0|Content-Encoding: br'
        "|Content-Range: bytes 0-1/2|Set-Cookie: a=b|Connection: X-Hop|X-Hop: 1|Keep-Alive: 5"
        "|X-Both: 2|X-New: 2",
        status=304,
    )
    found = freshen(stored, validation)
    assert found.status == 200
    assert dict(found.fields) == {
        b"Content-Type": b"text/css",
        b"Content-Length": b"9",
        b"Content-Encoding": b"gzip",
        b"X-Old": b"1",
        b"Date": LATER.encode(),
        b"cache-control": b"max-age=2",
        b"ETag": b'W/"a"',
        b"X-Both": b"2",
        b"X-New": b"2",
    }


def test_a_304_brings_its_own_age() -> None:
    assert freshen(response("Age: 50"), response("Age: 3", status=304)).fields.get(b"age") == b"3"


def test_a_304_carries_what_guides_caches_and_nothing_else() -> None:
    head = response(
        f'Date: {D}|Cache-Control: a|ETag: "a"|Expires: {D}|Vary: x|Content-Location: /b|Last-Modified: {D}'
        "|Content-Type: a|Content-Length: 3|Content-Encoding: gzip|X-A: 1|Set-Cookie: a|Age: 1|Via: 1.1 x"
    )
    names = [name for name, _ in not_modified_head(head).fields]
    assert names == [
        b"Date",
        b"Cache-Control",
        b"ETag",
        b"Expires",
        b"Vary",
        b"Content-Location",
        b"Age",
        b"Via",
    ]
    assert not_modified_head(head).status == 304


def test_a_304_without_etag_carries_last_modified() -> None:
    assert b"last-modified" in not_modified_head(response(f"Last-Modified: {D}")).fields


CONDITIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"If-None-Match", b"If-Modified-Since", b"If-Range", b"ETag", b"Last-Modified", b"Date"]
        ),
        st.one_of(st.binary(max_size=30), st.sampled_from([b'"a"', b'W/"a"', b"*", D.encode()])),
    ),
    max_size=6,
).map(Fields)


@pytest.mark.slow
@given(CONDITIONS, CONDITIONS)
def test_no_octets_make_a_condition_raise(asked: Fields, stored: Fields) -> None:
    head = ResponseHead(200, stored)
    not_modified(RequestHead("GET", b"/", asked), head, now=NOW)
    if_range_matches(RequestHead("GET", b"/", asked), head)
    same_representation(head, ResponseHead(304, asked))
    freshen(head, ResponseHead(304, asked))


@pytest.mark.slow
@given(st.lists(st.from_regex(rb'(W/)?"[!#-~]{0,6}"', fullmatch=True), min_size=1, max_size=5))
def test_entity_tags_are_read_back(tags: list[bytes]) -> None:
    assert parse_entity_tags(b" ,".join(tags)) == tuple(tags)
    assert all(
        not_modified(
            RequestHead("GET", b"/", Fields([(b"If-None-Match", b", ".join(tags))])),
            ResponseHead(200, Fields([(b"ETag", tag)])),
            now=NOW,
        )
        for tag in tags
    )
