"""`No-Vary-Search`: queries that an origin says make no difference share one answer, and no others do."""

from __future__ import annotations

import pytest

from tests.scenario import World

FRESH = {"cache_control": "max-age=60", "etag": '"1"'}
NO_UTM = {**FRESH, "no_vary_search": 'key-order, params=("utm")'}


def page(world: World, target: str, body: bytes | None = None, **fields: str):  # type: ignore[no-untyped-def]
    return world.origin.on(f"GET {target}").reply(200, body or target.encode(), **(fields or NO_UTM))


async def seen(world: World, target: str) -> None:
    """The page's variance is known."""
    page(world, target)
    await world.client().send(f"GET {target}").expect(200)


async def test_an_answer_is_for_all_queries_that_it_declares_to_be_equivalent(world: World) -> None:
    await seen(world, "/a?x=1&y=2&utm=mail")
    for target in ("/a?x=1&y=2&utm=mail", "/a?y=2&x=1", "/a?utm=ad&y=2&x=%31", "/a?x=1&&y=2"):
        answer = await world.client().send(f"GET {target}").expect(200, b"/a?x=1&y=2&utm=mail")
        assert answer.cache_status["hit"] is True
    assert world.origin.asked() == 1
    assert world.entries == 1


async def test_and_for_no_other(world: World) -> None:
    await seen(world, "/a?x=1&utm=mail")
    for target in ("/a?x=2&utm=mail", "/a?utm=mail", "/a?X=1", "/a?x=1&x=1", "/b?x=1&utm=mail"):
        page(world, target)
        await world.client().send(f"GET {target}").expect(200, target.encode())


async def test_a_herd_on_equivalent_targets_is_one_forward_request(world: World) -> None:
    await seen(world, "/a?x=1")
    asking = page(world, "/a?x=2&utm=0").hold()
    leader = world.client().send("GET /a?x=2&utm=0")
    await world.until(lambda: asking.held == 1)
    clients = [world.client().send(f"GET /a?utm={number}&x=2") for number in range(20)]
    await world.until(lambda: world.seats == 21)
    asking.release()
    for client in (leader, *clients):
        await client.expect(200, b"/a?x=2&utm=0")
    assert world.origin.asked() == 2


async def test_waiters_whose_target_is_not_equivalent_any_more_get_their_own(world: World) -> None:
    await seen(world, "/a?x=1")
    asking = page(world, "/a?x=2&utm=0", **FRESH).hold()
    leader = world.client().send("GET /a?x=2&utm=0")
    await world.until(lambda: asking.held == 1)
    clients = {target: world.client().send(f"GET {target}") for target in ("/a?x=2&utm=1", "/a?utm=2&x=2")}
    same = world.client().send("GET /a?x=2&utm=0")
    await world.until(lambda: world.seats == 4)
    for target in clients:
        page(world, target, **FRESH)
    asking.release()
    await leader.expect(200, b"/a?x=2&utm=0")
    await same.expect(200, b"/a?x=2&utm=0")
    for target, client in clients.items():
        await client.expect(200, target.encode())
    for target in clients:
        await world.client().send(f"GET {target}").expect(200, target.encode())
    assert world.origin.asked() == 4


async def test_an_answer_that_varies_more_is_stored_for_its_own_target_only(world: World) -> None:
    await seen(world, "/a?x=1")
    narrow = {**FRESH, "no_vary_search": 'params=("gclid")'}
    page(world, "/a?x=2&utm=0", **narrow)
    page(world, "/a?x=2&utm=1", **narrow)
    for target in ("/a?x=2&utm=0", "/a?x=2&utm=1", "/a?x=2&utm=0&gclid=9"):
        await world.client().send(f"GET {target}").expect(200, target.removesuffix("&gclid=9").encode())
    assert world.origin.asked() == 3


async def test_what_was_stored_before_the_variance_was_known_is_still_found(world: World) -> None:
    page(world, "/a?x=1", **FRESH)
    await world.client().send("GET /a?x=1").expect(200)
    await seen(world, "/a?x=2")
    await world.client().send("GET /a?x=1").expect(200, b"/a?x=1")
    page(world, "/a?x=1&utm=1", b"utm")
    await world.client().send("GET /a?x=1&utm=1").expect(200, b"utm")
    assert world.origin.asked() == 3, "it does not say itself that it is for others"


async def test_an_error_says_nothing_of_the_variance(world: World) -> None:
    await seen(world, "/a?x=1")
    world.origin.on("GET /a?bad").reply(404, b"no", cache_control="max-age=60")
    await world.client().send("GET /a?bad").expect(404)
    await world.client().send("GET /a?x=1&utm=9").expect(200, b"/a?x=1")
    assert world.origin.asked() == 2


async def test_variants_are_told_apart_under_a_shared_key(world: World) -> None:
    for language in ("de", "fr"):
        rule = world.origin.on("GET /a?x=1", accept_language=language)
        fields = {**NO_UTM, "etag": f'"{language}"'}
        rule.reply(200, language.encode(), vary="Accept-Language", **fields)
        await world.client().send("GET /a?x=1", accept_language=language).expect(200)
    for language in ("de", "fr"):
        client = world.client().send("GET /a?utm=1&x=1", accept_language=language)
        await client.expect(200, language.encode())
    assert world.origin.asked() == 2


async def test_what_is_stale_is_validated_for_all_of_them(world: World) -> None:
    await seen(world, "/a?x=1")
    world.clock.advance(61)
    world.origin.on("GET /a?utm=2&x=1", if_none_match='"1"').reply(304, **NO_UTM)
    await world.client().send("GET /a?utm=2&x=1").expect(200, b"/a?x=1", age="0")
    await world.client().send("GET /a?x=1").expect(200, b"/a?x=1", age="0")


async def test_a_304_that_varies_otherwise_leaves_others_without(world: World) -> None:
    await seen(world, "/a?x=1")
    world.clock.advance(61)
    world.origin.on("GET /a?x=1", if_none_match='"1"').reply(304, **{**NO_UTM, "no_vary_search": "params=()"})
    await world.client().send("GET /a?x=1").expect(200, b"/a?x=1")
    page(world, "/a?x=1&utm=5", b"own", **FRESH)
    await world.client().send("GET /a?x=1&utm=5").expect(200, b"own")


@pytest.mark.parametrize("written", ["/a?x=1&utm=3", "/a?x=1", "/a?utm=0&x=1"])
async def test_a_write_to_one_of_them_invalidates_the_answer_of_all(world: World, written: str) -> None:
    await seen(world, "/a?x=1&utm=0")
    world.origin.on(f"PUT {written}").reply(204)
    await world.client().send(f"PUT {written}", body=b"x").expect(204)
    assert world.entries == 0


async def test_a_write_to_one_of_them_keeps_a_fill_for_another_out(world: World) -> None:
    await seen(world, "/a?x=0")
    asking = page(world, "/a?x=1&utm=0").hold()
    leader = world.client().send("GET /a?x=1&utm=0")
    await world.until(lambda: asking.held == 1)
    world.origin.on("PUT /a?x=1&utm=9").reply(204)
    await world.client().send("PUT /a?x=1&utm=9", body=b"x").expect(204)
    page(world, "/a?x=1&utm=4", b"new")
    late = world.client().send("GET /a?x=1&utm=4")
    await world.until(lambda: world.seats == 2)
    asking.release()
    await leader.expect(200, b"/a?x=1&utm=0")
    await late.expect(200, b"new")
    await world.client().send("GET /a?x=1").expect(200, b"new")


async def test_head_and_an_answer_to_post_are_found_and_stored_under_the_shared_key(world: World) -> None:
    world.origin.on("POST /a?x=1&utm=1").reply(200, b"posted", content_location="/a?x=1&utm=1", **NO_UTM)
    await world.client().send("POST /a?x=1&utm=1", body=b"x").expect(200)
    await world.client().send("GET /a?x=1").expect(200, b"posted")
    world.clock.advance(50)
    world.origin.on("HEAD /a?utm=7&x=1").reply(200, b"posted", **NO_UTM)
    await world.client().send("HEAD /a?utm=7&x=1", cache_control="no-cache").expect(200)
    await world.client().send("GET /a?x=1&utm=8").expect(200, b"posted", age="0")
    assert world.origin.asked("GET /a?x=1") == 0


async def test_routes_and_what_they_add_to_the_key_never_mix(world: World) -> None:
    world.configure(route={"key": {"fields": ["X-Device"]}})
    for device in ("tv", "phone"):
        rule = world.origin.on("GET /a?x=1", x_device=device).reply(200, device.encode(), **NO_UTM)
        await world.client().send("GET /a?x=1", x_device=device).expect(200, device.encode())
        del rule
    for device in ("tv", "phone"):
        await world.client().send("GET /a?utm=1&x=1", x_device=device).expect(200, device.encode())
    assert world.origin.asked() == 2
