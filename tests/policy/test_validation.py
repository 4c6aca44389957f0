"""One request validates every variant; a 304 or a HEAD is believed about the one that it fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields, Pair
from proxy.http.messages import ResponseHead
from proxy.policy.validation import (
    MAX_TAGS,
    MAX_TAGS_BYTES,
    head_freshens,
    head_invalidates,
    may_be_selected,
    selected_by,
    validators_of,
)
from tests.policy.heads import request, response

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
OTHER = "Mon, 07 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("stored", "fields"),
    [
        pytest.param((), (), id="nothing"),
        pytest.param(('ETag: "a"',), ((b"If-None-Match", b'"a"'),), id="one"),
        pytest.param(
            (f'ETag: "a"|Last-Modified: {DATE}',),
            ((b"If-None-Match", b'"a"'), (b"If-Modified-Since", DATE.encode())),
            id="one-with-both",
        ),
        pytest.param(('ETag: "a"', 'ETag: W/"b"'), ((b"If-None-Match", b'"a", W/"b"'),), id="two"),
        pytest.param(('ETag: "a"', 'ETag: "a"'), ((b"If-None-Match", b'"a"'),), id="the-same-twice"),
        pytest.param(
            ('ETag: "a"', f"Last-Modified: {DATE}"), ((b"If-None-Match", b'"a"'),), id="a-date-cannot-tell"
        ),
        pytest.param((f"Last-Modified: {DATE}", ""), (), id="no-tag"),
    ],
)
def test_one_request_validates_all_that_have_a_tag(stored: tuple[str, ...], fields: tuple[Pair, ...]) -> None:
    assert validators_of([response(head) for head in stored]) == fields


def test_the_number_of_tags_is_bounded() -> None:
    ((_, value),) = validators_of([response(f'ETag: "{number}"') for number in range(100)])
    assert value.count(b",") == MAX_TAGS - 1
    assert value.endswith(b'"98", "99"'), "the most recent are kept, and stay last"


def test_their_octets_are_bounded() -> None:
    ((_, value),) = validators_of([response(f'ETag: "{number}{"x" * 1000}"') for number in range(9)])
    assert MAX_TAGS_BYTES - 1100 < len(value) <= MAX_TAGS_BYTES


@pytest.mark.parametrize(
    ("stored", "fields"),
    [
        pytest.param((f'ETag: "a"|Last-Modified: {DATE}',), ((b"If-None-Match", b'"a"'),), id="by-its-tag"),
        pytest.param((f"Last-Modified: {DATE}",), (), id="a-date-would-ask-of-another"),
        pytest.param(('ETag: "a"', 'ETag: "b"'), ((b"If-None-Match", b'"a", "b"'),), id="two"),
    ],
)
def test_other_variants_are_asked_about_by_their_tags_only(
    stored: tuple[str, ...], fields: tuple[Pair, ...]
) -> None:
    assert validators_of([response(head) for head in stored], own=False) == fields


@pytest.mark.parametrize(
    ("accepted", "head", "status", "may"),
    [
        pytest.param(None, 'ETag: "a"', 200, True, id="identity"),
        pytest.param("gzip", 'ETag: "a"|Content-Encoding: gzip', 200, True, id="a-coding-that-is-taken"),
        pytest.param("x-gzip", 'ETag: "a"|Content-Encoding: gzip', 200, True, id="by-its-old-name"),
        pytest.param("br", 'ETag: "a"|Content-Encoding: gzip', 200, False, id="another-coding"),
        pytest.param("gzip;q=0", 'ETag: "a"|Content-Encoding: gzip', 200, False, id="a-coding-refused"),
        pytest.param("gzip", 'ETag: "a"|Content-Encoding: gzip, br', 200, False, id="one-of-two"),
        pytest.param(None, 'ETag: "a"|Content-Encoding: gzip', 200, False, id="nothing-said"),
        pytest.param("gzip, *;q=0", 'ETag: "a"', 200, False, id="identity-refused"),
        pytest.param(None, f"Last-Modified: {DATE}", 200, False, id="no-tag"),
        pytest.param(None, 'ETag: "a"', 404, False, id="no-304-stands-for-it"),
    ],
)
def test_only_what_the_client_could_take_is_offered_of_other_variants(
    accepted: str | None, head: str, status: int, may: bool
) -> None:
    asking = request("" if accepted is None else f"Accept-Encoding: {accepted}")
    assert may_be_selected(asking, response(head, status=status)) is may


@pytest.mark.parametrize(
    ("validation", "stored", "place"),
    [
        pytest.param('ETag: "b"', ('ETag: "a"', 'ETag: "b"'), 1, id="strong"),
        pytest.param('ETag: "b"', ('ETag: W/"b"', 'ETag: "a"'), None, id="strong-is-not-weak"),
        pytest.param('ETag: W/"b"', ('ETag: "b"', 'ETag: "a"'), 0, id="weak-may-correspond"),
        pytest.param('ETag: "b"', ('ETag: "b"', 'ETag: "b"'), 1, id="the-most-recent"),
        pytest.param('ETag: "c"', ('ETag: "a"', 'ETag: "b"'), None, id="none"),
        pytest.param("", ('ETag: "a"', 'ETag: "b"'), None, id="a-bare-304-about-two"),
        pytest.param("", ('ETag: "a"',), 0, id="a-bare-304-about-one"),
        pytest.param(f"Last-Modified: {DATE}", ('ETag: "a"', f"Last-Modified: {DATE}"), None, id="a-date"),
        pytest.param('ETag: "a"', (), None, id="about-nothing"),
    ],
)
def test_a_304_selects_one_of_them(validation: str, stored: tuple[str, ...], place: int | None) -> None:
    heads = [response(head) for head in stored]
    assert selected_by(response(validation, status=304), heads) == place


def test_a_304_about_another_variant_must_have_its_tag() -> None:
    assert selected_by(response('ETag: "a"', status=304), [response('ETag: "a"')], own=False) == 0
    for fields in ("", f"Last-Modified: {DATE}"):
        stored = response(f'ETag: "a"|Last-Modified: {DATE}')
        assert selected_by(response(fields, status=304), [stored], own=False) is None


def test_under_the_strict_profile_a_bare_304_selects_nothing_with_a_validator() -> None:
    assert selected_by(response(status=304), [response('ETag: "a"')], bare_matches=False) is None


TAGS = st.sampled_from(['"a"', '"b"', 'W/"a"', 'W/"b"', "bad", ""])


@given(TAGS, st.lists(TAGS, max_size=4))
def test_what_a_304_selects_has_its_tag(tag: str, stored: list[str]) -> None:
    heads = [response(f"ETag: {one}") for one in stored]
    place = selected_by(response(f"ETag: {tag}", status=304), heads)
    if place is not None:
        assert stored[place].removeprefix("W/") == tag.removeprefix("W/")


@pytest.mark.parametrize(
    ("stored", "head", "freshens", "invalidates"),
    [
        pytest.param('ETag: "a"', 'ETag: "a"', True, False, id="same-tag"),
        pytest.param('ETag: "a"', 'ETag: "b"', False, True, id="another-tag"),
        pytest.param('ETag: "a"', 'ETag: W/"a"', False, True, id="a-weak-one"),
        pytest.param('ETag: "a"', 'ETag: "a"|Content-Length: 5', True, False, id="same-length"),
        pytest.param('ETag: "a"', 'ETag: "a"|Content-Length: 6', False, True, id="another-length"),
        pytest.param('ETag: "a"', 'ETag: "a"|Content-Length: x', False, True, id="no-length"),
        pytest.param("", "Content-Length: 5", False, False, id="a-length-alone-tells-nothing"),
        pytest.param("", "Content-Length: 6", False, True, id="but-another-one-does"),
        pytest.param('ETag: "a"', "", False, False, id="nothing-told"),
        pytest.param(f"Last-Modified: {DATE}", f"Last-Modified: {DATE}", True, False, id="same-date"),
        pytest.param(f"Last-Modified: {DATE}", f"Last-Modified: {OTHER}", False, True, id="another-date"),
        pytest.param(f"Last-Modified: {DATE}", "Last-Modified: x", False, True, id="no-date"),
        pytest.param("", 'ETag: "a"', False, True, id="a-tag-where-there-was-none"),
        pytest.param(
            f'ETag: "a"|Last-Modified: {DATE}',
            f'ETag: "a"|Last-Modified: {OTHER}',
            False,
            True,
            id="every-validator-counts",
        ),
    ],
)
def test_an_answer_to_head_tells_of_the_stored_one(
    stored: str, head: str, freshens: bool, invalidates: bool
) -> None:
    assert head_freshens(response(stored), response(head), length=5) is freshens
    assert head_invalidates(response(stored), response(head), length=5) is invalidates


def test_head_freshens_nothing_but_a_200() -> None:
    tagged = 'ETag: "a"'
    assert not head_freshens(response(tagged, status=404), response(tagged), length=5)


@pytest.mark.parametrize("status", [204, 206, 304, 404, 500])
def test_only_a_200_to_head_tells_anything(status: int) -> None:
    for fields in ('ETag: "a"', 'ETag: "b"'):
        head = response(fields, status=status)
        assert not head_freshens(response('ETag: "a"'), head, length=5)
        assert not head_invalidates(response('ETag: "a"'), head, length=5)


PAIRS = st.lists(
    st.tuples(st.sampled_from([b"ETag", b"Last-Modified", b"Content-Length"]), st.binary(max_size=12)),
    max_size=4,
)


@given(PAIRS, PAIRS)
def test_no_octets_make_it_raise_or_say_both(one: list[Pair], other: list[Pair]) -> None:
    stored, head = ResponseHead(200, Fields(one)), ResponseHead(200, Fields(other))
    assert not (head_freshens(stored, head, length=5) and head_invalidates(stored, head, length=5))
    validators_of([stored, head])
    selected_by(head, [stored, stored])
