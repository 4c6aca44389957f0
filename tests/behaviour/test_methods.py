"""Every method that the parser knows passes; all others are answered 501."""

from __future__ import annotations

import pytest

from proxy.policy.request_checks import KNOWN_METHODS
from tests.scenario import World

BODYLESS = frozenset({"GET", "HEAD", "TRACE"})


@pytest.mark.parametrize("method", sorted(KNOWN_METHODS - {"PURGE"}))  # which is for us
async def test_a_known_method_passes_with_its_body_both_ways(world: World, method: str) -> None:
    body = None if method in BODYLESS else b"asked"
    rule = world.origin.on(f"{method} /a")
    rule.answer(lambda asked: asked.reply(200, asked.body + b"!", x_method=asked.method))
    response = await world.client().send(f"{method} /a", body).expect(200, x_method=method)
    assert response.body == (b"" if method == "HEAD" else (body or b"") + b"!")


@pytest.mark.parametrize("method", ["BREW", "CONNECT", "get", "DESCRIBE", "SOURCE", "X" * 32])
async def test_other_methods_are_answered_501(world: World, method: str) -> None:
    target = "shop.example:443" if method == "CONNECT" else "/a"
    client = world.client().send(f"{method} {target}")
    await client.expect(501, connection="close")
    await client.closed()
    assert world.origin.asked() == 0


async def test_options_of_the_server_as_a_whole_passes(world: World) -> None:
    world.origin.on("OPTIONS *").reply(204, allow="GET")
    await world.client().send("OPTIONS *").expect(204, allow="GET")


async def test_max_forwards_is_counted_down_and_ends_here_at_zero(world: World) -> None:
    world.origin.on("OPTIONS /a", max_forwards="2").reply(204)
    await world.client().send("OPTIONS /a", max_forwards="3").expect(204)
    response = await world.client().send("OPTIONS /a", max_forwards="0").expect(200, b"")
    assert "GET" in (response.field("allow") or "")
    await world.client().send("TRACE /a", max_forwards="0", cookie="secret").expect(501)
    world.origin.on("GET /a", max_forwards="0").reply(200)
    await world.client().send("GET /a", max_forwards="0").expect(200)


@pytest.mark.parametrize("status", [200, 204, 205, 304, 404])
async def test_answers_without_a_body_keep_the_connection_in_step(world: World, status: int) -> None:
    world.origin.on("POST /a").reply(status)
    client = world.client().send("POST /a", b"x")
    await client.expect(status, b"")
    await client.send("POST /a", b"y").expect(status, b"")


@pytest.mark.parametrize("status", [204, 304])
async def test_bodyless_answers_carry_no_framing(world: World, status: int) -> None:
    world.origin.on("POST /a").raw(b'HTTP/1.1 %d x\r\nETag: "1"\r\n\r\n' % status)
    await (
        world.client()
        .send("POST /a", b"x")
        .expect(status, b"", content_length=None, transfer_encoding=None, etag='"1"')
    )


async def test_head_tells_the_length_that_the_origin_told(world: World) -> None:
    world.origin.on("HEAD /a").raw(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")
    client = world.client().send("HEAD /a")
    await client.expect(200, b"", content_length="12345")
    world.origin.on("HEAD /b").raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await client.send("HEAD /b").expect(200, b"", content_length=None)


async def test_an_unregistered_status_and_its_reason_pass(world: World) -> None:
    world.origin.on("POST /a").raw(b"HTTP/1.1 299 Well, \xe9\r\nContent-Length: 1\r\n\r\nA")
    response = await world.client().send("POST /a", b"x").expect(299, b"A")
    assert response.reason == b"Well, \xe9"


async def test_a_request_that_circles_is_answered_508(world: World) -> None:
    vias = ["1.1 Lockgate"] * 7
    world.origin.on("GET /a").reply(200, b"A")
    await world.client().send("GET /a", via=vias).expect(200, b"A")
    await world.client().send("GET /a", via=[*vias, "1.1 lockgate"]).expect(508)


async def test_a_tier_behind_a_tier_is_no_circle(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A")
    await world.client().send("GET /a", via="1.1 Lockgate, 1.0 other (x)").expect(200)
    assert world.origin.requests()[0].field("via") == "1.1 Lockgate, 1.0 other (x), 1.1 Lockgate"
