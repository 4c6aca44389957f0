"""What a route may ask of its cache beyond the defaults, on real sockets."""

from __future__ import annotations

from tests.scenario import World

NEGATIVE = {"cache": {"negative_lifetimes_s": {"404": 5, "5xx": 2}}}


async def test_an_error_is_cached_for_the_short_time_that_the_route_gives_it(world: World) -> None:
    world.configure(route=NEGATIVE)
    world.origin.on("GET /a").reply(404, b"none")
    await world.client().send("GET /a").expect(404, b"none")
    world.clock.advance(4)
    await world.client().send("GET /a").expect(404, b"none", age="4")
    world.clock.advance(2)
    await world.client().send("GET /a").expect(404, b"none")
    assert world.origin.asked() == 2
    assert world.outcomes() == {"miss": 2, "hit": 1}


async def test_a_failure_is_shared_with_the_herd_where_the_route_gives_it_a_lifetime(world: World) -> None:
    world.configure(route=NEGATIVE)
    answer = world.origin.on("GET /a").hold().reply(500, b"no")
    clients = world.clients(5).send("GET /a")
    await world.until(lambda: world.seats == 5)
    answer.release()
    await clients.expect(500, b"no")
    await world.client().send("GET /a").expect(500, b"no")
    assert world.origin.asked() == 1
    assert world.outcomes() == {"miss": 1, "collapsed": 4, "hit": 1}


async def test_a_failure_does_not_replace_the_copy_that_may_stand_in_for_it(world: World) -> None:
    world.configure(route=NEGATIVE)
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(100)
    world.origin.on("GET /a").reply(500, b"no")
    for _ in range(2):
        await world.client().send("GET /a").expect(200, b"old", age="100")
    assert world.outcomes() == {"miss": 1, "stale": 2}


async def test_when_that_copy_is_too_old_the_failure_is_cached(world: World) -> None:
    world.configure(route={"cache": {**NEGATIVE["cache"], "stale_if_error_s": 10}})
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    world.clock.advance(100)
    world.origin.on("GET /a").reply(500, b"no")
    for _ in range(2):
        await world.client().send("GET /a").expect(500, b"no")
    assert world.origin.asked() == 2


async def test_a_targeted_field_governs_this_cache_and_is_passed_on(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="no-store", cdn_cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"A")
    world.clock.advance(50)
    hit = await world.client().send("GET /a").expect(200, b"A", age="50")
    assert hit.field("cache-control") == "no-store"
    assert hit.field("cdn-cache-control") == "max-age=60"
    assert world.outcomes() == {"miss": 1, "hit": 1}


async def test_queries_that_differ_in_what_is_dropped_share_one_fetch(world: World) -> None:
    world.configure(route={"query": {"drop": ["utm_*"], "sort": True}})
    world.origin.on("GET /a?x=1&y=2").reply(200, b"A", cache_control="max-age=60")
    await world.client().send("GET /a?y=2&utm_id=evil&x=1").expect(200, b"A")
    await world.client().send("GET /a?utm_source=b&x=1&y=2").expect(200, b"A")
    assert world.origin.asked() == 1
    assert world.outcomes() == {"miss": 1, "hit": 1}


async def test_the_origin_sees_only_the_codings_that_it_distinguishes(world: World) -> None:
    world.configure(route={"cache": {"accept_encoding": ["gzip"]}})
    world.origin.on("GET /a", accept_encoding="gzip").reply(
        200, b"A", cache_control="max-age=60", vary="Accept-Encoding"
    )
    for value in ("gzip, deflate, br", "zstd, gzip;q=0.5", "GZIP"):
        await world.client().send("GET /a", accept_encoding=value).expect(200, b"A")
    assert world.origin.asked() == 1
    assert world.outcomes() == {"miss": 1, "hit": 2}


async def test_an_answer_is_stored_from_so_many_requests_on(world: World) -> None:
    world.configure(route={"cache": {"min_uses": 3}})
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    for stored in (False, False, True):
        response = await world.client().send("GET /a").expect(200, b"A")
        assert response.cache_status.get("stored", False) is stored
    await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked() == 3
    assert world.outcomes() == {"miss": 3, "hit": 1}


async def test_a_herd_counts_as_many(world: World) -> None:
    world.configure(route={"cache": {"min_uses": 3}})
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 3)
    answer.release()
    await clients.expect(200, b"A")
    await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked() == 1
    assert world.outcomes() == {"miss": 1, "collapsed": 2, "hit": 1}


async def test_a_stranger_does_not_choose_whose_answer_he_fills_by_a_field_that_is_dropped(
    world: World,
) -> None:
    world.configure(route={"key": {"fields": ["X-Forwarded-Proto"]}})
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    await world.client().send("GET /a", x_forwarded_proto="https").expect(200, b"A")
    await world.client().send("GET /a").expect(200, b"A")
    assert world.origin.asked() == 1


async def test_a_field_in_the_key_gives_each_value_its_own_answer(world: World) -> None:
    world.configure(route={"key": {"fields": ["X-Device"]}})
    for device in ("tv", "phone"):
        world.origin.on("GET /a", x_device=device).reply(200, device.encode(), cache_control="max-age=60")
    for _ in range(2):
        for device in ("tv", "phone"):
            await world.client().send("GET /a", x_device=device).expect(200, device.encode())
    assert world.outcomes() == {"miss": 2, "hit": 2}
    world.origin.on("POST /a").reply(204)
    await world.client().send("POST /a", body=b"x").expect(204)
    assert world.entries == 0, "a write invalidates every answer of its target"


async def test_a_write_invalidates_what_its_answer_names_on_the_same_origin(world: World) -> None:
    world.configure(routes=[{"origin": "shop"}, {"origin": "shop", "path": "/items"}])
    for path in ("/list", "/items/1", "/items/2", "/other"):
        world.origin.on(f"GET {path}").reply(200, b"old", cache_control="max-age=60")
        await world.client().send(f"GET {path}").expect(200, b"old")
    world.origin.on("POST /list").reply(
        201, b"", location="/items/1", content_location="http://shop.example/items/2"
    )
    await world.client().send("POST /list", body=b"x").expect(201)
    assert world.entries == 1
    await world.client().send("GET /other").expect(200, b"old")


async def test_a_write_invalidates_no_other_origins_answers(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, b"old")
    world.origin.on("POST /b").reply(201, b"", location="http://elsewhere.example/a")
    await world.client().send("POST /b", body=b"x").expect(201)
    assert world.entries == 1


async def test_a_write_invalidates_the_groups_that_its_answer_names(world: World) -> None:
    for path, groups in (("/a", '"scripts", "news"'), ("/b", '"news"'), ("/c", '"scripts"')):
        world.origin.on(f"GET {path}").reply(200, b"old", cache_control="max-age=60", cache_groups=groups)
        await world.client().send(f"GET {path}").expect(200, b"old")
    world.origin.on("POST /publish").reply(204, cache_group_invalidation='"news"')
    await world.client().send("POST /publish", body=b"x").expect(204)
    assert world.entries == 1
    await world.client().send("GET /c").expect(200, b"old")


async def test_several_ranges_of_a_stored_answer_come_in_parts(world: World) -> None:
    body = bytes(range(256)) * 8
    world.origin.on("GET /a").reply(200, body, cache_control="max-age=60", content_type="image/png")
    await world.client().send("GET /a").expect(200, body)
    found = await world.client().send("GET /a", range="bytes=0-4,1000-1004").expect(206)
    content_type = str(found.field("content-type"))
    assert content_type.startswith("multipart/byteranges; boundary=")
    assert found.field("content-range") is None
    boundary = content_type.rpartition("=")[2].encode()
    _, one, other, end = found.body.split(b"\r\n--" + boundary)
    for part, first, last in ((one, 0, 4), (other, 1000, 1004)):
        head, _, octets = part.partition(b"\r\n\r\n")
        assert b"Content-Range: bytes %d-%d/2048" % (first, last) in head
        assert b"Content-Type: image/png" in head
        assert octets == body[first : last + 1]
    assert end == b"--\r\n"
    assert world.origin.asked() == 1


async def test_parts_of_a_large_stored_answer_are_written_at_the_clients_pace(world: World) -> None:
    body = bytes(range(256)) * 16 * 1024
    world.origin.on("GET /a").reply(200, body, cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, body)
    found = await world.client().send("GET /a", range="bytes=0-1999999,3000000-3000001").expect(206)
    assert body[:2_000_000] in found.body
    assert found.body.count(b"Content-Range") == 2


async def test_head_that_tells_of_another_representation_makes_the_stored_one_stale(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60", etag='"1"')
    await world.client().send("GET /a").expect(200, b"old")
    world.origin.on("HEAD /a").reply(200, b"old", etag='"1"')
    await world.client().send("HEAD /a", cache_control="no-cache").expect(200)
    await world.client().send("GET /a").expect(200, b"old")
    world.origin.on("HEAD /a").reply(200, b"new", etag='"2"')
    await world.client().send("HEAD /a", cache_control="no-cache", cookie="a=1").expect(200)
    await world.client().send("GET /a").expect(200, b"old")
    assert world.outcomes()["hit"] == 2, "what one user is told says nothing of others"
    await world.client().send("HEAD /a", cache_control="no-cache").expect(200)
    world.origin.on("GET /a", if_none_match='"1"').reply(200, b"new", cache_control="max-age=60", etag='"2"')
    await world.client().send("GET /a").expect(200, b"new")
