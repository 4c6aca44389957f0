"""A variant of which nothing is stored: the origin is asked whether it is one of those that are."""

from __future__ import annotations

import pytest

from tests.scenario import World

CONTROL = {"cache_control": "max-age=60", "vary": "Accept-Language"}


def rule(world: World, language: str, tag: str, **fields: str):  # type: ignore[no-untyped-def]
    found = world.origin.on("GET /a", accept_language=language)
    return found.reply(200, tag.encode(), etag=f'"{tag}"', **{**CONTROL, **fields})


async def stored(world: World, *variants: tuple[str, str]) -> None:
    for language, tag in variants:
        rule(world, language, tag)
        await world.client().send("GET /a", accept_language=language).expect(200, tag.encode())


async def test_a_304_answers_a_variant_with_what_is_stored_of_another(world: World) -> None:
    await stored(world, ("de", "G"), ("fr", "F"))
    world.origin.on("GET /a", accept_language="nl").reply(304, etag='"G"', **CONTROL)
    answer = await world.client().send("GET /a", accept_language="nl").expect(200, b"G", etag='"G"')
    assert answer.cache_status["fwd"] == "vary-miss"
    assert answer.cache_status["fwd-status"] == 304
    assert world.origin.requests()[2].field("if-none-match") == '"G", "F"'
    assert world.origin.requests()[2].field("if-modified-since") is None
    await world.client().send("GET /a", accept_language="nl").expect(200, b"G")
    assert world.origin.asked() == 3
    assert world.entries == 3


async def test_the_variant_that_the_304_is_about_is_freshened_too(world: World) -> None:
    await stored(world, ("de", "G"), ("fr", "F"))
    world.clock.advance(50)
    world.origin.on("GET /a", accept_language="nl").reply(304, etag='"G"', x_new="yes", **CONTROL)
    await world.client().send("GET /a", accept_language="nl").expect(200, b"G", x_new="yes")
    world.clock.advance(50)
    await world.client().send("GET /a", accept_language="de").expect(200, b"G", x_new="yes", age="50")
    assert world.origin.asked() == 3
    rule(world, "fr", "F2")
    await world.client().send("GET /a", accept_language="fr").expect(200, b"F2")


async def test_a_herd_on_a_missing_variant_asks_once(world: World) -> None:
    await stored(world, ("de", "G"))
    answer = world.origin.on("GET /a", accept_language="nl").hold().reply(304, etag='"G"', **CONTROL)
    clients = world.clients(8).send("GET /a", accept_language="nl")
    await world.until(lambda: world.seats == 8 and answer.held == 1)
    answer.release()
    await clients.expect(200, b"G")
    assert world.origin.asked() == 2


async def test_a_200_is_the_new_variant_and_leaves_the_others(world: World) -> None:
    await stored(world, ("de", "G"), ("fr", "F"))
    rule(world, "nl", "N")
    for language, body in (("nl", b"N"), ("de", b"G"), ("fr", b"F"), ("nl", b"N")):
        await world.client().send("GET /a", accept_language=language).expect(200, body)
    assert world.origin.asked() == 3


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="bare"),
        pytest.param({"etag": '"X"'}, id="about-nothing-stored"),
        pytest.param({"last_modified": "Fri, 15 Jan 2027 07:00:00 GMT"}, id="by-its-date"),
    ],
)
async def test_a_304_that_names_none_of_them_is_not_believed(world: World, fields: dict[str, str]) -> None:
    rule(world, "de", "G", last_modified="Fri, 15 Jan 2027 07:00:00 GMT")
    await world.client().send("GET /a", accept_language="de").expect(200, b"G")
    rule(world, "nl", "N")
    world.origin.on("GET /a", accept_language="nl", if_none_match='"G"').reply(304, **fields, **CONTROL)
    await world.client().send("GET /a", accept_language="nl").expect(200, b"N")
    assert world.origin.asked() == 3
    assert world.origin.requests()[2].field("if-none-match") is None


async def test_a_variant_with_a_date_only_is_not_asked_about(world: World) -> None:
    german = world.origin.on("GET /a", accept_language="de")
    german.reply(200, b"G", last_modified="Fri, 15 Jan 2027 07:00:00 GMT", **CONTROL)
    await world.client().send("GET /a", accept_language="de").expect(200, b"G")
    rule(world, "nl", "N")
    await world.client().send("GET /a", accept_language="nl").expect(200, b"N")
    assert world.origin.requests()[1].field("if-modified-since") is None


async def test_a_client_is_not_given_a_coding_that_it_does_not_take(world: World) -> None:
    packed = world.origin.on("GET /a", accept_encoding="gzip")
    packed.reply(
        200,
        b"packed",
        etag='"1"',
        content_encoding="gzip",
        cache_control="max-age=60",
        vary="Accept-Encoding",
    )
    await world.client().send("GET /a", accept_encoding="gzip").expect(200, b"packed")
    plain = world.origin.on("GET /a", accept_encoding="br")
    plain.reply(200, b"plain", etag='"1"', cache_control="max-age=60", vary="Accept-Encoding")
    await world.client().send("GET /a", accept_encoding="br").expect(200, b"plain")
    assert world.origin.requests()[1].field("if-none-match") is None


async def test_a_304_to_another_variant_does_not_freshen_across_a_purge(world: World) -> None:
    await stored(world, ("de", "G"))
    answer = world.origin.on("GET /a", accept_language="nl").hold().reply(304, etag='"G"', **CONTROL)
    client = world.client().send("GET /a", accept_language="nl")
    await world.until(lambda: answer.held == 1)
    world.purge()
    answer.release()
    await client.expect(200, b"G")
    assert world.entries == 0
    rule(world, "de", "G2")
    await world.client().send("GET /a", accept_language="de").expect(200, b"G2")


async def test_a_304_leaves_a_variant_that_was_replaced_meanwhile(world: World) -> None:
    await stored(world, ("de", "G"))
    answer = world.origin.on("GET /a", accept_language="nl").hold().reply(304, etag='"G"', **CONTROL)
    client = world.client().send("GET /a", accept_language="nl")
    await world.until(lambda: answer.held == 1)
    rule(world, "de", "G2")
    await world.client().send("GET /a", accept_language="de", cache_control="no-cache").expect(200, b"G2")
    answer.release()
    await client.expect(200, b"G")
    await world.client().send("GET /a", accept_language="de").expect(200, b"G2")
    await world.client().send("GET /a", accept_language="nl").expect(200, b"G")
    assert world.origin.asked() == 3


async def test_a_304_that_says_private_takes_the_one_that_it_is_about(world: World) -> None:
    await stored(world, ("de", "G"), ("fr", "F"))
    private = world.origin.on("GET /a", accept_language="nl")
    private.reply(304, etag='"G"', cache_control="private", vary="Accept-Language")
    await world.client().send("GET /a", accept_language="nl").expect(200, b"G", cache_control="private")
    assert world.entries == 1
    await world.client().send("GET /a", accept_language="fr").expect(200, b"F")


async def test_what_the_asker_could_not_be_given_is_not_offered(world: World) -> None:
    guessed = world.origin.on("GET /a", accept_language="de")
    guessed.reply(
        200, b"G", etag='"G"', last_modified="Thu, 14 Jan 2027 07:00:00 GMT", vary="Accept-Language"
    )
    await world.client().send("GET /a", accept_language="de").expect(200, b"G")
    rule(world, "nl", "N")
    await world.client().send("GET /a", accept_language="nl", cookie="id=1").expect(200, b"N")
    assert world.origin.requests()[1].field("if-none-match") is None


async def test_a_client_that_wants_a_far_part_keeps_its_own_conditions(world: World) -> None:
    await stored(world, ("de", "G"))
    part = world.origin.on("GET /a", accept_language="nl", range="bytes=90000000-90000001")
    part.reply(206, b"xx", content_range="bytes 90000000-90000001/99999999", etag='"N"', **CONTROL)
    client = world.client().send("GET /a", accept_language="nl", range="bytes=90000000-90000001")
    await client.expect(206, b"xx")
    assert world.origin.requests()[1].field("if-none-match") is None
