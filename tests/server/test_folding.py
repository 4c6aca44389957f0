from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

from proxy.config.settings import Config
from proxy.server.folding import Folding, values_of


def folding(*, limits: dict[str, Any] | None = None, **route: Any) -> Folding:
    return Folding(
        Config.model_validate(
            {
                "origins": {"shop": {"addresses": ["http://127.0.0.1:1"]}},
                "routes": [{"origin": "shop", **route}],
                "limits": limits or {},
            }
        )
    )


async def parsed(*lines: bytes, method: bytes = b"GET", target: bytes = b"/a") -> RawRequestMessage:
    loop = asyncio.get_running_loop()
    parser = HttpRequestParser(BaseProtocol(loop, None), loop, 2**16, max_field_size=2**16, max_headers=2**16)
    head = b"\r\n".join((method + b" " + target + b" HTTP/1.1", b"Host: shop", *lines, b"", b""))
    messages, _, _ = parser.feed_data(head)
    message: RawRequestMessage = messages[0][0]
    return message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([b"Cookie: a"], [b"Cookie: b"], id="another-cookie"),
        pytest.param([b"User-Agent: a"], [], id="no-user-agent"),
        pytest.param([b"Accept: a", b"Referer: x"], [b"X-Request-ID: 7"], id="others"),
        pytest.param([b"COOKIE: a"], [b"COOKIE: b"], id="in-capitals"),
    ],
)
async def test_heads_that_differ_in_nothing_that_matters_fold_to_one(
    one: list[bytes], other: list[bytes]
) -> None:
    fold = folding().fold
    folded, also = fold(await parsed(*one)), fold(await parsed(*other))
    assert folded is not None
    assert also is not None
    assert folded[0] == also[0]


@pytest.mark.parametrize(
    "lines",
    [
        [b"Cookie: a"],
        [b"cOOkie: a"],
        [b"Range: bytes=0-1"],
        [b'If-None-Match: "a"'],
        [b"Cache-Control: no-cache"],
        [b"Authorization: Basic YTpi"],
        [b"Accept-Encoding: gzip"],
        [b"Connection: cookie"],
        [b"X-Anything: a"],
    ],
)
async def test_what_matters_is_told_apart(lines: list[bytes]) -> None:
    fold = folding().fold
    folded, plain = fold(await parsed(*lines)), fold(await parsed())
    assert folded is not None
    assert plain is not None
    assert folded[0] != plain[0]


async def test_method_target_and_order_of_what_matters_are_told_apart() -> None:
    fold = folding().fold
    folds = [
        fold(await parsed()),
        fold(await parsed(method=b"HEAD")),
        fold(await parsed(target=b"/b")),
        fold(await parsed(b"A: 1", b"B: 2")),
        fold(await parsed(b"B: 2", b"A: 1")),
    ]
    assert len(set(folds)) == len(folds)


@pytest.mark.parametrize(
    ("route", "line"),
    [
        pytest.param({"key": {"fields": ["User-Agent"]}}, b"User-Agent: %d", id="in-the-key"),
        pytest.param({"key": {"cookies": ["a"]}}, b"Cookie: a=%d", id="a-cookie-in-the-key"),
        pytest.param({"bypass": {"headers": {"Referer": "1"}}}, b"Referer: %d", id="bypass-by-a-field"),
        pytest.param({"bypass": {"cookies": ["a"]}}, b"Cookie: a=%d", id="bypass-by-a-cookie"),
        pytest.param({"cookies": "key"}, b"Cookie: a=%d", id="all-cookies-in-the-key"),
        pytest.param({"cookies": "bypass"}, b"Cookie: a=%d", id="bypass-by-any-cookie"),
        pytest.param({"cookies": "strip"}, b"Cookie: a=%d", id="cookies-stripped"),
    ],
)
async def test_what_the_configuration_looks_at_matters(route: dict[str, Any], line: bytes) -> None:
    fold = folding(**route).fold
    assert fold(await parsed(line % 1)) != fold(await parsed(line % 2))


async def test_what_a_limit_might_refuse_is_left_to_the_checks() -> None:
    fold = folding(limits={"max_field_bytes": 300, "max_fields": 4}).fold
    assert fold(await parsed(b"Cookie: " + b"a" * 200)) is not None
    assert fold(await parsed(b"Cookie: " + b"a" * 290)) is None
    assert fold(await parsed(*[b"Accept: a"] * 4)) is None


async def test_the_octets_that_do_not_matter_are_counted() -> None:
    folded = folding().fold(await parsed(b"X: 1", b"Cookie: abc", b"Accept: */*"))
    assert folded is not None
    assert folded[1] == len(b"Cookie: abc\r\nAccept: */*\r\n")


async def test_the_values_of_some_fields_are_given_in_order() -> None:
    message = await parsed(b"Accept: a", b"X: 1", b"accept: b")
    assert values_of(message, frozenset({b"accept"})) == ((b"Accept", b"a"), (b"accept", b"b"))


@pytest.mark.parametrize("octet", [b"\x00", b"\x01", b"\x0b", b"\x1f", b"\x7f"])
async def test_the_parser_refuses_control_characters_in_what_is_not_looked_at(octet: bytes) -> None:
    with pytest.raises(HttpProcessingError):
        await parsed(b"Cookie: a" + octet + b"b")
