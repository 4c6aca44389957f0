"""One key, several variants."""

from __future__ import annotations

from tests.scenario import World


def by_language(world: World, *languages: str, hold: bool = False) -> list:  # type: ignore[type-arg]
    rules = []
    for language in languages:
        rule = world.origin.on("GET /a", accept_language=language)
        rule.reply(200, language.encode(), cache_control="max-age=60", vary="Accept-Language")
        rules.append(rule.hold() if hold else rule)
    return rules


async def test_waiters_of_another_variant_regroup_into_one_flight_per_variant(world: World) -> None:
    german, french, dutch = by_language(world, "de", "fr", "nl", hold=True)
    leader = world.client().send("GET /a", accept_language="de")
    await world.until(lambda: german.held == 1)
    herds = {name: world.clients(4).send("GET /a", accept_language=name) for name in ("de", "fr", "nl")}
    await world.until(lambda: world.seats == 13)
    german.release()
    await leader.expect(200, b"de")
    await herds["de"].expect(200, b"de")
    await world.until(lambda: world.seats == 8)
    french.release()
    dutch.release()
    await herds["fr"].expect(200, b"fr")
    await herds["nl"].expect(200, b"nl")
    assert world.origin.asked() == 3
    assert world.outcomes() == {"miss": 3, "collapsed": 10}


async def test_the_next_herd_splits_at_once_as_the_vary_is_remembered(world: World) -> None:
    german, french = by_language(world, "de", "fr")
    await world.client().send("GET /a", accept_language="de").expect(200, b"de")
    world.purge()
    german.hold()
    french.hold()
    clients = [world.client().send("GET /a", accept_language=name) for name in ("de", "fr")]
    await world.until(lambda: german.held == french.held == 1)
    german.release()
    french.release()
    await clients[0].expect(200, b"de")
    await clients[1].expect(200, b"fr")


async def test_each_variant_is_hit_on_its_own(world: World) -> None:
    by_language(world, "de", "fr")
    for _ in range(2):
        for name in ("de", "fr"):
            await world.client().send("GET /a", accept_language=name).expect(200, name.encode())
    assert world.origin.asked() == 2
    assert world.outcomes() == {"miss": 2, "hit": 2}


async def test_a_variant_that_is_missing_is_a_vary_miss(world: World) -> None:
    by_language(world, "de", "fr")
    first = await world.client().send("GET /a", accept_language="de").expect(200, b"de")
    second = await world.client().send("GET /a", accept_language="fr").expect(200, b"fr")
    assert first.cache_status["fwd"] == "uri-miss"
    assert second.cache_status["fwd"] == "vary-miss"


async def test_spaces_and_case_of_languages_make_no_variants(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"x", cache_control="max-age=60", vary="accept-language")
    await world.client().send("GET /a", accept_language="de, en;q=0.5").expect(200, b"x")
    await world.client().send("GET /a", accept_language="DE,en; q=0.5").expect(200, b"x")
    assert world.origin.asked() == 1


async def test_the_number_of_variants_is_bounded(world: World) -> None:
    world.configure(route={"cache": {"max_variants": 2}})
    by_language(world, "a", "b", "c")
    for name in ("a", "b", "c"):
        await world.client().send("GET /a", accept_language=name).expect(200)
    assert world.entries == 2
    await world.client().send("GET /a", accept_language="c").expect(200, b"c")
    assert world.origin.asked() == 3


async def test_a_private_variant_does_not_undo_the_sharing_of_another(world: World) -> None:
    by_language(world, "de")
    private = world.origin.on("GET /a", accept_language="fr")
    private.reply(200, b"fr", cache_control="private", vary="Accept-Language")
    await world.client().send("GET /a", accept_language="de").expect(200, b"de")
    await world.client().send("GET /a", accept_language="fr").expect(200, b"fr")
    world.purge()
    german = by_language(world, "de", hold=True)[0]
    clients = world.clients(3).send("GET /a", accept_language="de")
    await world.until(lambda: world.seats == 3)
    german.release()
    await clients.expect(200, b"de")


async def test_vary_on_cookie_gives_nobody_another_ones_answer(world: World) -> None:
    rule = world.origin.on("GET /a").hold()
    rule.answer(
        lambda asked: asked.reply(
            200, (asked.field("cookie") or "").encode(), cache_control="max-age=60", vary="Cookie"
        )
    )
    clients = [world.client().send("GET /a", cookie=f"id={number}") for number in range(20)]
    await world.until(lambda: world.seats == 20)
    rule.release()
    for number, client in enumerate(clients):
        await client.expect(200, b"id=%d" % number)
    assert world.origin.asked() == 20


async def test_an_origin_that_changes_its_vary_each_time_still_answers_everybody(world: World) -> None:
    count = iter(range(1000))

    rule = world.origin.on("GET /a").hold()
    rule.answer(
        lambda asked: asked.reply(
            200, asked.field("x-me").encode(), cache_control="max-age=60", vary=f"X-Me, X-{next(count)}"
        )
    )
    clients = [world.client().send("GET /a", x_me=str(number)) for number in range(8)]
    await world.until(lambda: world.seats == 8)
    rule.release()
    for number, client in enumerate(clients):
        await client.expect(200, b"%d" % number)
