"""What follows from a head is found once, remembered from its second coming on, and bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

from proxy.config.settings import LimitsSettings, RouteSettings
from proxy.errors import ClientError, LoopDetected, RouteNotFound
from proxy.policy.sharing import JoinRefusal
from proxy.routing import Router
from proxy.server import prepared as module
from proxy.server.prepared import Prepared, PreparedHeads, Unanswerable

HEAD = b"GET /a HTTP/1.1\r\nHost: shop.example\r\n%b\r\n"


def parsed(octets: bytes) -> RawRequestMessage:
    loop = asyncio.new_event_loop()
    try:
        [(message, _)], _, _ = HttpRequestParser(BaseProtocol(loop), loop, 2**16).feed_data(octets)
    finally:
        loop.close()
    return message


def heads(**route: Any) -> PreparedHeads:
    router = Router([RouteSettings(origin="app", **route)])
    return PreparedHeads(router, limits=LimitsSettings(), via_name="Lockgate", is_own=lambda _path: False)


def message(fields: bytes = b"") -> RawRequestMessage:
    return parsed(HEAD % fields)


def prepare(table: PreparedHeads, fields: bytes = b"", *, trusted: bool = False) -> Prepared:
    found = table.prepare(message(fields), scheme="http", trusted=trusted)
    assert isinstance(found, Prepared)
    return found


def test_a_head_that_comes_again_is_remembered_from_its_second_coming_on() -> None:
    table = heads()
    first, second, third = (prepare(table) for _ in range(3))
    assert first is not second
    assert second is third


def test_what_follows_depends_on_whether_the_peer_is_trusted() -> None:
    table = heads()
    fields = b"X-Forwarded-Proto: https\r\n"
    for _ in range(3):
        assert b"x-forwarded-proto" in prepare(table, fields, trusted=True).seen.fields
        assert b"x-forwarded-proto" not in prepare(table, fields).seen.fields


def test_heads_that_differ_in_one_octet_are_two() -> None:
    table = heads()
    for _ in range(3):
        one, other = prepare(table, b"Cookie: a\r\n"), prepare(table, b"Cookie: b\r\n")
        assert one.request.fields.get(b"cookie") == b"a"
        assert other.request.fields.get(b"cookie") == b"b"


def test_a_request_that_cannot_be_shared_has_no_key() -> None:
    passed = heads().prepare(parsed(b"POST /a HTTP/1.1\r\nHost: a\r\n\r\n"), scheme="http", trusted=False)
    assert isinstance(passed, Prepared)
    assert (passed.key, passed.refusal) == (None, JoinRefusal.METHOD)


def test_a_request_with_authorization_has_a_key_to_look_under() -> None:
    found = prepare(heads(), b"Authorization: Basic eA==\r\n")
    assert found.refusal is JoinRefusal.AUTHORIZATION
    assert found.key is not None


def test_a_declared_body_is_seen_from_the_head() -> None:
    assert prepare(heads()).bodyless
    assert not prepare(heads(), b"Content-Length: 0\r\n").bodyless


def test_a_bad_head_is_refused_each_time() -> None:
    table = heads()
    for _ in range(3):
        with pytest.raises(ClientError):
            table.prepare(message(b"Content_Length: 1\r\n"), scheme="http", trusted=False)


def test_a_head_that_leads_nowhere_says_why() -> None:
    found = heads(path="/b").prepare(message(), scheme="http", trusted=False)
    assert isinstance(found, Unanswerable)
    assert isinstance(found.error, RouteNotFound)
    looping = heads().prepare(message(b"Via: 1.1 Lockgate\r\n" * 9), scheme="http", trusted=False)
    assert isinstance(looping, Unanswerable)
    assert isinstance(looping.error, LoopDetected)


def test_the_table_drops_what_is_not_asked_for_and_keeps_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TABLE_BYTES", 20_000)
    table = heads()
    prepare(table)
    kept = prepare(table)
    for number in range(200):
        for _ in range(2):
            prepare(table, b"Cookie: %d\r\n" % number)
        assert prepare(table) is kept
    assert len(table._table) < 40


def test_heads_that_come_once_push_nothing_out() -> None:
    table = heads()
    prepare(table)
    kept = prepare(table)
    for number in range(1000):
        prepare(table, b"Cookie: %d\r\n" % number)
    assert prepare(table) is kept
    assert len(table._table) == 1
