"""Purges and writes: nothing old is served or stored after them."""

from __future__ import annotations

import pytest

from tests.scenario import World


async def test_a_purge_during_a_fill_keeps_its_answer_out_and_serves_who_asked_before(world: World) -> None:
    old = world.origin.on("GET /a").hold().reply(200, b"old", cache_control="max-age=60")
    before = world.clients(4).send("GET /a")
    await world.until(lambda: world.seats == 4 and old.held == 1)
    world.purge()
    new = world.origin.on("GET /a").hold().reply(200, b"new", cache_control="max-age=60")
    after = world.clients(4).send("GET /a")
    await world.until(lambda: world.seats == 8 and new.held == 1)
    old.release()
    await before.expect(200, b"old")
    assert world.entries == 0
    new.release()
    await after.expect(200, b"new")
    await world.client().send("GET /a").expect(200, b"new")
    assert world.origin.asked() == 2


async def test_an_old_fill_that_ends_last_does_not_replace_the_new_one(world: World) -> None:
    old = world.origin.on("GET /a").hold().reply(200, b"old", cache_control="max-age=60")
    before = world.client().send("GET /a")
    await world.until(lambda: old.held == 1)
    world.purge()
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"new")
    old.release()
    await before.expect(200, b"old")
    await world.client().send("GET /a").expect(200, b"new")
    assert world.origin.asked() == 2


async def test_a_purge_between_head_and_body_keeps_the_answer_out(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    before = world.client().send("GET /a")
    asked = await asking.next()
    asked.head(200, length=3, cache_control="max-age=60")
    await before.head()
    world.purge()
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"new")
    asked.data(b"old")
    asked.finish()
    assert await before.body_octets(3) == b"old"
    await world.client().send("GET /a").expect(200, b"new")
    assert world.origin.asked() == 2


async def test_a_purge_by_tag_reaches_a_fill_whose_head_has_not_come(world: World) -> None:
    old = world.origin.on("GET /a").hold().reply(200, b"old", cache_control="max-age=60", surrogate_key="t u")
    other = world.origin.on("GET /b").hold().reply(200, b"B", cache_control="max-age=60", surrogate_key="v")
    clients = [world.client().send("GET /a"), world.client().send("GET /b")]
    await world.until(lambda: old.held == other.held == 1)
    world.store.purge_where(lambda _key, tags: b"t" in tags)
    old.release()
    other.release()
    await clients[0].expect(200, b"old")
    await clients[1].expect(200, b"B")
    assert world.entries == 1


async def test_a_hard_purge_removes_and_a_soft_one_makes_stale(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60", etag='"1"')
    await world.client().send("GET /a").expect(200, b"old")
    assert world.purge(soft=True) == 1
    validated = world.origin.on("GET /a", if_none_match='"1"').reply(
        304, etag='"1"', cache_control="max-age=60"
    )
    await world.client().send("GET /a").expect(200, b"old")
    await world.client().send("GET /a").expect(200, b"old")
    assert world.origin.asked() == 2
    assert validated.held == 0
    assert world.purge() == 1
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"new")


async def test_after_a_soft_purge_stale_stands_in_for_a_failing_origin_after_a_hard_one_it_does_not(
    world: World,
) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60", etag='"1"')
    await world.client().send("GET /a").expect(200, b"old")
    world.origin.on("GET /a").reply(500, b"no")
    world.purge(soft=True)
    response = await world.client().send("GET /a").expect(200, b"old")
    assert response.cache_status["ttl"] < 0
    world.purge()
    await world.client().send("GET /a").expect(500, b"no")


async def test_a_304_does_not_freshen_across_a_purge(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60", etag='"1"')
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(61)
    validating = world.origin.on("GET /a", if_none_match='"1"').hold().reply(304, etag='"1"')
    before = world.client().send("GET /a")
    await world.until(lambda: validating.held == 1)
    world.purge()
    validating.release()
    await before.expect(200, b"old")
    assert world.entries == 0
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"new")


async def test_a_purge_covers_every_variant(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"x", cache_control="max-age=60", vary="Accept-Language")
    for language in ("de", "fr"):
        await world.client().send("GET /a", accept_language=language).expect(200)
    assert world.purge() == 2
    assert world.entries == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_write_that_succeeded_invalidates_its_target(world: World, method: str) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    world.origin.on(f"{method} /a").reply(204)
    await world.client().send(f"{method} /a", b"x").expect(204)
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"new")


async def test_a_write_that_was_refused_invalidates_nothing(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    world.origin.on("POST /a").reply(403)
    await world.client().send("POST /a", b"x").expect(403)
    await world.client().send("GET /a").expect(200, b"old")


async def test_a_fill_that_began_before_a_write_is_not_stored_after_it(world: World) -> None:
    old = world.origin.on("GET /a").hold().reply(200, b"old", cache_control="max-age=60")
    before = world.client().send("GET /a")
    await world.until(lambda: old.held == 1)
    world.origin.on("PUT /a").reply(204)
    await world.client().send("PUT /a", b"x").expect(204)
    old.release()
    await before.expect(200, b"old")
    assert world.entries == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_safe_method_invalidates_nothing(world: World, method: str) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    world.origin.on(f"{method} /a").reply(200, b"")
    await world.client().send(f"{method} /a").expect(200)
    await world.client().send("GET /a").expect(200, b"old")


async def test_a_write_whose_outcome_is_unknown_invalidates_too(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    world.origin.on("POST /a").raw(b"", then="cut")
    await world.client().send("POST /a", b"x").expect(502)
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"new")


async def test_a_write_whose_client_left_before_its_answer_invalidates_too(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    writing = world.origin.on("POST /a").by_hand()
    client = world.client().send("POST /a", b"x")
    asked = await writing.next()
    client.leave()
    await asked.given_up()
    await world.until(lambda: world.entries == 0)


async def test_a_write_that_never_reached_the_origin_invalidates_nothing(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    world.origin.refuse()
    await world.client().send("POST /a", b"x").expect(502)
    await world.client().send("GET /a").expect(200, b"old")
