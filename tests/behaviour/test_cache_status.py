"""What each answer says of itself: Age and Cache-Status (RFC 9211)."""

from __future__ import annotations

from tests.scenario import World


async def test_leader_waiter_and_hit_tell_what_they_were(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60", age="5")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiter = world.client().send("GET /a")
    await world.until(lambda: world.seats == 2)
    answer.release()
    response = await leader.expect(200, b"A", age="5")
    assert response.cache_status == {"fwd": "uri-miss", "fwd-status": 200, "stored": True, "ttl": 55}
    response = await waiter.expect(200, b"A", age="5")
    assert response.cache_status == {"fwd": "uri-miss", "fwd-status": 200, "collapsed": True, "ttl": 55}
    world.clock.advance(10)
    response = await world.client().send("GET /a").expect(200, b"A", age="15")
    assert response.cache_status == {"hit": True, "ttl": 45}


async def test_a_late_joiner_has_its_own_age(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    leader = world.client().send("GET /a")
    asked = await asking.next()
    asked.head(200, length=2, cache_control="max-age=60")
    asked.data(b"A")
    _, _, fields, _, _ = await leader.head()
    assert fields.get(b"age") == b"0"
    world.clock.advance(7)
    late = world.client().send("GET /a")
    _, _, fields, _, _ = await late.head()
    assert fields.get(b"age") == b"7"
    asked.data(b"B")
    asked.finish()
    for client in (leader, late):
        assert await client.body_octets(2) == b"AB"


async def test_a_released_waiter_says_that_it_was_not_collapsed(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="private, max-age=60", age="3")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiter = world.client().send("GET /a")
    await world.until(lambda: world.seats == 2)
    answer.release()
    response = await leader.expect(200, b"A", age="3")
    assert response.cache_status == {"fwd": "uri-miss", "fwd-status": 200}
    response = await waiter.expect(200, b"A", age="3")
    assert response.cache_status == {"fwd": "uri-miss", "fwd-status": 200, "collapsed": False}


async def test_a_stale_answer_and_a_validated_one(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60", etag='"1"')
    await world.client().send("GET /a").expect(200)
    world.clock.advance(100)
    world.origin.on("GET /a").reply(500)
    response = await world.client().send("GET /a").expect(200, b"A", age="100")
    assert response.cache_status["ttl"] == -40
    world.origin.on("GET /a").reply(304, etag='"1"', cache_control="max-age=60")
    response = await world.client().send("GET /a").expect(200, b"A", age="0")
    assert response.cache_status == {"fwd": "stale", "fwd-status": 304, "stored": True, "ttl": 60}


async def test_what_is_passed_through_says_why(world: World) -> None:
    world.configure(route={"bypass": {"paths": ["^/private/"]}})
    world.origin.on("POST /a").reply(201)
    world.origin.on("GET /private/a").reply(200)
    response = await world.client().send("POST /a", b"x").expect(201)
    assert response.cache_status == {"fwd": "method", "fwd-status": 201}
    response = await world.client().send("GET /private/a").expect(200)
    assert response.cache_status == {"fwd": "bypass", "fwd-status": 200}


async def test_errors_of_our_own_name_themselves_and_claim_nothing(world: World) -> None:
    await world.started()
    world.origin.refuse()
    response = await world.client().send("GET /a").expect(502, cache_control="no-store")
    assert set(response.cache_status) == {"detail"}
    response = await world.client().send("GET /a", cache_control="only-if-cached").expect(504)
    assert response.cache_status == {"detail": "NotStored"}
    await world.client().send("GET nowhere").expect(400)


async def test_our_member_comes_after_those_of_caches_nearer_to_the_origin(world: World) -> None:
    world.origin.on("GET /a").reply(
        200, b"A", cache_control="max-age=60", cache_status="Inner; hit; ttl=5, Middle; fwd=miss"
    )
    for expected in (
        {"fwd": "uri-miss", "fwd-status": 200, "stored": True, "ttl": 60},
        {"hit": True, "ttl": 60},
    ):
        response = await world.client().send("GET /a").expect(200)
        value = response.field("cache-status")
        assert value is not None
        assert value.startswith("Inner; hit; ttl=5, Middle; fwd=miss, Lockgate; ")
        assert response.cache_status == expected


async def test_the_key_is_shown_where_the_configuration_says_so(world: World) -> None:
    world.configure(cache={"cache_status_key": True, "cache_name": "Edge-1"})
    world.origin.on('GET /a"b').reply(200, b"A", cache_control="max-age=60")
    response = await world.client().send('GET /a"b').expect(200)
    value = response.field("cache-status")
    assert value is not None
    assert value.startswith("Edge-1; ")
    assert r"/a\"b" in value
    assert response.field("via") == "1.1 Edge-1"


async def test_cache_status_can_be_switched_off(world: World) -> None:
    world.configure(cache={"cache_status": False})
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    for _ in range(2):
        await world.client().send("GET /a").expect(200, cache_status=None)
    await world.client().send("GET nowhere").expect(400, cache_status=None)
