"""Several workers are one cache to who asks it, whichever of them is asked.

All of `tests/behaviour` runs on them with `LOCKGATE_TEST_WORKERS=3`; here is what only several can get wrong.
"""

from __future__ import annotations

import pytest

from proxy.policy.purges import Everything, Targets
from tests.scenario_workers import WorkersWorld

FRESH = {"cache_control": "max-age=600"}
ENABLED = {"purge": {"enabled": True}}
EVERY_WORKER = range(3)


async def stored_everywhere(several: WorkersWorld, body: bytes = b"old", **fields: str) -> None:
    several.origin.on("GET /a").reply(200, body, **{**FRESH, **fields})
    for _ in EVERY_WORKER:
        await several.client().send("GET /a").expect(200, body)


async def test_connections_go_to_all_of_them(several: WorkersWorld) -> None:
    await stored_everywhere(several)
    counted = [server.statistics().proxy.exchanges.requests for server in several.servers]
    assert counted == [1, 1, 1]
    assert several.entries == 1


async def test_a_key_is_fetched_once(several: WorkersWorld) -> None:
    rule = several.origin.on("GET /a").hold().reply(200, b"A", **FRESH)
    clients = several.clients(30).send("GET /a")
    await several.until(lambda: several.seats == 30)
    rule.release()
    await clients.expect(200, b"A")
    await several.clients(30).send("GET /a").expect(200, b"A")
    assert several.origin.asked() == 1


async def test_what_its_owner_holds_fresh_is_fetched_by_nobody(several: WorkersWorld) -> None:
    for number in range(30):
        several.origin.on(f"GET /{number}").reply(200, b"%d" % number, **FRESH)
        for _ in EVERY_WORKER:
            await several.client().send(f"GET /{number}").expect(200, b"%d" % number)
    assert several.origin.asked() == 30


async def test_a_purge_by_a_client_is_acknowledged_when_all_have_it(several: WorkersWorld) -> None:
    several.configure(route=ENABLED)
    for round_ in range(4):
        await stored_everywhere(several, b"%d" % round_)
        await several.client().send("PURGE /a").expect(200)


async def test_what_was_purged_softly_is_fresh_at_no_worker_while_the_origin_fails(
    several: WorkersWorld,
) -> None:
    """Who has no copy is given the owner's stale one, whose age alone does not tell that it is stale."""
    several.origin.on("GET /a").reply(200, b"old", **FRESH, etag='"1"')
    await several.client().send("GET /a").expect(200, b"old")
    several.origin.on("GET /a").reply(500, b"no")
    several.purge(soft=True)
    for _ in range(2 * several.slots):
        answer = await several.client().send("GET /a").expect(200, b"old")
        assert answer.cache_status["ttl"] < 0
    await stored_everywhere(several, b"new", etag='"2"')


async def test_a_write_invalidates_at_all_before_it_is_answered(several: WorkersWorld) -> None:
    several.origin.on("POST /a").reply(204)
    for round_ in range(4):
        await stored_everywhere(several, b"%d" % round_)
        await several.client().send("POST /a", b"x").expect(204)


async def test_a_fill_that_a_write_at_another_worker_overtook_is_not_stored(several: WorkersWorld) -> None:
    rule = several.origin.on("GET /a").hold().reply(200, b"old", **FRESH)
    readers = several.clients(3).send("GET /a")
    await several.until(lambda: several.seats == 3)
    several.origin.on("POST /a").reply(204)
    await several.client().send("POST /a", b"x").expect(204)
    rule.release()
    await readers.expect(200, b"old")
    await stored_everywhere(several, b"new")


async def test_what_a_write_holds_back_is_held_back_by_all(several: WorkersWorld) -> None:
    """Its effect may come later than its answer: what is read meanwhile is nothing to keep."""
    await stored_everywhere(several)
    entry = next(iter(several.servers[0].proxy.cache._memory))
    first = several.servers[0].proxy.cache
    first.begin_purge(Targets(frozenset({entry.key})), hold_s=5.0)
    await first.durable()
    await stored_everywhere(several, b"maybe")
    assert several.entries == 0
    several.clock.advance(6)
    await stored_everywhere(several, b"new")
    assert several.entries == 1


async def test_a_purge_of_a_hundred_holds_everywhere_in_order(several: WorkersWorld) -> None:
    await stored_everywhere(several)
    first = several.servers[0].proxy.cache
    receipts = [first.begin_purge(Everything()) for _ in range(100)]
    await first.durable()
    assert all(receipt.elsewhere is not None and receipt.elsewhere.done() for receipt in receipts)
    assert several.entries == 0


@pytest.mark.parametrize(
    ("shown", "body"),
    [
        pytest.param({"cache_control": "private", "etag": '"1"'}, b"old", id="not-for-sharing-any-more"),
        pytest.param({**FRESH, "etag": '"2"'}, b"old", id="another-representation"),
    ],
)
async def test_what_a_head_shows_to_be_untrue_is_told_by_none(
    several: WorkersWorld, shown: dict[str, str], body: bytes
) -> None:
    await stored_everywhere(several, etag='"1"')
    several.origin.on("HEAD /a").reply(200, body, **shown)
    await several.client().send("HEAD /a", cache_control="no-cache").expect(200)
    await stored_everywhere(several, b"new", etag='"2"')
