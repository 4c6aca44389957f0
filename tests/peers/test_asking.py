"""Workers of one machine: one fetch for each key, whoever is asked for it, and nobody outside can tell."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from proxy.policy.purges import Everything
from tests.peers.machine import Machine
from tests.scenario_client import Response

HERD = int(os.environ.get("LOCKGATE_PEER_HERD", "40"))
"""Clients at each worker; hundreds take seconds on a loaded machine."""


async def test_a_miss_elsewhere_is_answered_by_the_owner_and_fetched_once(machine: Machine) -> None:
    machine.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    owner, *others = machine.order("/a")
    for slot in (*others, owner):
        await machine.at(slot).send("GET /a").expect(200, b"A")
    assert machine.origin.asked("GET /a") == 1
    assert machine.questions() == {"miss": 1, "hit": 1}
    assert machine.outcomes() == {"miss": 1, "hit": 2}


async def test_what_the_owner_holds_fresh_is_fetched_by_nobody(machine: Machine) -> None:
    machine.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    owner, *others = machine.order("/a")
    await machine.at(owner).send("GET /a").expect(200, b"A")
    machine.clock.advance(20)
    for slot in others:
        answer = await machine.at(slot).send("GET /a").expect(200, b"A", age="20")
        assert answer.cache_status == {"hit": True, "ttl": 40}
    assert machine.origin.asked() == 1
    assert machine.outcomes() == {"miss": 1, "hit": 2}


async def test_a_hot_copy_is_served_without_asking_and_expires_with_the_owners(machine: Machine) -> None:
    machine.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60", etag='"1"')
    owner, other, _ = machine.order("/a")
    await machine.at(owner).send("GET /a").expect(200, b"A")
    machine.clock.advance(50)
    client = machine.at(other)
    await client.send("GET /a").expect(200, b"A", age="50")
    asked = machine.questions()
    machine.clock.advance(9)
    await client.send("GET /a").expect(200, b"A", age="59")
    assert machine.questions() == asked
    machine.clock.advance(2)
    await client.send("GET /a").expect(200, b"A", age="0")
    assert machine.origin.asked() == 2


async def test_a_herd_at_every_worker_is_one_fetch(machine: Machine) -> None:
    answer = machine.origin.on("GET /a").hold().reply(200, b"A" * 5000, cache_control="max-age=60")
    herds = [machine.many_at(slot, HERD).send("GET /a") for slot in range(3)]
    # One seat at the owner for each of the others' flights, beside its own clients.
    await machine.until(lambda: machine.seats == 3 * HERD + 2)
    answer.release()
    answers: list[Response] = []
    for herd in herds:
        answers += await herd.expect(200, b"A" * 5000)
    assert machine.origin.asked() == 1
    told = Counter("collapsed" if "collapsed" in one.cache_status else "led" for one in answers)
    assert told == {"led": 1, "collapsed": 3 * HERD - 1}
    assert machine.outcomes() == {"miss": 1, "collapsed": 3 * HERD - 1}


async def test_the_leak_ratio_of_the_machine_counts_each_fetch_once(machine: Machine) -> None:
    machine.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    for slot in range(3):
        for _ in range(2):
            await machine.at(slot).send("GET /a").expect(200, b"A")
    workers = [machine.worker(slot).statistics() for slot in range(3)]
    assert sum(one.proxy.flights.shareable_fetches for one in workers) == 1
    assert sum(one.proxy.exchanges.shareable for one in workers) == 6
    assert sum(one.origins["shop"].requests for one in workers) == 1
    answered = [one.peers.answers for one in workers if one.peers is not None]
    assert sum(sum(counts.values()) for counts in answered) == 2


async def test_a_body_streams_through_as_it_comes(two: Machine) -> None:
    rule = two.origin.on("GET /a").by_hand()
    client = two.at(two.order("/a")[1]).send("GET /a")
    asked = await rule.next()
    asked.head(200, length=6, cache_control="max-age=60")
    asked.data(b"one")
    await client.head()
    assert await client.body_octets(3) == b"one"
    asked.data(b"two")
    assert await client.body_octets(3) == b"two"
    asked.finish()


# what the origin and the client see


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_the_origin_sees_the_same_request_whoever_makes_it(two: Machine, version: str) -> None:
    two.configure(
        route={"request_headers": {"add": {"X-Added": "once"}, "remove": ["X-Removed"]}},
    )
    sent = {
        "cookie": "a=1",
        "x_forwarded_for": "6.6.6.6",
        "x_removed": "x",
        "range": "bytes=0-1",
        "connection": "x-hop",
        "x_hop": "1",
        "accept": "*/*",
        "user_agent": "u",
    }
    seen = []
    for slot in range(2):
        target = two.owned_by(0)
        two.origin.on(f"GET {target}?{slot}")  # a key of its own, whoever owns it
        for suffix in range(100):
            path = f"{target}?{slot}-{suffix}"
            if two.owner(path) == 0:
                break
        two.origin.on(f"GET {path}").reply(200, b"A", cache_control="max-age=60", vary="x-hop")
        await two.at(slot).send(f"GET {path}", version=version, **sent).expect(206, b"A"[:2])
        asked = two.origin.requests(f"GET {path}")[0]
        seen.append([pair for pair in asked.fields if pair[0].lower() != b"content-length"])
    assert seen[0] == seen[1]
    assert dict(seen[0])[b"Via"] == f"{version} Lockgate".encode()


async def test_the_answer_is_the_same_whoever_gives_it(two: Machine) -> None:
    two.configure(route={"response_headers": {"add": {"X-Added": "once"}}})
    fields = [(b"X-Odd", b"caf\xe9"), (b"Via", b"1.1 inner"), (b"Cache-Status", b"inner; hit")]
    heads = []
    for slot in range(2):
        path = next(f"/x{slot}{n}" for n in range(100) if two.owner(f"/x{slot}{n}") == 0)
        rule = two.origin.on(f"GET {path}")
        rule.reply(200, b"A", fields=fields, cache_control="max-age=60", date="Sun, 06 Nov 1994 08:49:37 GMT")
        answer = await two.at(slot).send(f"GET {path}").response()
        heads.append(list(answer.fields))
    assert heads[0] == heads[1]
    names = Counter(name.lower() for name, _ in heads[1])
    assert names[b"via"] == 2
    assert names[b"cache-status"] == 2
    assert names[b"x-added"] == 1


async def test_a_missing_date_is_that_of_the_owner(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    owner, other = two.order("/a")
    first = await two.at(owner).send("GET /a").response()
    two.clock.advance(30)
    second = await two.at(other).send("GET /a").expect(200, b"A", age="30")
    assert second.field("date") == first.field("date")


async def test_the_time_an_origin_takes_is_in_age_once(two: Machine) -> None:
    answer = two.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    client = two.at(two.order("/a")[1]).send("GET /a")
    await two.until(lambda: answer.held == 1)
    two.clock.advance(7)
    answer.release()
    await client.expect(200, b"A", age="7")


async def test_the_age_of_an_inner_cache_is_counted_once(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60", age="10")
    await two.at(two.order("/a")[1]).send("GET /a").expect(200, b"A", age="10")


async def test_early_hints_reach_the_client_of_another_worker(two: Machine) -> None:
    two.origin.on("GET /a").early(103, link="</s.css>").reply(200, b"A", cache_control="max-age=60")
    answer = await two.at(two.order("/a")[1]).send("GET /a").expect(200, b"A")
    ((status, fields),) = answer.informational
    assert status == 103
    assert fields.get_all(b"via") == (b"1.1 Lockgate",)
    assert fields.get(b"link") == b"</s.css>"


async def test_what_a_stranger_calls_a_question_or_a_word_is_a_field_as_any_other(two: Machine) -> None:
    rule = two.origin.on("GET /a")
    rule.reply(200, b"A", cache_control="max-age=60", lockgate_word='{"trouble":"NotStored","text":""}')
    client = two.at(two.order("/a")[1])
    client.send("GET /a", lockgate_question='{"slot":0,"arrangement":"","ip":"6.6.6.6"}')
    await client.expect(200, b"A", lockgate_word='{"trouble":"NotStored","text":""}')
    (asked,) = two.origin.requests()
    assert asked.field("lockgate-question") == '{"slot":0,"arrangement":"","ip":"6.6.6.6"}'
    assert asked.field("x-forwarded-for") == "127.0.0.1"


# who may have what


async def test_a_private_answer_is_its_clients_and_the_next_are_not_asked_of_the_owner(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"mine", cache_control="private")
    other = two.order("/a")[1]
    await two.at(other).send("GET /a").expect(200, b"mine")
    asked = two.questions()
    assert asked == {"miss": 1}
    await two.at(other).send("GET /a").expect(200, b"mine")
    assert two.questions() == asked
    assert two.origin.asked() == 2


async def test_the_herd_of_an_uncacheable_key_is_released_in_parallel_at_every_worker(
    machine: Machine,
) -> None:
    rule = machine.origin.on("GET /a").hold().reply(200, b"mine", cache_control="no-store")
    owner, *others = machine.order("/a")
    leader = machine.at(owner).send("GET /a")
    await machine.until(lambda: rule.held == 1)
    herds = [
        machine.many_at(slot, count).send("GET /a")
        for slot, count in zip((owner, *others), (4, 5, 5), strict=True)
    ]
    await machine.until(lambda: machine.seats == 17)
    rule.release(1)
    await machine.until(lambda: rule.held == 14, "all at the origin at once")
    rule.release()
    await leader.expect(200, b"mine")
    for herd in herds:
        await herd.expect(200, b"mine")
    assert machine.origin.asked() == 15
    assert machine.questions() == {"released": 2}


async def test_who_may_not_have_it_leaves_the_others_of_its_worker_to_share_it(two: Machine) -> None:
    """A cookie takes no guessed lifetime; those without one share it all the same."""
    rule = two.origin.on("GET /a").hold().reply(200, b"A", last_modified="Thu, 01 Jan 1970 00:00:00 GMT")
    owner, other = two.order("/a")
    first = two.at(owner).send("GET /a")
    await two.until(lambda: rule.held == 1)
    with_cookie = two.at(other).send("GET /a", cookie="a=1")
    await two.until(lambda: two.seats == 3)  # with that of the question
    without = two.many_at(other, 5).send("GET /a")
    await two.until(lambda: two.seats == 8)
    rule.release()
    await first.expect(200, b"A")
    await with_cookie.expect(200, b"A")
    await without.expect(200, b"A")
    assert two.origin.asked() <= 3


async def test_a_variant_is_shared_among_those_who_select_it(machine: Machine) -> None:
    for language in ("en", "de"):
        rule = machine.origin.on("GET /a", accept_language=language)
        rule.reply(200, language.encode(), cache_control="max-age=60", vary="Accept-Language")
    for slot in range(3):
        for language in ("en", "de"):
            await machine.at(slot).send("GET /a", accept_language=language).expect(200, language.encode())
    assert machine.origin.asked() == 2


async def test_no_cache_reaches_the_origin_through_the_owner(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    owner, other = two.order("/a")
    await two.at(owner).send("GET /a").expect(200, b"A")
    await two.at(other).send("GET /a").expect(200, b"A")
    await two.at(other).send("GET /a", cache_control="no-cache").expect(200, b"A")
    assert two.origin.asked() == 2


async def test_a_stale_copy_is_validated_by_the_owner_for_all(machine: Machine) -> None:
    rule = machine.origin.on("GET /a").reply(200, b"A" * 1000, cache_control="max-age=60", etag='"1"')
    for slot in range(3):
        await machine.at(slot).send("GET /a").expect(200, b"A" * 1000)
    machine.clock.advance(61)
    machine.origin.on("GET /a", if_none_match='"1"').reply(304, cache_control="max-age=60", etag='"1"')
    for slot in range(3):
        await machine.at(slot).send("GET /a").expect(200, b"A" * 1000)
    assert machine.origin.asked() == 2
    assert rule.held == 0


async def test_with_credentials_what_the_owner_stores_for_all_is_a_hit(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"A", cache_control="public, max-age=60")
    owner, other = two.order("/a")
    await two.at(owner).send("GET /a").expect(200, b"A")
    await two.at(other).send("GET /a", authorization="Basic eA==").expect(200, b"A")
    assert two.origin.asked() == 1


async def test_with_credentials_the_owner_is_asked_in_vain_only_once(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"mine", cache_control="max-age=60")
    other = two.order("/a")[1]
    for _ in range(3):
        await two.at(other).send("GET /a", authorization="Basic eA==").expect(200, b"mine")
    assert two.questions() == {"passed": 1}
    assert two.origin.asked() == 3


# failures of the origin


async def test_a_body_that_is_cut_is_cut_for_the_clients_of_every_worker(machine: Machine) -> None:
    rule = machine.origin.on("GET /a").by_hand()
    herds = [machine.many_at(slot, 3).send("GET /a") for slot in range(3)]
    await machine.until(lambda: machine.seats == 11)
    asked = await rule.next()
    asked.head(200, length=10, cache_control="max-age=60")
    asked.data(b"half")
    for herd in herds:
        for client in herd:
            await client.head()
    asked.cut()
    for herd in herds:
        for client in herd:
            await (await client.wire()).closed()
            client.gone = True
    assert machine.origin.asked() == 1


async def test_a_body_without_an_end_of_its_own_is_stored_by_nobody(two: Machine) -> None:
    rule = two.origin.on("GET /a")
    rule.raw(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nperhaps all", then="cut")
    other = two.order("/a")[1]
    for _ in range(2):
        answer = await two.at(other).send("GET /a").expect(200, b"perhaps all")
        assert "stored" not in answer.cache_status
    assert two.origin.asked() == 2


async def test_an_unreachable_origin_is_the_same_error_at_every_worker(two: Machine) -> None:
    two.origin.refuse()
    told = []
    for slot in range(2):
        target = two.owned_by(0, name=f"/of{slot}-")
        for _ in range(2):  # at first it cannot be reached, then it could not a moment ago
            answer = await two.at(slot).send(f"GET {target}").response()
            told.append((answer.status, answer.body, list(answer.fields)))
    assert [status for status, _, _ in told] == [502, 503, 502, 503]
    assert told[:2] == told[2:]


async def test_a_stale_copy_stands_in_when_the_owner_cannot_reach_the_origin(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60", etag='"1"')
    owner, other = two.order("/a")
    for slot in (owner, other):
        await two.at(slot).send("GET /a").expect(200, b"A")
    two.clock.advance(61)
    two.origin.refuse()
    for slot in (other, owner):
        answer = await two.at(slot).send("GET /a").expect(200, b"A")
        assert answer.cache_status["hit"]


async def test_an_error_page_is_the_leaders_and_the_others_are_told_of_the_failure(two: Machine) -> None:
    rule = two.origin.on("GET /a").hold().reply(503, b"sorry")
    owner, other = two.order("/a")
    leader = two.at(owner).send("GET /a")
    await two.until(lambda: rule.held == 1)
    herd = two.many_at(other, 3).send("GET /a")
    await two.until(lambda: two.seats == 5)
    rule.release()
    await leader.expect(503, b"sorry")
    for answer in await herd.responses():
        assert answer.status == 503
        assert answer.body != b"sorry"
    assert two.origin.asked() == 1


# to be seen


async def test_every_worker_explains_who_owns_a_key(machine: Machine) -> None:
    await machine.all_started()
    for slot in range(3):
        explained = machine.worker(slot).proxy.explainer.explain("http://shop.example/a")
        assert explained.owner == {"slot": machine.owner("/a")}


# requests that lead no flight


async def test_head_is_answered_from_what_the_owner_has(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"A" * 50, cache_control="max-age=60")
    owner, other = two.order("/a")
    await two.at(owner).send("GET /a").expect(200)
    answer = await two.at(other).send("HEAD /a").expect(200, b"", content_length="50")
    assert answer.cache_status == {"hit": True, "ttl": 60}
    assert two.origin.asked() == 1


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=-10", 1_990, 1_999), ("bytes=1500-1599", 1_500, 1_599), ("bytes=1900-", 1_900, 1_999)],
)
async def test_a_part_that_nobody_waits_for_is_cut_out_of_what_the_owner_has(
    two: Machine, asked: str, first: int, last: int
) -> None:
    body = bytes(n % 251 for n in range(2_000))
    two.configure(route={"coalesce": {"range_ahead_bytes": 100}})
    two.origin.on("GET /a").reply(200, body, cache_control="max-age=60", etag='"1"')
    owner, other = two.order("/a")
    await two.at(owner).send("GET /a").expect(200)
    for _ in range(2):
        response = await two.at(other).send("GET /a", range=asked).expect(206, body[first : last + 1])
        assert response.field("content-range") == f"bytes {first}-{last}/2000"
    assert two.origin.asked() == 1
    assert two.questions() == {"hit": 1}


async def test_several_parts_are_cut_out_of_what_the_owner_has(two: Machine) -> None:
    body = bytes(n % 251 for n in range(2_000))
    two.origin.on("GET /a").reply(200, body, cache_control="max-age=60", etag='"1"')
    owner, other = two.order("/a")
    await two.at(owner).send("GET /a").expect(200)
    response = await two.at(other).send("GET /a", range="bytes=0-9,1500-1509").expect(206)
    assert response.body.count(b"Content-Range") == 2
    assert two.origin.asked() == 1


async def test_a_part_goes_to_the_origin_if_the_owner_has_nothing(two: Machine) -> None:
    two.configure(route={"coalesce": {"range_ahead_bytes": 100}})
    two.origin.on("GET /a").reply(206, b"A" * 10, content_range="bytes 1990-1999/2000")
    await two.at(two.order("/a")[1]).send("GET /a", range="bytes=-10").expect(206, b"A" * 10)
    assert two.questions() == {"declined": 1}
    assert two.origin.asked() == 1


async def test_what_is_too_large_for_memory_is_not_copied_for_a_head_or_a_part(
    two: Machine, tmp_path: Path
) -> None:
    disk = {"directory": str(tmp_path / "disk"), "min_free_bytes": 0}
    two.configure(cache={"max_entry_bytes": 100_000, "disk": disk})
    two.configure(route={"coalesce": {"range_ahead_bytes": 100}})
    body = bytes(n % 251 for n in range(300_000))
    part = {"range": "bytes=-10"}
    two.origin.on("GET /a").reply(200, body, cache_control="max-age=60")
    owner, other = two.order("/a")
    await two.at(owner).send("GET /a").expect(200, body)
    while two.worker(owner).statistics().proxy.flights.running:  # noqa: ASYNC110 - as in `until`, but
        await asyncio.sleep(0.001)  # the thread that stores it gets its turn
    two.origin.on("HEAD /a").reply(200, body, cache_control="max-age=60")
    two.origin.on("GET /a", **part).reply(206, body[-10:], content_range="bytes 299990-299999/300000")
    for restarted in (False, True):
        if restarted:  # and nothing of it is at hand but the index of its disk
            await two.kill(owner)
            await two.start(owner)
        await two.at(owner).send("HEAD /a").expect(200)
        assert two.origin.asked("HEAD /a") == restarted, "the owner has it"
        await two.at(other).send("HEAD /a").expect(200, b"", content_length="300000")
        await two.at(other).send("GET /a", **part).expect(206, body[-10:])
        assert two.origin.asked("HEAD /a") == 1 + restarted
    assert two.origin.asked("GET /a") == 1 + 2


async def test_head_goes_to_the_origin_if_the_owner_has_nothing(two: Machine) -> None:
    two.origin.on("HEAD /a").reply(200, b"A" * 50, cache_control="max-age=60")
    await two.at(two.order("/a")[1]).send("HEAD /a").expect(200, b"", content_length="50")
    assert two.questions() == {"declined": 1}
    assert two.origin.asked("HEAD /a") == two.origin.asked() == 1


async def test_only_if_cached_is_about_the_whole_machine(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    owner, other = two.order("/a")
    await two.at(other).send("GET /a", cache_control="only-if-cached").expect(504)
    await two.at(owner).send("GET /a").expect(200, b"A")
    await two.at(other).send("GET /a", cache_control="only-if-cached").expect(200, b"A")
    assert two.origin.asked() == 1


# purges


async def test_what_the_owner_gave_before_its_purge_does_not_stay_behind_it(two: Machine) -> None:
    """The asker is purged first; so each purge comes twice, the second time when all have had it once."""
    two.origin.on("GET /a").reply(200, b"old", cache_control="max-age=60")
    owner, other = two.order("/a")
    await two.at(owner).send("GET /a").expect(200, b"old")

    def purge(slot: int) -> None:
        two.worker(slot).proxy.cache.purge_here(Everything(), soft=False, kind=None)

    purge(other)
    await two.at(other).send("GET /a").expect(200, b"old")
    purge(owner)
    for slot in range(2):
        purge(slot)
    two.origin.on("GET /a").reply(200, b"new", cache_control="max-age=60")
    for slot in range(2):
        await two.at(slot).send("GET /a").expect(200, b"new")


async def test_a_question_under_way_brings_nothing_across_a_purge(two: Machine) -> None:
    rule = two.origin.on("GET /a").hold().reply(200, b"old", cache_control="max-age=60")
    owner, other = two.order("/a")
    client = two.at(other).send("GET /a")
    await two.until(lambda: rule.held == 1)
    for slot in (owner, other):
        two.worker(slot).proxy.cache.purge_here(Everything(), soft=False, kind=None)
    rule.release()
    await client.expect(200, b"old")
    assert [two.worker(slot).statistics().proxy.memory.entries for slot in range(2)] == [0, 0]


# copies of one age


async def test_a_validation_brings_every_field_to_every_worker(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60", etag='"1"', x_new="no")
    owner, other = two.order("/a")
    for slot in (owner, other):
        await two.at(slot).send("GET /a").expect(200, b"A", x_new="no")
    two.clock.advance(61)
    rule = two.origin.on("GET /a", if_none_match='"1"')
    rule.reply(304, cache_control="max-age=60", etag='"1"', x_new="yes")
    for slot in (other, owner):
        await two.at(slot).send("GET /a").expect(200, b"A", x_new="yes")
    assert two.origin.asked() == 2


async def test_behind_a_stale_copy_comes_no_other_stale_copy(machine: Machine) -> None:
    control = "max-age=60, stale-while-revalidate=60"
    machine.origin.on("GET /a").reply(200, b"old", cache_control=control, etag='"1"')
    for slot in range(3):
        await machine.at(slot).send("GET /a").expect(200, b"old")
    machine.clock.advance(70)
    machine.origin.on("GET /a", if_none_match='"1"').reply(200, b"new", cache_control=control, etag='"2"')
    owner, *others = machine.order("/a")
    for slot in others:
        await machine.at(slot).send("GET /a").expect(200, b"old")
        await machine.until(lambda: machine.flights == 0)
        await machine.at(slot).send("GET /a").expect(200, b"new")
    await machine.at(owner).send("GET /a").expect(200, b"new")
    assert machine.origin.asked() == 2


async def test_a_popular_copy_is_refreshed_before_it_expires(machine: Machine) -> None:
    machine.configure(route={"cache": {"refresh_ahead": 0.5, "refresh_ahead_uses": 2}})
    machine.origin.on("GET /a").reply(200, b"old", cache_control="max-age=100", etag='"1"')
    for slot in range(3):
        await machine.at(slot).send("GET /a").expect(200, b"old")
    machine.clock.advance(90)
    rule = machine.origin.on("GET /a", if_none_match='"1"').hold()
    rule.reply(200, b"new", cache_control="max-age=100", etag='"2"')
    others = machine.order("/a")[1:]
    for slot in others:
        for _ in range(2):
            await machine.at(slot).send("GET /a").expect(200, b"old")
    await machine.until(lambda: machine.seats == 2)  # those of the questions
    rule.release()
    await machine.until(lambda: machine.flights == 0)
    for slot in range(3):
        await machine.at(slot).send("GET /a").expect(200, b"new", age="0")
    assert machine.origin.asked() == 2
