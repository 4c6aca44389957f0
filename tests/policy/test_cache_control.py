"""Cache-Control is read as its grammar says; what breaks it permits nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.policy.cache_control import (
    ANY_STALENESS_S,
    MAX_DELTA_S,
    RequestDirectives,
    ResponseDirectives,
    parse_delta_seconds,
    without_directives,
)


def of_response(*lines: bytes) -> ResponseDirectives:
    return ResponseDirectives.parse(Fields((b"Cache-Control", line) for line in lines))


def of_request(*lines: bytes) -> RequestDirectives:
    return RequestDirectives.parse(Fields((b"Cache-Control", line) for line in lines))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param((), ResponseDirectives(), id="none"),
        pytest.param((b"",), ResponseDirectives(), id="empty"),
        pytest.param((b" , ,,",), ResponseDirectives(), id="empty-members"),
        pytest.param((b"public, max-age=60",), ResponseDirectives(public=True, max_age=60), id="two"),
        pytest.param((b"public", b"max-age=60"), ResponseDirectives(public=True, max_age=60), id="two-lines"),
        pytest.param((b"PUBLIC,Max-Age=60",), ResponseDirectives(public=True, max_age=60), id="any-case"),
        pytest.param((b'max-age="60"',), ResponseDirectives(max_age=60), id="quoted"),
        pytest.param((b'max-age="6\\0"',), ResponseDirectives(max_age=60), id="quoted-pair"),
        pytest.param((b"max-age=0060",), ResponseDirectives(max_age=60), id="leading-zeros"),
        pytest.param((b"max-age=" + b"9" * 5000,), ResponseDirectives(max_age=MAX_DELTA_S), id="overflow"),
        pytest.param((b"max-age",), ResponseDirectives(max_age=0), id="without-argument"),
        pytest.param((b"max-age=-1",), ResponseDirectives(max_age=0), id="negative"),
        pytest.param((b"max-age=1.5",), ResponseDirectives(max_age=0), id="fraction"),
        pytest.param((b"max-age='60'",), ResponseDirectives(max_age=0), id="single-quotes"),
        pytest.param((b"max-age=60, max-age=60",), ResponseDirectives(max_age=60), id="said-twice"),
        pytest.param((b"max-age=60, max-age=90",), ResponseDirectives(max_age=0), id="said-differently"),
        pytest.param((b"max-age=60", b"max-age=90"), ResponseDirectives(max_age=0), id="in-two-lines"),
        pytest.param((b"max-age=1, s-maxage=2",), ResponseDirectives(max_age=1, s_maxage=2), id="s-maxage"),
        pytest.param(
            (b"stale-while-revalidate=3, stale-if-error=4",),
            ResponseDirectives(stale_while_revalidate=3, stale_if_error=4),
            id="rfc5861",
        ),
        pytest.param(
            (b'private="Set-Cookie, X-A"',),
            ResponseDirectives(private=True, private_fields=(b"set-cookie", b"x-a")),
            id="qualified-private-counts-as-private",
        ),
        pytest.param(
            (b'no-cache="Set-Cookie"',),
            ResponseDirectives(no_cache=True, no_cache_fields=(b"set-cookie",)),
            id="qualified-no-cache-counts-as-no-cache",
        ),
        pytest.param(
            (b'extension="a, no-store, private", max-age=1',),
            ResponseDirectives(max_age=1),
            id="quoted-commas",
        ),
        pytest.param(
            (b'extension="a\\", no-store", max-age=1',), ResponseDirectives(max_age=1), id="escaped-quote"
        ),
        pytest.param((b"no-store=1",), ResponseDirectives(no_store=True), id="forbids-with-argument"),
        pytest.param((b"public=1",), ResponseDirectives(), id="does-not-permit-with-argument"),
        pytest.param(
            (b"must-revalidate, proxy-revalidate, no-transform, immutable, must-understand",),
            ResponseDirectives(
                must_revalidate=True,
                proxy_revalidate=True,
                no_transform=True,
                immutable=True,
                must_understand=True,
            ),
            id="flags",
        ),
    ],
)
def test_response_directives_are_read(lines: tuple[bytes, ...], expected: ResponseDirectives) -> None:
    assert of_response(*lines) == expected


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"max-age=60; private", id="semicolon"),
        pytest.param(b"private; max-age=60", id="semicolon-first"),
        pytest.param(b"max-age = 60", id="spaces-around-equals"),
        pytest.param(b"max-age=", id="empty-argument"),
        pytest.param(b'extension="a, no-store', id="quote-never-closed"),
        pytest.param(b'extension="a"b', id="text-after-quote"),
        pytest.param(b'"private"', id="name-in-quotes"),
        pytest.param(b"no store", id="space-in-name"),
        pytest.param("максимум=60".encode(), id="non-ascii"),
        pytest.param(b"max-age=60 private", id="comma-forgotten"),
    ],
)
def test_what_breaks_the_grammar_is_malformed(line: bytes) -> None:
    assert of_response(line).malformed
    assert not of_response(line).max_age


def test_directives_behind_a_quote_that_is_never_closed_still_forbid() -> None:
    directives = of_response(b'extension="a, no-store, private')
    assert directives.no_store
    assert directives.private
    assert directives.malformed


def test_a_quote_left_open_reaches_no_further_than_its_line() -> None:
    assert of_response(b'extension="a', b'no-store"').malformed
    assert of_response(b'extension="a', b"no-store").no_store


@pytest.mark.parametrize(
    ("line", "forbids"),
    [
        pytest.param(b"must-revalidate", True, id="must-revalidate"),
        pytest.param(b"proxy-revalidate", True, id="proxy-revalidate"),
        pytest.param(b"s-maxage=60", True, id="s-maxage"),
        pytest.param(b"no-cache", True, id="no-cache"),
        pytest.param(b"public, max-age=60, immutable", False, id="others"),
    ],
)
def test_some_directives_forbid_stale(line: bytes, forbids: bool) -> None:
    assert of_response(line).forbids_stale is forbids


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b"no-cache", RequestDirectives(no_cache=True), id="no-cache"),
        pytest.param(
            b"no-store, no-transform", RequestDirectives(no_store=True, no_transform=True), id="two"
        ),
        pytest.param(b"only-if-cached", RequestDirectives(only_if_cached=True), id="only-if-cached"),
        pytest.param(b"max-age=0", RequestDirectives(max_age=0), id="max-age"),
        pytest.param(b"max-age=x", RequestDirectives(max_age=0), id="max-age-unreadable"),
        pytest.param(b"min-fresh=5", RequestDirectives(min_fresh=5), id="min-fresh"),
        pytest.param(b"max-stale", RequestDirectives(max_stale=ANY_STALENESS_S), id="max-stale-any"),
        pytest.param(b"max-stale=9", RequestDirectives(max_stale=9), id="max-stale"),
        pytest.param(b"max-stale=x", RequestDirectives(max_stale=0), id="max-stale-unreadable"),
        pytest.param(b"max-stale=0", RequestDirectives(max_stale=0), id="max-stale-zero"),
        pytest.param(b"stale-if-error=7", RequestDirectives(stale_if_error=7), id="stale-if-error"),
    ],
)
def test_request_directives_are_read(line: bytes, expected: RequestDirectives) -> None:
    assert of_request(line) == expected


def test_pragma_counts_only_without_cache_control() -> None:
    alone = Fields([(b"Pragma", b"no-cache")])
    beside = alone.with_added((b"Cache-Control", b"max-age=5"))
    assert RequestDirectives.parse(alone) == RequestDirectives(no_cache=True)
    assert RequestDirectives.parse(beside) == RequestDirectives(max_age=5)
    assert ResponseDirectives.parse(alone) == ResponseDirectives()


@given(st.lists(st.binary(max_size=80), max_size=3))
def test_no_octets_make_the_parser_raise(lines: list[bytes]) -> None:
    of_response(*lines)
    of_request(*lines)


@given(st.text(alphabet='max-age=60,"\\ ;private', max_size=60))
def test_no_text_near_the_grammar_makes_the_parser_raise(line: str) -> None:
    of_response(line.encode())
    of_request(line.encode())


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_a_directive_after_any_octets_still_forbids_or_all_is_malformed(before: bytes, after: bytes) -> None:
    directives = of_response(before + b",no-store," + after)
    # a quoted string may hold the word; then the quotes must be closed, or everything is in doubt
    assert directives.no_store or directives.malformed or b'"' in before


@given(st.integers(0, 2**40))
def test_delta_seconds_are_read_back(seconds: int) -> None:
    assert parse_delta_seconds(b"%d" % seconds) == min(seconds, MAX_DELTA_S)


@pytest.mark.parametrize("value", [b"", b"+1", b"-1", b"1_0", b" 1", "１".encode(), b"0x1"])
def test_other_numbers_are_no_delta_seconds(value: bytes) -> None:
    assert parse_delta_seconds(value) is None


@pytest.mark.parametrize(
    ("value", "left"),
    [
        pytest.param(b"no-cache, Max-Stale=5", b"no-cache", id="one-of-two"),
        pytest.param(b"max-stale", b"", id="nothing-left"),
        pytest.param(b'x="max-stale, 1", y', b'x="max-stale, 1", y', id="in-quotes"),
        pytest.param(b"no-cache,no-store", b"no-cache,no-store", id="untouched"),
    ],
)
def test_directives_are_taken_out_by_name(value: bytes, left: bytes) -> None:
    assert without_directives(value, frozenset({b"max-stale"})) == left
