"""A coded answer is another representation: its own tag, its own octets, and only for who asks for it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.settings import ContentCoding
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.conditional import if_range_matches, not_modified, weakly_equal
from proxy.policy.content_coding import (
    Uncompressed,
    accepted_codings,
    coded_head,
    coded_tag,
    coding_for,
    conditions_for_origin,
    not_compressible,
    not_modified_for_client,
    origin_tag,
    preferred_coding,
    reduced_accept_encoding,
    varying_head,
)
from tests.policy.heads import DATE, NOW, fields_of, request, response, route

GZIP, BR, ZSTD = ContentCoding.GZIP, ContentCoding.BR, ContentCoding.ZSTD
ALL = (ZSTD, BR, GZIP)


@pytest.mark.parametrize(
    ("value", "weights"),
    [
        pytest.param(b"gzip, br", {b"gzip": 1000, b"br": 1000}, id="two"),
        pytest.param(b"GZIP;q=0.5", {b"gzip": 500}, id="weight"),
        pytest.param(b"gzip ;\tQ=0.001", {b"gzip": 1}, id="spaces-and-case"),
        pytest.param(b"gzip;q=1.000, *;q=0", {b"gzip": 1000, b"*": 0}, id="any-other-not"),
        pytest.param(b"x-gzip", {b"gzip": 1000}, id="old-name"),
        pytest.param(b"gzip;q=2", {b"gzip": 0}, id="out-of-range"),
        pytest.param(b"gzip;q=0.5555", {b"gzip": 0}, id="too-precise"),
        pytest.param(b"gzip;level=9", {b"gzip": 0}, id="another-parameter"),
        pytest.param(b"gzip;", {b"gzip": 0}, id="no-parameter"),
        pytest.param(b"g zip, br", {b"br": 1000}, id="no-token"),
        pytest.param(b"gzip, gzip;q=0", {b"gzip": 0}, id="said-twice"),
        pytest.param(b"", {}, id="empty"),
        pytest.param(b",,", {}, id="empty-members"),
    ],
)
def test_accept_encoding_is_read(value: bytes, weights: dict[bytes, int]) -> None:
    assert accepted_codings(value) == weights


@pytest.mark.parametrize(
    ("fields", "coding"),
    [
        pytest.param("", None, id="absent"),
        pytest.param("Accept-Encoding:", None, id="empty"),
        pytest.param("Accept-Encoding: gzip", GZIP, id="one"),
        pytest.param("Accept-Encoding: gzip, deflate, br, zstd", ZSTD, id="the-routes-order-among-equals"),
        pytest.param("Accept-Encoding: gzip;q=1, br;q=0.9", GZIP, id="the-clients-preference-first"),
        pytest.param("Accept-Encoding: deflate", None, id="none-that-we-make"),
        pytest.param("Accept-Encoding: gzip;q=0", None, id="refused"),
        pytest.param("Accept-Encoding: *", ZSTD, id="any"),
        pytest.param("Accept-Encoding: *, zstd;q=0", BR, id="any-but-one"),
        pytest.param("Accept-Encoding: gzip;q=0.5, identity", None, id="identity-is-preferred"),
        pytest.param("Accept-Encoding: gzip, identity;q=0.5", GZIP, id="identity-is-second"),
        pytest.param("Accept-Encoding: gzip;q=0.1, identity;q=0", GZIP, id="identity-is-refused"),
        pytest.param("Accept-Encoding: identity;q=0", None, id="nothing-left-is-identity-all-the-same"),
        pytest.param("Accept-Encoding: br|Accept-Encoding: gzip;q=0.1", BR, id="two-lines"),
    ],
)
def test_the_client_chooses_and_the_route_decides_among_equals(
    fields: str, coding: ContentCoding | None
) -> None:
    assert preferred_coding(request(fields), ALL) is coding


def test_no_coding_of_the_route_is_no_coding() -> None:
    assert preferred_coding(request("Accept-Encoding: gzip"), ()) is None
    assert preferred_coding(request("Accept-Encoding: gzip"), (BR,)) is None


@pytest.mark.parametrize(
    ("fields", "reduced"),
    [
        pytest.param("Accept-Encoding: gzip, deflate, br, zstd", b"br, gzip", id="what-the-origin-knows"),
        pytest.param("Accept-Encoding: BR ,gzip;q=0", b"br", id="what-the-client-takes"),
        pytest.param("Accept-Encoding: deflate", b"identity", id="nothing"),
        pytest.param("", b"identity", id="absent"),
        pytest.param("Accept-Encoding: *;q=0.1", b"br, gzip", id="any"),
        pytest.param("Accept-Encoding: gzip, identity;q=0", None, id="identity-refused-stays"),
        pytest.param("Accept-Encoding: gzip, *;q=0", None, id="and-so-by-the-star"),
    ],
)
def test_what_the_origin_is_told_is_what_it_distinguishes(fields: str, reduced: bytes | None) -> None:
    assert reduced_accept_encoding(fields_of(fields), (BR, GZIP)) == reduced


def test_an_origin_that_does_not_compress_is_asked_for_identity() -> None:
    assert reduced_accept_encoding(fields_of("Accept-Encoding: gzip"), ()) == b"identity"


WORDS = st.sampled_from(["gzip", "br", "zstd", "identity", "*", "deflate"])
WEIGHTS = st.sampled_from(["", ";q=0", ";q=0.5", ";q=1", ";q=x"])


@pytest.mark.slow
@given(st.lists(st.tuples(WORDS, WEIGHTS), max_size=5))
def test_nobody_gets_a_coding_that_he_refuses(members: list[tuple[str, str]]) -> None:
    value = ", ".join(name + weight for name, weight in members)
    head = request(f"Accept-Encoding: {value}")
    chosen = preferred_coding(head, ALL)
    weights = accepted_codings(value.encode())
    if chosen is not None:
        assert weights.get(chosen.value.encode(), weights.get(b"*")) not in (None, 0)
    reduced = reduced_accept_encoding(head.fields, ALL)
    if reduced is not None and reduced != b"identity":
        for name in reduced.split(b", "):
            assert weights.get(name, weights.get(b"*")) not in (None, 0)


@given(st.binary(max_size=40))
def test_no_octets_make_the_reader_raise(value: bytes) -> None:
    head = RequestHead("GET", b"/", Fields([(b"Accept-Encoding", value)]))
    preferred_coding(head, ALL)
    reduced_accept_encoding(head.fields, ALL)


# what may be compressed


def compressing(**settings: Any) -> Any:
    return route(compression={"enabled": True, "codings": ["br", "gzip"], **settings})


HTML = "Content-Type: text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param(HTML, None, id="text"),
        pytest.param("Content-Type: Application/JSON", None, id="case"),
        pytest.param("Content-Type: application/problem+json", None, id="suffix"),
        pytest.param("Content-Type: image/png", Uncompressed.TYPE, id="image"),
        pytest.param("Content-Type: text", Uncompressed.TYPE, id="no-type"),
        pytest.param("", Uncompressed.TYPE, id="absent"),
        pytest.param("Content-Type: text/html|Content-Type: image/png", Uncompressed.TYPE, id="two-types"),
        pytest.param(HTML + "|Content-Encoding: gzip", Uncompressed.ENCODED, id="encoded"),
        pytest.param(HTML + "|Content-Encoding: identity", Uncompressed.ENCODED, id="even-as-identity"),
        pytest.param(HTML + "|Cache-Control: no-transform", Uncompressed.NO_TRANSFORM, id="no-transform"),
        pytest.param(HTML + "|Cache-Control: no-transform=1", Uncompressed.NO_TRANSFORM, id="in-any-form"),
        pytest.param(
            HTML + "|Cache-Control: no-transform|CDN-Cache-Control: max-age=1",
            Uncompressed.NO_TRANSFORM,
            id="beside-a-targeted-field",
        ),
        pytest.param(HTML + "|CDN-Cache-Control: no-transform", Uncompressed.NO_TRANSFORM, id="targeted"),
        pytest.param(HTML + "|Signature: sig1=:YQ==:", Uncompressed.SIGNED, id="signed"),
    ],
)
def test_some_responses_are_not_compressed_for_anybody(fields: str, reason: Uncompressed | None) -> None:
    assert not_compressible(response(fields), length=5000, route=compressing()) is reason


@pytest.mark.parametrize("status", [201, 206, 304, 404])
def test_only_a_200_is_compressed(status: int) -> None:
    head = response(HTML, status=status)
    assert not_compressible(head, length=5000, route=compressing()) is Uncompressed.STATUS


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (None, Uncompressed.LENGTH),
        (0, Uncompressed.LENGTH),
        (99, Uncompressed.LENGTH),
        (100, None),
        (200, None),
        (201, Uncompressed.LENGTH),
    ],
)
def test_only_a_body_of_some_length_is_compressed(length: int | None, reason: Uncompressed | None) -> None:
    settings = compressing(min_bytes=100, max_bytes=200)
    assert not_compressible(response(HTML), length=length, route=settings) is reason


def test_nothing_is_compressed_by_default() -> None:
    assert not_compressible(response(HTML), length=5000, route=route()) is Uncompressed.DISABLED


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        pytest.param("", GZIP, id="plain"),
        pytest.param("Range: bytes=0-9", Uncompressed.RANGE, id="range"),
        pytest.param("Cache-Control: no-transform", Uncompressed.NO_TRANSFORM, id="no-transform"),
        pytest.param("Cookie: a=1", Uncompressed.COOKIE, id="cookie"),
        pytest.param("Authorization: Basic x", Uncompressed.COOKIE, id="authorization"),
    ],
)
def test_some_requests_get_identity(fields: str, found: ContentCoding | Uncompressed) -> None:
    assert coding_for(request(f"Accept-Encoding: gzip|{fields}"), route=compressing()) is found


def test_a_route_can_compress_for_requests_with_cookies() -> None:
    head = request("Accept-Encoding: gzip|Cookie: a=1")
    assert coding_for(head, route=compressing(with_cookies=True)) is GZIP


def test_identity_is_all_that_some_accept() -> None:
    assert coding_for(request(), route=compressing()) is Uncompressed.NOT_ACCEPTED


# heads


def test_a_coded_head_tells_of_the_coded_octets_only() -> None:
    head = response(
        'Content-Type: text/html|ETag: "abc"|Last-Modified: x|Content-Length: 5|Content-MD5: a|Digest: b'
        "|Content-Digest: c|Repr-Digest: d|Accept-Ranges: bytes|Vary: Accept-Language|Expires: 0"
    )
    assert coded_head(head, BR).fields == fields_of(
        "Content-Type: text/html|Last-Modified: x|Vary: Accept-Language|Expires: 0"
        '|Content-Encoding: br|ETag: "abc--br"|Vary: Accept-Encoding'
    )


@pytest.mark.parametrize(
    ("fields", "vary"),
    [
        ("", b"Accept-Encoding"),
        ("Vary: Cookie", b"Cookie, Accept-Encoding"),
        ("Vary: accept-encoding", b"accept-encoding"),
        ("Vary: *", b"*"),
    ],
)
def test_vary_names_accept_encoding_once(fields: str, vary: bytes) -> None:
    assert varying_head(response(fields)).fields.get(b"vary") == vary


@pytest.mark.parametrize(
    ("tag", "coded"),
    [('"abc"', b'"abc--gzip"'), ('W/"abc"', b'W/"abc--gzip"'), ('""', b'"--gzip"'), ("abc", None)],
)
def test_each_coding_has_its_own_tag(tag: str, coded: bytes | None) -> None:
    assert coded_head(response(f"ETag: {tag}"), GZIP).fields.get(b"etag") == coded


@pytest.mark.slow
@given(st.from_regex(rb'(W/)?"[!#-~]{0,8}"', fullmatch=True), st.sampled_from(ContentCoding))
def test_a_coded_tag_leads_back_and_equals_no_other(tag: bytes, coding: ContentCoding) -> None:
    coded = coded_tag(tag, coding)
    assert origin_tag(coded) == tag
    assert not weakly_equal(coded, tag)
    assert all(
        not weakly_equal(coded, coded_tag(tag, other)) for other in ContentCoding if other is not coding
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param('If-None-Match: "a--gzip"', b'"a--gzip", "a"', id="one"),
        pytest.param('If-None-Match: W/"a--br", "b"', b'W/"a--br", "b", W/"a"', id="two"),
        pytest.param('If-None-Match: "a--br", "a--gzip"', b'"a--br", "a--gzip", "a"', id="two-of-one"),
        pytest.param('If-None-Match: "a"', b'"a"', id="none-of-ours"),
        pytest.param("If-None-Match: *", b"*", id="any"),
        pytest.param('If-None-Match: "a--gzip', b'"a--gzip', id="unreadable"),
    ],
)
def test_tags_of_ours_are_explained_to_the_origin(fields: str, expected: bytes) -> None:
    assert conditions_for_origin(fields_of(fields)).get(b"if-none-match") == expected


def test_a_write_on_condition_of_a_coded_tag_holds_for_the_origins() -> None:
    found = conditions_for_origin(fields_of('If-Match: "a--zstd"|X: 1'))
    assert found.get(b"if-match") == b'"a--zstd", "a"'
    assert found.get(b"x") == b"1"


def test_octets_of_one_coding_never_continue_another() -> None:
    asked = 'Range: bytes=5-|If-Range: "a--gzip"'
    assert conditions_for_origin(fields_of(asked)) == fields_of(asked)
    assert not if_range_matches(request(asked), response('ETag: "a"'))
    assert not if_range_matches(request('If-Range: "a"'), coded_head(response('ETag: "a"'), GZIP))


def test_a_client_that_has_a_coding_is_told_that_it_is_not_modified() -> None:
    coded = coded_head(response('ETag: "a"'), GZIP)
    assert not_modified(request('If-None-Match: "a--gzip"'), coded, now=NOW)
    assert not not_modified(request('If-None-Match: "a"'), coded, now=NOW), "it has another representation"
    assert not not_modified(request('If-None-Match: "a--br"'), coded, now=NOW)


@pytest.mark.parametrize(
    ("asked", "answered", "tag"),
    [
        pytest.param('If-None-Match: "a--gzip"', 'ETag: "a"', b'"a--gzip"', id="ours"),
        pytest.param('If-None-Match: "a--gzip"', 'ETag: W/"a"', b'"a--gzip"', id="weakly"),
        pytest.param('If-None-Match: "a--gzip", "a"', 'ETag: "a"', b'"a"', id="it-has-both"),
        pytest.param('If-None-Match: "b--gzip"', 'ETag: "a"', b'"a"', id="another"),
        pytest.param("", 'ETag: "a"', b'"a"', id="no-condition"),
        pytest.param('If-None-Match: "a--gzip"', "", None, id="no-tag"),
    ],
)
def test_the_origins_304_has_the_tag_that_the_client_knows(
    asked: str, answered: str, tag: bytes | None
) -> None:
    found = not_modified_for_client(request(asked), response(answered, status=304))
    assert found.fields.get(b"etag") == tag


def test_only_a_304_is_renamed() -> None:
    head = response('ETag: "a"')
    assert not_modified_for_client(request('If-None-Match: "a--gzip"'), head) is head


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.sampled_from([b"ETag", b"Vary", b"Content-Type", b"Cache-Control"]), st.binary()))
)
def test_no_octets_make_the_heads_raise(pairs: list[tuple[bytes, bytes]]) -> None:
    head = ResponseHead(200, Fields([*pairs, (b"Date", DATE)]))
    not_compressible(head, length=5000, route=compressing())
    coded = coded_head(head, GZIP)
    assert coded.fields.get_all(b"content-encoding")[-1] == b"gzip"
    assert varying_head(coded) == coded


def test_a_value_of_any_length_is_read_alike() -> None:
    short = "gzip;q=0.5, br"
    long = ", ".join([short, *(f"x{number};q=0" for number in range(50))])
    settings = route(compression={"enabled": True, "codings": ["gzip", "br"]})
    found = [
        coding_for(request(f"Accept-Encoding: {value}"), route=settings)
        for value in (short, long, short, long)
    ]
    assert found == [ContentCoding.BR] * 4
