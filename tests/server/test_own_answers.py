"""Answers of our own: what a client is told of its mistake, and what stays with us."""

from __future__ import annotations

import pytest

from proxy import errors
from proxy.server.own_answers import explanation, own_answer

SECRET = "10.0.0.7:8080 refused, password=x"


@pytest.mark.parametrize(
    "kind",
    [
        errors.OriginError,
        errors.OriginUnreachable,
        errors.OriginTimeout,
        errors.OriginOverloaded,
        errors.OriginProtocolError,
        errors.FlightFailed,
        errors.WaitTimedOut,
        errors.RefusedError,
        errors.RouteNotFound,
        errors.NotStored,
        errors.ProxyError,
    ],
)
def test_what_happened_behind_us_is_told_by_its_kind_only(kind: type[errors.ProxyError]) -> None:
    lines, body = own_answer(kind(SECRET), retry_after_s=2)
    assert SECRET.encode() not in lines + body
    assert body.startswith(b"%d " % kind.status)


def test_a_clients_mistake_is_told_to_it() -> None:
    assert explanation(errors.ClientError("Host more than once")) == "Host more than once"


def test_a_mistake_with_line_ends_stays_in_the_body() -> None:
    lines, body = own_answer(errors.ClientError("a\r\nSet-Cookie: evil=1"), retry_after_s=2)
    assert b"evil" not in lines
    assert b"evil" in body


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.RefusedError(""), True),
        (errors.OriginOverloaded(""), True),
        (errors.ClientError(""), False),
        (errors.OriginProtocolError(""), False),
    ],
)
def test_retry_after_is_told_where_coming_again_can_help(error: errors.ProxyError, expected: bool) -> None:
    lines, _ = own_answer(error, retry_after_s=7)
    assert (b"Retry-After: 7\r\n" in lines) is expected


def test_it_is_kept_by_nobody_and_carries_what_the_caller_adds() -> None:
    lines, _ = own_answer(errors.ClientError(""), retry_after_s=2, extra=((b"X-A", b"b"),))
    assert b"Cache-Control: no-store\r\n" in lines
    assert b"X-A: b\r\n" in lines
