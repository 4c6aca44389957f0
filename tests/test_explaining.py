"""An explanation says what the next request then gets: each scene is explained, and then asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from proxy.explaining import Explanation
from proxy.http.fields import Pair
from proxy.verdicts import Verdict
from tests.behaviour.sliced_origin import SlicedObject
from tests.scenario import World

FRESH = {"cache_control": "max-age=60", "etag": '"1"'}
Prepare = Callable[[World], Awaitable[None]]


def explained(world: World, target: str = "/a", *, method: str = "GET", **fields: str) -> Explanation:
    pairs: tuple[Pair, ...] = tuple(
        (name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()
    )
    explainer = world.proxy.proxy.explainer
    return explainer.explain(f"http://shop.example{target}", method=method, fields=pairs)


async def nothing(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", **FRESH)


def stored(after_s: float = 0.0, **fields: str) -> Prepare:
    async def prepare(world: World) -> None:
        world.origin.on("GET /a").reply(200, b"A", **(fields or FRESH))
        await world.client().send("GET /a").expect(200)
        world.clock.advance(after_s)

    return prepare


async def purged_softly(world: World) -> None:
    await stored()(world)
    world.purge(soft=True)


async def purged(world: World) -> None:
    await stored()(world)
    world.purge()


async def not_for_sharing(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", cache_control="private")
    await world.client().send("GET /a").expect(200)


async def unreachable(world: World) -> None:
    world.origin.refuse()
    await world.client().send("GET /a").expect(502)


async def stale_and_unreachable(world: World) -> None:
    await stored(100.0)(world)
    world.origin.refuse()
    await world.client().send("GET /a").expect(200)


async def equivalent_query(world: World) -> None:
    world.origin.on("GET /a?utm=1").reply(200, b"A", no_vary_search='params=("utm")', **FRESH)
    await world.client().send("GET /a?utm=1").expect(200)


async def other_language(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"A", vary="Accept-Language", **FRESH)
    await world.client().send("GET /a", accept_language="de").expect(200)


def slices(count: int) -> Prepare:
    """So many slices are stored, of the two that there are."""

    async def prepare(world: World) -> None:
        SlicedObject(world, bytes(1500))
        if count:
            await world.client().send("GET /a", range=f"bytes=0-{count * 700}").expect(206)

    return prepare


@dataclass(frozen=True)
class Scene:
    """`because` is part of the reason; `asked` what the request has beside its target."""

    prepare: Prepare
    verdict: Verdict
    because: str
    asked: dict[str, str] = field(default_factory=dict)
    route: dict[str, Any] = field(default_factory=dict)
    method: str = "GET"
    target: str = "/a"


SLICES = {"cache": {"partial": "slices", "slice_bytes": 1024}}
GRACE = {"cache_control": "max-age=60, stale-while-revalidate=30"}

SCENES = {
    "nothing-stored": Scene(nothing, Verdict.MISS, "nothing is stored for this key"),
    "fresh": Scene(stored(), Verdict.HIT, "fresh for 60 s more (max-age)"),
    "fresh-to-a-head": Scene(stored(), Verdict.HIT, "fresh for 60 s", method="HEAD"),
    "expired": Scene(stored(61), Verdict.MISS, "stale, beyond what is allowed (max-age); it is validated"),
    "within-grace": Scene(stored(61, **GRACE), Verdict.STALE, "within grace (30 s)"),
    "beyond-grace": Scene(stored(91, **GRACE), Verdict.MISS, "it is fetched again, as it has no validator"),
    "no-cache-of-the-origin": Scene(
        stored(cache_control="no-cache", etag='"1"'), Verdict.MISS, "before each use (no-cache)"
    ),
    "no-cache-of-the-client": Scene(
        stored(), Verdict.MISS, "not fresh enough for the request", {"cache_control": "no-cache"}
    ),
    "no-cache-ignored": Scene(
        stored(), Verdict.HIT, "fresh", {"cache_control": "no-cache"}, {"cache": {"honour_no_cache": False}}
    ),
    "max-stale": Scene(stored(61), Verdict.STALE, "allowed stale", {"cache_control": "max-stale=10"}),
    "only-if-cached": Scene(
        nothing, Verdict.REFUSED, "nothing stored may answer it", {"cache_control": "only-if-cached"}
    ),
    "no-store": Scene(stored(), Verdict.PASSED, "no-store", {"cache_control": "no-store"}),
    "purged-softly": Scene(purged_softly, Verdict.MISS, "purged softly; it is validated"),
    "purged": Scene(purged, Verdict.MISS, "nothing is stored"),
    "not-for-sharing": Scene(not_for_sharing, Verdict.PASSED, "not for sharing (private)"),
    "unreachable": Scene(unreachable, Verdict.FAILED, "could not be reached a moment ago"),
    "stale-and-unreachable": Scene(stale_and_unreachable, Verdict.STALE, "a moment ago"),
    "another-variant": Scene(
        other_language, Verdict.MISS, "for this key and variant", {"accept_language": "fr"}
    ),
    "that-variant": Scene(other_language, Verdict.HIT, "fresh", {"accept_language": "de"}),
    "authorization": Scene(
        stored(),
        Verdict.PASSED,
        "not for this request (authorization), and it has an Authorization",
        {"authorization": "Basic YTpi"},
    ),
    "a-heuristic-and-a-cookie": Scene(
        stored(last_modified="Tue, 01 Jan 2019 00:00:00 GMT"),
        Verdict.MISS,
        "not for this request (cookie-heuristic)",
        {"cookie": "a=b"},
    ),
    "another-method": Scene(nothing, Verdict.PASSED, "only GET and HEAD", method="OPTIONS"),
    "a-head-of-nothing": Scene(nothing, Verdict.PASSED, "brings nothing to store", method="HEAD"),
    "bypassed": Scene(stored(), Verdict.PASSED, "bypass rules", route={"bypass": {"paths": ["^/a"]}}),
    "cache-off": Scene(nothing, Verdict.PASSED, "cache.enabled", route={"cache": {"enabled": False}}),
    "coalescing-off": Scene(
        nothing, Verdict.PASSED, "coalesce.enabled", route={"coalesce": {"enabled": False}}
    ),
    "another-route": Scene(nothing, Verdict.REFUSED, "no route for host", route={"path": "/b"}),
    "a-far-range": Scene(
        nothing,
        Verdict.PASSED,
        "range begins further ahead",
        {"range": "bytes=9-"},
        {"coalesce": {"range_ahead_bytes": 1}},
    ),
    "no-slice": Scene(slices(0), Verdict.MISS, "nothing is stored for this key", route=SLICES),
    "one-slice-of-two": Scene(slices(1), Verdict.MISS, "only some slices are stored", route=SLICES),
    "the-slice-of-a-range": Scene(slices(1), Verdict.HIT, "fresh", {"range": "bytes=9-99"}, SLICES),
    "all-slices": Scene(slices(2), Verdict.HIT, "fresh for 60 s", route=SLICES),
    "one-slice-of-two-and-only-if-cached": Scene(
        slices(1), Verdict.REFUSED, "only some slices", {"cache_control": "only-if-cached"}, SLICES
    ),
    "an-equivalent-query": Scene(equivalent_query, Verdict.HIT, "fresh", target="/a?utm=2"),
    "a-normal-query": Scene(
        stored(), Verdict.HIT, "fresh", route={"query": {"drop": ["utm_*"]}}, target="/a?utm_x=1"
    ),
}

OUTCOMES = {Verdict.MISS: "miss", Verdict.HIT: "hit", Verdict.STALE: "stale", Verdict.PASSED: "passed"}
OUTCOMES |= {Verdict.REFUSED: "refused", Verdict.FAILED: "failed", Verdict.COLLAPSED: "collapsed"}


@pytest.mark.parametrize("name", SCENES)
async def test_what_is_explained_is_what_the_next_request_gets(world: World, name: str) -> None:
    scene = SCENES[name]
    world.configure(route=scene.route)
    if name != "another-route":
        world.origin.on(f"{scene.method} /a").reply(200, b"A", **FRESH)
    await scene.prepare(world)
    before, entries = world.outcomes(), world.entries
    explanation = explained(world, scene.target, method=scene.method, **scene.asked)
    assert (world.flights, world.entries, world.outcomes()) == (0, entries, before)
    client = world.client().send(f"{scene.method} {scene.target}", **scene.asked)  # type: ignore[arg-type]
    response = await client.response()
    await world.until(lambda: sum(world.outcomes().values()) > sum(before.values()))
    (got,) = [outcome for outcome, count in world.outcomes().items() if count > before.get(outcome, 0)]
    assert (explanation.verdict, OUTCOMES[explanation.verdict]) == (scene.verdict, got)
    assert scene.because in explanation.because
    if explanation.status is not None:
        assert response.status == explanation.status


async def test_a_request_that_would_join_is_told_the_flight(world: World) -> None:
    held = world.origin.on("GET /a").hold().reply(200, b"A", **FRESH)
    leader = world.client().send("GET /a")
    await world.until(lambda: held.held == 1)
    explanation = explained(world)
    assert explanation.verdict is Verdict.COLLAPSED
    assert explanation.flight is not None
    assert (explanation.flight["state"], explanation.flight["seats"]) == ("asking", 1)
    assert explained(world, cache_control="no-cache").verdict is Verdict.WAITS
    assert explained(world, authorization="Basic YTpi").verdict is Verdict.PASSED
    assert world.seats == 1
    held.release()
    await leader.expect(200, b"A")


async def test_too_many_waiters_are_told(world: World) -> None:
    world.configure(route={"coalesce": {"max_waiters": 1}})
    held = world.origin.on("GET /a").hold().reply(200, b"A", **FRESH)
    clients = world.clients(2).send("GET /a")
    await world.until(lambda: world.seats == 2)
    explanation = explained(world)
    assert (explanation.verdict, explanation.status) == (Verdict.REFUSED, 503)
    await world.client().send("GET /a").expect(503)
    held.release()
    await clients.expect(200, b"A")


async def test_the_facts_are_told(world: World) -> None:
    world.configure(route={"key": {"fields": ["X-Shop"]}})
    world.origin.on("GET /a").reply(200, b"A", vary="Accept-Language", surrogate_key="t u", **FRESH)
    await world.client().send("GET /a", accept_language="de", x_shop="1").expect(200)
    world.clock.advance(5)
    explanation = explained(world, accept_language="de", x_shop="1")
    assert explanation.route == {"name": "*/", "origin": "shop"}
    assert explanation.key is not None
    assert explanation.key["url"] == "http://shop.example/a"
    assert explanation.key["fields"] == {"x-shop": "1"}
    assert explanation.key["slice"] is None
    assert explanation.variant == {"varies_on": {"accept-language": "de"}, "other_variants": 0}
    stored_facts = explanation.stored
    assert stored_facts is not None
    told = {name: stored_facts[name] for name in ("status", "age_s", "lifetime_from", "ttl_s", "labels")}
    assert told == {"status": 200, "age_s": 5, "lifetime_from": "max-age", "ttl_s": 55, "labels": ["t", "u"]}
    assert explained(world, accept_language="fr", x_shop="1").variant == {
        "varies_on": {"accept-language": "fr"},
        "other_variants": 1,
    }


async def test_an_https_url_is_explained_as_it_comes_after_tls_ended(world: World) -> None:
    await stored()(world)
    explanation = world.proxy.proxy.explainer.explain("https://shop.example/a")
    assert (explanation.verdict, explanation.request["url"]) == (Verdict.HIT, "http://shop.example/a")


@pytest.mark.parametrize("field_value", ["a\r\nb", "\x00"])
async def test_a_head_that_would_be_refused_is_explained_as_refused(world: World, field_value: str) -> None:
    await world.started()
    explanation = explained(world, x_odd=field_value)
    assert (explanation.verdict, explanation.status) == (Verdict.REFUSED, 400)


def _verdicts() -> Iterator[Verdict]:
    yield from (scene.verdict for scene in SCENES.values())


def test_the_scenes_have_every_verdict() -> None:
    assert {*_verdicts(), Verdict.COLLAPSED, Verdict.WAITS} == set(Verdict)


async def test_a_slice_is_told_by_its_number(world: World) -> None:
    world.configure(route=SLICES)
    SlicedObject(world, bytes(1500))
    await world.client().send("GET /a", range="bytes=0-9").expect(206)
    explanation = explained(world, range="bytes=1100-1200")
    assert explanation.key is not None
    assert explanation.key["url"] == "http://shop.example/a"
    assert explanation.key["slice"] == {"number": 1, "slice_bytes": 1024}
