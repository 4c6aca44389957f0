"""A value is what the origin takes for it as well, or the write is refused with the variable's name."""

from __future__ import annotations

import gzip

import pytest

from proxy.errors import EntityMissing
from proxy.http.fields import Fields
from proxy.writes.front.request_values import MAX_JSON_OCTETS, RequestValues
from proxy.writes.front.templates import Source, Variable

JSON = (b"Content-Type", b"application/json")


def values(
    query: bytes = b"", fields: tuple[tuple[bytes, bytes], ...] = (JSON,), body: bytes = b'{"a": "x"}'
) -> RequestValues:
    return RequestValues({"id": b"\xff"}, path="/posts/%FF", query=query, fields=Fields(fields), body=body)


def of_query(query: bytes, name: str = "a b") -> bytes:
    return values(query).value(Variable(Source.QUERY, (name,)))


def of_header(*fields: tuple[bytes, bytes], name: str = "X-Cart") -> bytes:
    return values(fields=fields).value(Variable(Source.HEADER, (name,)))


def of_host(*fields: tuple[bytes, bytes]) -> bytes:
    return values(fields=fields).value(Variable(Source.HOST, ("host",)))


def of_json(body: bytes = b'{"a": "x"}', *fields: tuple[bytes, bytes]) -> bytes:
    return values(fields=fields or (JSON,), body=body).value(Variable(Source.JSON, ("a",)))


def test_of_the_path() -> None:
    assert values().value(Variable(Source.SEGMENT, ("id",))) == b"\xff"
    assert values().value(Variable(Source.PATH, ("path",))) == b"/posts/%FF"


@pytest.mark.parametrize("query", [b"a+b=1", b"a%20b=1", b"x=2&%61+%62=%31&a", b"a b=1"])
def test_a_parameter_is_found_however_it_is_spelled(query: bytes) -> None:
    assert of_query(query) == b"1"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (b"", "no such parameter"),
        (b"A+b=1", "no such parameter"),
        (b"a+b=1&a%20b=1", "more than once"),
        (b"a+b", "it is empty"),
    ],
)
def test_a_parameter_that_is_not_there_once_is_refused(query: bytes, why: str) -> None:
    with pytest.raises(EntityMissing, match=f"{{query:a b}}: .*{why}"):
        of_query(query)


@pytest.mark.parametrize("query", [b"id=1;id=2", b"id=1;x=2", b"x=1;id=2&id=1", b"id=1;"])
def test_a_semicolon_that_some_take_for_an_ampersand_is_refused(query: bytes) -> None:
    with pytest.raises(EntityMissing, match="semicolon"):
        of_query(query, "id")


@pytest.mark.parametrize("query", [b"id=1%3Bid=2", b"x=1;y=2&id=1%3Bid=2"])
def test_a_semicolon_that_all_read_alike_is_taken(query: bytes) -> None:
    assert of_query(query, "id") == b"1;id=2"


def test_a_field_is_found_whatever_its_case_and_the_space_around_it() -> None:
    assert of_header((b"x-CART", b" \tA b\t")) == b"A b"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ((), "no such field"),
        (((b"X-Cart", b"1"), (b"x-cart", b"1")), "more than once"),
        (((b"X-Cart", b" "),), "it is empty"),
        (((b"X-Cart", b"1"), (b"Connection", b"close, X-CART")), "Connection names it"),
    ],
)
def test_a_field_that_the_origin_may_see_otherwise_is_refused(
    fields: tuple[tuple[bytes, bytes], ...], why: str
) -> None:
    with pytest.raises(EntityMissing, match=f"{{header:X-Cart}}: .*{why}"):
        of_header(*fields)


@pytest.mark.parametrize(
    "host", [b"example.org", b"EXAMPLE.org", b"example.org:8080", b"example.org.", b"example.org.:80"]
)
def test_a_host_is_one_however_it_is_spelled(host: bytes) -> None:
    assert of_host((b"Host", host)) == b"example.org"


def test_an_address_of_ipv6_is_a_host() -> None:
    assert of_host((b"Host", b"[::A]:80")) == b"[::a]"


def test_a_request_without_a_host_is_refused() -> None:
    with pytest.raises(EntityMissing, match=r"\{host\}: the request has no such field"):
        of_host()


@pytest.mark.parametrize(
    "kind",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json; charset=utf-8",
        b'application/json;charset="UTF-8"',
        b"application/merge-patch+json",
        b'application/vnd.api+json; ext="https://jsonapi.org/ext/atomic"; charset=utf8',
        b"application/activity+json; profile=x",
    ],
)
def test_a_body_of_any_type_of_json_is_read(kind: bytes) -> None:
    assert of_json(b'{"a": 1.0}', (b"Content-Type", kind)) == b"1"


@pytest.mark.parametrize(
    "kind",
    [
        b"application/x-www-form-urlencoded",
        b"text/plain",
        b"application/json-seq",
        b"application/json; charset=utf-16",
        b"application/json; charset=utf-8; charset=utf-7x",
        b"application/json, text/plain",
        b"json",
        b"",
    ],
)
def test_a_body_that_the_origin_may_read_as_something_else_is_refused(kind: bytes) -> None:
    with pytest.raises(EntityMissing, match=r"{json:a}: .*not sent as JSON"):
        of_json(b'{"a": 1}', (b"Content-Type", kind))


@pytest.mark.parametrize("fields", [((b"X", b""),), (JSON, JSON)], ids=["none", "two"])
def test_a_body_has_one_type(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    with pytest.raises(EntityMissing, match="not sent as JSON"):
        of_json(b'{"a": 1}', *fields)


def test_an_encoded_body_is_refused() -> None:
    with pytest.raises(EntityMissing, match="Content-Encoding"):
        of_json(gzip.compress(b'{"a": 1}'), JSON, (b"Content-Encoding", b"gzip"))
    assert of_json(b'{"a": 1}', JSON, (b"Content-Encoding", b"identity")) == b"1"


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"", "the body is not JSON"), (b"{}", "the body has no member 'a'"), (b'{"a": null}', "it is null")],
)
def test_a_body_that_names_nothing_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(EntityMissing, match=f"{{json:a}}: {why}"):
        of_json(body)


def test_a_body_that_takes_long_to_read_is_refused() -> None:
    body = b'{"a": "x", "b": "%b"}' % (b"y" * MAX_JSON_OCTETS)
    with pytest.raises(EntityMissing, match=rf"has {len(body)} octets; of JSON at most {MAX_JSON_OCTETS}"):
        of_json(body)


def test_a_body_is_read_once() -> None:
    one = values()
    assert one.value(Variable(Source.JSON, ("a",))) == b"x"
    one._body = b"{"
    assert one.value(Variable(Source.JSON, ("a",))) == b"x"
