"""A stored answer is compressed for those who accept it, once, and is another representation then."""

from __future__ import annotations

import gc
import gzip

import brotli
import pytest

from tests.scenario import World

BODY = b"a boat waits before the gate. " * 100
ROUTE = {"compression": {"enabled": True, "codings": ["br", "gzip"]}}
HTML = {"cache_control": "max-age=60", "content_type": "text/html", "etag": '"1"'}


async def stored(world: World, **fields: str) -> None:
    world.configure(route=ROUTE)
    world.origin.on("GET /a").reply(200, BODY, **{**HTML, **fields})
    first = await world.client().send("GET /a", accept_encoding="gzip").expect(200, BODY)
    assert first.field("content-encoding") is None, "the fill is given as it comes"


async def test_a_stored_answer_is_compressed_for_who_accepts_it(world: World) -> None:
    await stored(world)
    for accepted, coding, decoded in (
        ("gzip", "gzip", gzip.decompress),
        ("gzip, br", "br", brotli.decompress),
        ("gzip", "gzip", gzip.decompress),
    ):
        found = await world.client().send("GET /a", accept_encoding=accepted).expect(200)
        assert decoded(found.body) == BODY
        assert found.field("content-encoding") == coding
        assert found.field("etag") == f'"1--{coding}"'
        assert found.field("vary") == "Accept-Encoding"
        assert found.field("content-length") == str(len(found.body))
        assert found.cache_status["hit"]
    assert world.origin.asked() == 1
    assert world.proxy.statistics().proxy.compressor.compressed == 2


async def test_who_does_not_accept_it_gets_identity_that_varies_all_the_same(world: World) -> None:
    await stored(world)
    for fields in ({}, {"accept_encoding": "identity"}, {"accept_encoding": "gzip", "cookie": "a=1"}):
        found = await world.client().send("GET /a", **fields).expect(200, BODY)
        assert (found.field("content-encoding"), found.field("etag")) == (None, '"1"')
        assert found.field("vary") == "Accept-Encoding"


async def test_a_herd_of_hits_is_compressed_once(world: World) -> None:
    await stored(world)
    clients = world.clients(50).send("GET /a", accept_encoding="gzip")
    for found in await clients.expect(200):
        assert gzip.decompress(found.body) == BODY
    counted = world.proxy.statistics().proxy.compressor
    assert counted.compressed == 1


async def test_digests_of_identity_are_not_sent_with_a_coding(world: World) -> None:
    await stored(world, repr_digest="sha-256=:YQ==:", content_digest="sha-256=:YQ==:", accept_ranges="bytes")
    coded = await world.client().send("GET /a", accept_encoding="gzip").expect(200)
    for name in ("repr-digest", "content-digest", "accept-ranges"):
        assert coded.field(name) is None
    identity = await world.client().send("GET /a").expect(200, BODY)
    assert identity.field("repr-digest") == "sha-256=:YQ==:"


async def test_a_condition_is_evaluated_on_the_coding_that_the_client_gets(world: World) -> None:
    await stored(world)
    fields = {"accept_encoding": "gzip"}
    fresh = await world.client().send("GET /a", if_none_match='"1--gzip"', **fields).expect(304)
    assert (fresh.field("etag"), fresh.field("vary")) == ('"1--gzip"', "Accept-Encoding")
    assert world.proxy.statistics().proxy.compressor.compressed == 0, "a 304 needs no octets"
    await world.client().send("GET /a", if_none_match='"1"', **fields).expect(200)
    identity = await world.client().send("GET /a", if_none_match='"1"').expect(304)
    assert identity.field("vary") == "Accept-Encoding"


async def test_a_range_is_of_identity_and_continues_no_coding(world: World) -> None:
    await stored(world)
    part = (
        await world.client().send("GET /a", accept_encoding="gzip", range="bytes=0-4").expect(206, BODY[:5])
    )
    assert part.field("etag") == '"1"'
    fields = {"accept_encoding": "gzip", "range": "bytes=5-", "if_range": '"1--gzip"'}
    whole = await world.client().send("GET /a", **fields).expect(200, BODY)
    assert whole.field("content-encoding") is None


async def test_codings_survive_a_304_and_not_a_purge(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.server.gate_keeper.SWEEP_S", 0.01)  # the gate lets go of what it sent last
    await stored(world)
    await world.client().send("GET /a", accept_encoding="gzip").expect(200)
    world.clock.advance(61)
    world.origin.on("GET /a", if_none_match='"1"').reply(
        304, b"", etag='"1"', cache_control="max-age=60, public"
    )
    for _ in range(2):
        found = await world.client().send("GET /a", accept_encoding="gzip").expect(200)
    assert gzip.decompress(found.body) == BODY
    assert "public" in str(found.field("cache-control"))
    assert world.proxy.statistics().proxy.compressor.compressed == 1
    world.purge()
    gc.collect()  # a flight and its seats hold each other
    await world.until(lambda: world.proxy.statistics().proxy.compressor.kept == 0)
    world.origin.on("GET /a").reply(200, BODY[::-1], **HTML)
    for _ in range(2):
        found = await world.client().send("GET /a", accept_encoding="gzip").expect(200)
    assert gzip.decompress(found.body) == BODY[::-1]


async def test_what_is_not_stored_is_not_compressed(world: World) -> None:
    world.configure(route=ROUTE)
    world.origin.on("GET /a").reply(200, BODY, content_type="text/html", cache_control="private")
    for _ in range(2):
        found = await world.client().send("GET /a", accept_encoding="gzip").expect(200, BODY)
        assert found.field("content-encoding") is None


async def test_head_tells_of_the_coding(world: World) -> None:
    await stored(world)
    head = await world.client().send("HEAD /a", accept_encoding="gzip").expect(200)
    body = await world.client().send("GET /a", accept_encoding="gzip").expect(200)
    for name in ("content-encoding", "etag", "vary", "content-length"):
        assert head.field(name) == body.field(name)


async def test_a_conditional_write_names_the_origins_tag(world: World) -> None:
    world.configure(route=ROUTE)
    world.origin.on("PUT /a", if_match='"1--gzip", "1"').reply(204)
    await world.client().send("PUT /a", body=b"x", if_match='"1--gzip"').expect(204)


async def test_the_origins_304_is_told_in_the_clients_own_tag(world: World) -> None:
    world.configure(route={**ROUTE, "bypass": {"paths": ["."]}})
    world.origin.on("GET /a", if_none_match='"1--gzip", "1"').reply(304, b"", etag='"1"')
    found = await world.client().send("GET /a", if_none_match='"1--gzip"', accept_encoding="gzip").expect(304)
    assert found.field("etag") == '"1--gzip"'


async def test_nothing_is_compressed_unless_the_route_says_so(world: World) -> None:
    world.origin.on("GET /a").reply(200, BODY, **HTML)
    for _ in range(2):
        found = await world.client().send("GET /a", accept_encoding="gzip").expect(200, BODY)
        assert (found.field("content-encoding"), found.field("vary")) == (None, None)
