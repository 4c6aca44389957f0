"""What the cache learns from answers that are passed through: to HEAD, and to some POSTs."""

from __future__ import annotations

import pytest

from tests.scenario import World

STORED = {"cache_control": "max-age=60", "etag": '"1"'}
AS_GET = {"cache_control": "max-age=60", "content_location": "/a", "etag": '"p"'}
NO_CACHE = {"cache_control": "no-cache"}


async def stored(world: World, body: bytes = b"old", **fields: str) -> None:
    world.origin.on("GET /a").reply(200, body, **{**STORED, **fields})
    await world.client().send("GET /a").expect(200, body)


# HEAD


async def test_head_that_shows_the_same_representation_freshens_the_stored_one(world: World) -> None:
    await stored(world)
    world.clock.advance(50)
    world.origin.on("HEAD /a").reply(200, b"old", x_new="yes", cache_control="max-age=100", etag='"1"')
    await world.client().send("HEAD /a", **NO_CACHE).expect(200)
    world.clock.advance(90)
    await world.client().send("GET /a").expect(200, b"old", x_new="yes", age="90", content_length="3")
    assert world.outcomes() == {"miss": 1, "passed": 1, "hit": 1}


async def test_head_freshens_what_is_stale(world: World) -> None:
    await stored(world)
    world.clock.advance(100)
    world.origin.on("HEAD /a").reply(200, b"old", **STORED)
    await world.client().send("HEAD /a").expect(200)
    await world.client().send("GET /a").expect(200, b"old", age="0")
    assert world.origin.asked("GET /a") == 1


@pytest.mark.parametrize("what", ["cookie", "authorization"])
async def test_what_one_user_is_told_by_head_freshens_nothing(world: World, what: str) -> None:
    await stored(world)
    world.clock.advance(50)
    world.origin.on("HEAD /a").reply(200, b"old", set_cookie="a=1", **STORED)
    await world.client().send("HEAD /a", **NO_CACHE, **{what: "x"}).expect(200)
    await world.client().send("GET /a").expect(200, b"old", age="50", set_cookie=None)


async def test_a_set_cookie_of_a_head_is_not_stored(world: World) -> None:
    await stored(world)
    world.origin.on("HEAD /a").reply(200, b"old", set_cookie="a=1", x_new="yes", **STORED)
    await world.client().send("HEAD /a", **NO_CACHE).expect(200, set_cookie="a=1")
    await world.client().send("GET /a").expect(200, b"old", x_new="yes", set_cookie=None)


async def test_head_that_says_private_ends_the_sharing(world: World) -> None:
    await stored(world)
    world.origin.on("HEAD /a").reply(200, b"old", etag='"1"', cache_control="private")
    await world.client().send("HEAD /a", **NO_CACHE).expect(200)
    assert world.entries == 0


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
async def test_head_does_not_freshen_across_a_purge(world: World, soft: bool) -> None:
    await stored(world)
    answer = world.origin.on("HEAD /a").hold().reply(200, b"old", **STORED)
    head = world.client().send("HEAD /a", **NO_CACHE)
    await world.until(lambda: answer.held == 1)
    world.purge(soft=soft)
    answer.release()
    await head.expect(200)
    world.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60", etag='"2"')
    await world.client().send("GET /a").expect(200, b"new")


@pytest.mark.parametrize("tag", ['"1"', '"2"'], ids=["the-same", "another"])
async def test_head_tells_nothing_of_what_was_asked_for_after_it(world: World, tag: str) -> None:
    answer = world.origin.on("HEAD /a").hold().reply(200, b"old", etag=tag, cache_control="max-age=600")
    head = world.client().send("HEAD /a")
    await world.until(lambda: answer.held == 1)
    world.clock.advance(1)
    await stored(world)
    answer.release()
    await head.expect(200)
    world.clock.advance(59)
    await world.client().send("GET /a").expect(200, b"old", cache_control="max-age=60")
    assert world.outcomes()["hit"] == 1


async def test_head_freshens_its_own_variant_only(world: World) -> None:
    for language in ("de", "fr"):
        rule = world.origin.on("GET /a", accept_language=language)
        rule.reply(200, language.encode(), vary="Accept-Language", **{**STORED, "etag": f'"{language}"'})
        await world.client().send("GET /a", accept_language=language).expect(200)
    world.clock.advance(50)
    world.origin.on("HEAD /a").reply(200, b"de", vary="Accept-Language", **{**STORED, "etag": '"de"'})
    await world.client().send("HEAD /a", accept_language="de", **NO_CACHE).expect(200)
    await world.client().send("GET /a", accept_language="de").expect(200, b"de", age="0")
    await world.client().send("GET /a", accept_language="fr").expect(200, b"fr", age="50")


# POST


async def test_an_answer_to_post_that_says_so_is_stored_for_get(world: World) -> None:
    world.origin.on("POST /a").reply(200, b"posted", **AS_GET)
    answer = await world.client().send("POST /a", body=b"x").expect(200, b"posted")
    assert answer.cache_status == {"fwd": "method", "fwd-status": 200, "stored": True}
    await world.client().send("GET /a").expect(200, b"posted", etag='"p"')
    assert world.origin.asked("GET /a") == 0


async def test_it_takes_the_place_of_what_it_invalidates(world: World) -> None:
    await stored(world)
    world.origin.on("POST /a").reply(200, b"posted", **AS_GET)
    await world.client().send("POST /a", body=b"x").expect(200, b"posted")
    await world.client().send("GET /a").expect(200, b"posted")


async def test_a_fill_from_before_the_post_does_not_replace_its_answer(world: World) -> None:
    old = world.origin.on("GET /a").hold().reply(200, b"old", **STORED)
    reader = world.client().send("GET /a")
    await world.until(lambda: old.held == 1)
    world.origin.on("POST /a").reply(200, b"posted", **AS_GET)
    await world.client().send("POST /a", body=b"x").expect(200, b"posted")
    old.release()
    await reader.expect(200, b"old")
    await world.client().send("GET /a").expect(200, b"posted")


async def test_a_write_while_the_post_was_on_its_way_keeps_its_answer_out(world: World) -> None:
    answer = world.origin.on("POST /a").hold().reply(200, b"posted", **AS_GET)
    poster = world.client().send("POST /a", body=b"x")
    await world.until(lambda: answer.held == 1)
    world.origin.on("PUT /a").reply(204)
    await world.client().send("PUT /a", body=b"y").expect(204)
    answer.release()
    await poster.expect(200, b"posted")
    assert world.entries == 0


async def test_a_write_while_its_body_comes_keeps_it_out(world: World) -> None:
    answer = world.origin.on("POST /a").by_hand()
    poster = world.client().send("POST /a", body=b"x")
    asked = await answer.next()
    await asked.read_body()
    asked.head(200, length=6, **AS_GET)
    asked.data(b"pos")
    await world.until(lambda: world.store.fill_budget.taken_bytes == 3)
    world.origin.on("PUT /a").reply(204)
    await world.client().send("PUT /a", body=b"y").expect(204)
    asked.data(b"ted")
    asked.finish()
    await poster.expect(200, b"posted")
    await world.until(lambda: world.store.fill_budget.taken_bytes == 0)
    assert world.entries == 0


async def test_an_answer_to_post_that_is_cut_is_not_stored(world: World) -> None:
    def cut(asked) -> None:  # type: ignore[no-untyped-def]
        asked.head(200, length=6, **AS_GET)
        asked.data(b"pos")
        asked.cut()

    world.origin.on("POST /a").answer(cut)
    await world.client().send("POST /a", body=b"x").expect_cut()
    assert world.entries == 0


async def test_an_answer_to_post_that_ends_with_its_connection_is_not_stored(world: World) -> None:
    def until_close(asked) -> None:  # type: ignore[no-untyped-def]
        asked.head(200, until_close=True, **AS_GET)
        asked.data(b"posted")
        asked.cut()

    world.origin.on("POST /a").answer(until_close)
    await world.client().send("POST /a", body=b"x").expect(200, b"posted")
    assert world.entries == 0


async def test_an_answer_to_post_that_is_too_large_is_passed_on_only(world: World) -> None:
    world.configure(cache={"max_entry_bytes": 1000})
    body = b"x" * 5000
    world.origin.on("POST /a").reply(200, chunks=[body[:2500], body[2500:]], **AS_GET)
    await world.client().send("POST /a", body=b"x").expect(200, body)
    assert world.entries == 0
    assert world.store.fill_budget.taken_bytes == 0


async def test_it_is_stored_for_the_variant_that_was_asked_with(world: World) -> None:
    world.origin.on("POST /a").reply(200, b"de", vary="Accept-Language", **AS_GET)
    await world.client().send("POST /a", body=b"x", accept_language="de").expect(200, b"de")
    world.origin.on("GET /a").reply(200, b"fr", vary="Accept-Language", **STORED)
    await world.client().send("GET /a", accept_language="fr").expect(200, b"fr")
    await world.client().send("GET /a", accept_language="de").expect(200, b"de")
    assert world.origin.asked() == 2


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"cookie": "a=1"}, id="cookie"),
        pytest.param({"x_http_method_override": "PUT"}, id="another-method"),
        pytest.param({"x_original_url": "/b"}, id="another-target"),
    ],
)
async def test_an_answer_to_another_question_is_not_stored(world: World, fields: dict[str, str]) -> None:
    world.origin.on("POST /a").reply(200, b"posted", **AS_GET)
    await world.client().send("POST /a", body=b"x", **fields).expect(200, b"posted")
    assert world.entries == 0


async def test_a_client_that_leaves_takes_its_answer_with_it(world: World) -> None:
    answer = world.origin.on("POST /a").by_hand()
    poster = world.client().send("POST /a", body=b"x")
    asked = await answer.next()
    await asked.read_body()
    asked.head(200, length=6, **AS_GET)
    asked.data(b"pos")
    await world.until(lambda: world.store.fill_budget.taken_bytes == 3)
    poster.leave()
    await asked.given_up()
    await world.until(lambda: world.store.fill_budget.taken_bytes == 0)
    assert world.entries == 0
