"""Large objects in slices: each fetched, shared and stored by itself; one answer is of one representation."""

from __future__ import annotations

import asyncio
import email
import os
import random
from collections.abc import Callable

import pytest

from proxy.policy.purges import Coverage, Everything, Tagged, Targets, target_keys
from proxy.policy.target_uri import request_of_url
from proxy.routing import Router
from tests.behaviour.sliced_origin import SlicedObject
from tests.scenario import World
from tests.scenario_client import Response
from tests.scenario_origin import Rule

SLICE = 1024
BODY = random.Random(1).randbytes(5 * SLICE + 100)
OTHER = random.Random(2).randbytes(5 * SLICE + 100)
LENGTH = len(BODY)
SLICES_OF_ALL = {number * SLICE: 1 for number in range(6)}
CLIENTS = int(os.environ.get("LOCKGATE_SLICE_CLIENTS", "60"))


def slicing(world: World, **cache: object) -> None:
    world.configure(route={"cache": {"partial": "slices", "slice_bytes": SLICE, **cache}})


@pytest.fixture
def one(world: World) -> SlicedObject:
    """The object /a, on a route with slices."""
    slicing(world)
    return SlicedObject(world, BODY)


# ranges, and what is fetched for them


RANGES = [
    pytest.param("bytes=0-9", [0], id="in-the-first"),
    pytest.param("bytes=1000-1100", [0, 1], id="over-an-edge"),
    pytest.param("bytes=1024-2047", [1], id="exactly-one"),
    pytest.param("bytes=5000-", [4, 5], id="to-the-end"),
    pytest.param("bytes=5200-99999", [5], id="past-the-end"),
]


@pytest.mark.parametrize(("wanted", "numbers"), RANGES)
async def test_a_range_fetches_the_slices_that_it_touches_and_no_others(
    world: World, one: SlicedObject, wanted: str, numbers: list[int]
) -> None:
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    end = min(int(last or LENGTH - 1), LENGTH - 1)
    for _ in range(2):
        response = await world.client().send("GET /a", range=wanted).expect(206, BODY[int(first) : end + 1])
        assert response.field("content-range") == f"bytes {first}-{end}/{LENGTH}"
        assert response.field("content-length") == str(end + 1 - int(first))
        assert response.field("etag") == '"1"'
    assert one.slices == {number * SLICE: 1 for number in numbers}


async def test_the_whole_is_put_together_from_its_slices(world: World, one: SlicedObject) -> None:
    response = await world.client().send("GET /a").expect(200, BODY)
    assert response.field("content-length") == str(LENGTH)
    assert response.field("content-range") is None
    assert response.cache_status["fwd"] == "uri-miss"
    assert one.slices == SLICES_OF_ALL
    again = await world.client().send("GET /a").expect(200, BODY)
    assert again.cache_status["hit"] is True
    assert sum(one.asked.values()) == 6


async def test_what_is_missing_of_an_answer_is_told(world: World, one: SlicedObject) -> None:
    await world.client().send("GET /a", range="bytes=0-9").expect(206)
    response = await world.client().send("GET /a", range="bytes=1000-1100").expect(206, BODY[1000:1101])
    assert response.cache_status["fwd"] == "partial"
    assert "hit" not in response.cache_status
    assert (await world.client().send("GET /a", range="bytes=99-2000").expect(206)).cache_status["hit"]


async def test_a_suffix_range_needs_the_length_first(world: World, one: SlicedObject) -> None:
    response = await world.client().send("GET /a", range="bytes=-50").expect(206, BODY[-50:])
    assert response.field("content-range") == f"bytes {LENGTH - 50}-{LENGTH - 1}/{LENGTH}"
    assert one.slices == {0: 1, 5 * SLICE: 1}
    await world.client().send("GET /a", range="bytes=-1500").expect(206, BODY[-1500:])
    assert one.slices == {0: 1, 5 * SLICE: 1, 3 * SLICE: 1, 4 * SLICE: 1}


async def test_several_ranges_come_in_parts_from_their_slices(world: World, one: SlicedObject) -> None:
    wanted = "bytes=10-19,2040-2060,-5"
    for _ in range(2):
        response = await world.client().send("GET /a", range=wanted).expect(206)
        assert response.field("content-length") == str(len(response.body))
        media_type = response.field("content-type") or ""
        message = email.message_from_bytes(
            b"Content-Type: %b\r\n\r\n%b" % (media_type.encode(), response.body)
        )
        parts = message.get_payload()
        assert isinstance(parts, list)
        assert [part["Content-Range"] for part in parts] == [
            f"bytes 10-19/{LENGTH}",
            f"bytes 2040-2060/{LENGTH}",
            f"bytes {LENGTH - 5}-{LENGTH - 1}/{LENGTH}",
        ]
        for octets in (BODY[10:20], BODY[2040:2061], BODY[-5:]):
            assert b"\r\n\r\n" + octets + b"\r\n--" in response.body
    assert one.slices == {0: 1, SLICE: 1, 2 * SLICE: 1, 5 * SLICE: 1}


@pytest.mark.slow
async def test_any_range_has_the_octets_that_the_whole_has_there(world: World, one: SlicedObject) -> None:
    drawn = random.Random(3)
    client = world.client()
    for _ in range(60):
        first = drawn.randrange(LENGTH)
        last = drawn.randrange(first, LENGTH)
        response = await client.send("GET /a", range=f"bytes={first}-{last}").expect(
            206, BODY[first : last + 1]
        )
        assert response.field("content-range") == f"bytes {first}-{last}/{LENGTH}"
    assert set(one.slices.values()) == {1}


async def test_a_range_behind_the_end_is_answered_here_once_the_length_is_known(
    world: World, one: SlicedObject
) -> None:
    for _ in range(3):
        response = await world.client().send("GET /a", range="bytes=99999-").expect(416, b"")
        assert response.field("content-range") == f"bytes */{LENGTH}"
    assert one.asked == {"bytes=99328-100351": 1, "bytes=0-1023": 1}


async def test_a_range_that_begins_where_the_object_ends_is_not_satisfied(world: World) -> None:
    slicing(world)
    one = SlicedObject(world, BODY[: 2 * SLICE])
    await world.client().send("GET /a", range="bytes=2048-").expect(416, content_range="bytes */2048")
    await world.client().send("GET /a").expect(200, BODY[: 2 * SLICE])
    assert one.slices == {2 * SLICE: 1, 0: 1, SLICE: 1}


# sharing


async def test_overlapping_ranges_of_a_cold_object_fetch_each_slice_once(
    world: World, one: SlicedObject
) -> None:
    drawn = random.Random(4)
    asked = []
    for client in world.clients(CLIENTS):
        first = drawn.randrange(LENGTH)
        last = drawn.randrange(first, LENGTH)
        asked.append((client.send("GET /a", range=f"bytes={first}-{last}"), BODY[first : last + 1]))
    await asyncio.gather(*(client.expect(206, octets) for client, octets in asked))
    assert set(one.slices.values()) == {1}
    assert sum(one.asked.values()) <= 6


async def test_a_herd_of_requests_for_the_whole_fetches_each_slice_once(
    world: World, one: SlicedObject
) -> None:
    one.rule.hold()
    clients = world.clients(CLIENTS).send("GET /a")
    await world.until(lambda: world.seats == CLIENTS)
    one.rule.release()
    responses = await clients.expect(200, BODY)
    assert one.slices == SLICES_OF_ALL
    collapsed = [response for response in responses if response.cache_status.get("collapsed") is True]
    assert len(collapsed) == CLIENTS - 1


async def test_while_nothing_is_known_of_a_url_all_ask_for_the_slice_that_the_first_asked_for(
    world: World, one: SlicedObject
) -> None:
    one.rule.hold()
    first = world.client().send("GET /a", range="bytes=3000-3009")
    await world.until(lambda: one.rule.held == 1)
    others = [world.client().send("GET /a", range=f"bytes={at}-{at}") for at in (0, 1024, 5000)]
    await world.until(lambda: world.seats == 4)
    assert one.rule.held == 1
    one.rule.release()
    await first.expect(206, BODY[3000:3010])
    for client, at in zip(others, (0, 1024, 5000), strict=True):
        await client.expect(206, BODY[at : at + 1])
    assert one.slices == {2 * SLICE: 1, 0: 1, SLICE: 1, 4 * SLICE: 1}


async def test_a_range_behind_the_end_turns_no_herd_loose(world: World, one: SlicedObject) -> None:
    one.rule.hold()
    lever = world.client().send("GET /a", range="bytes=999999999-")
    await world.until(lambda: one.rule.held == 1)
    herd = world.clients(10).send("GET /a", range="bytes=0-9")
    await world.until(lambda: world.seats == 11)
    one.rule.release()
    await lever.expect(416, b"")
    await herd.expect(206, BODY[:10])
    assert one.slices == {999999488: 1, 0: 1}


async def test_only_so_much_is_fetched_ahead_of_a_client(world: World) -> None:
    slicing(world, slices_ahead=1)
    one = SlicedObject(world, BODY)
    held = world.origin.on("GET /a", range="bytes=1024-2047").hold().answer(one.answer)
    client = world.client().send("GET /a")
    await world.until(lambda: held.held == 1)
    await world.turns()
    assert one.slices == {0: 1}
    held.release()
    await client.expect(200, BODY)
    assert one.slices == SLICES_OF_ALL


async def test_without_reading_ahead_a_slice_is_fetched_when_it_is_wanted(world: World) -> None:
    slicing(world, slices_ahead=0)
    one = SlicedObject(world, BODY)
    await world.client().send("GET /a").expect(200, BODY)
    assert one.slices == SLICES_OF_ALL


async def test_a_client_that_leaves_takes_nothing_with_it(world: World, one: SlicedObject) -> None:
    held = world.origin.on("GET /a", range="bytes=1024-2047").hold().answer(one.answer)
    leaving, staying = world.client().send("GET /a"), world.client().send("GET /a")
    await world.until(lambda: held.held == 1 and world.seats >= 2)
    leaving.leave()
    await world.turns()
    held.release()
    await staying.expect(200, BODY)
    assert one.slices == SLICES_OF_ALL


# conditions and HEAD


async def test_conditions_are_evaluated_on_the_whole(world: World, one: SlicedObject) -> None:
    one.fields["last_modified"] = "Fri, 15 Jan 2027 07:00:00 GMT"
    await world.client().send("GET /a", if_none_match='"1"').expect(304, b"", etag='"1"')
    await world.client().send("GET /a", if_none_match='"2"').expect(200, BODY)
    since = "Fri, 15 Jan 2027 07:30:00 GMT"
    await world.client().send("GET /a", if_modified_since=since).expect(304, b"")
    await world.client().send("GET /a", if_none_match='"1"', range="bytes=0-9").expect(304, b"")
    assert one.slices == SLICES_OF_ALL


@pytest.mark.parametrize(
    ("if_range", "status"), [pytest.param('"1"', 206, id="same"), pytest.param('"0"', 200, id="another")]
)
async def test_if_range_of_the_client_decides_between_the_part_and_the_whole(
    world: World, one: SlicedObject, if_range: str, status: int
) -> None:
    body = BODY[3000:3010] if status == 206 else BODY
    for _ in range(2):
        await world.client().send("GET /a", range="bytes=3000-3009", if_range=if_range).expect(status, body)
    assert set(one.slices.values()) == {1}


async def test_a_head_tells_the_length_of_the_whole_and_fetches_nothing(
    world: World, one: SlicedObject
) -> None:
    world.origin.on("HEAD /a").reply(200, BODY, etag='"1"', cache_control="max-age=60")
    await world.client().send("HEAD /a").expect(200, content_length=str(LENGTH))
    assert one.slices == {}
    await world.client().send("GET /a", range="bytes=3000-3009").expect(206)
    response = await world.client().send("HEAD /a").expect(200, content_length=str(LENGTH))
    assert response.cache_status["hit"] is True
    assert response.field("content-range") is None
    assert (one.slices, world.origin.asked("HEAD /a")) == ({2 * SLICE: 1}, 1)


async def test_only_if_cached_is_answered_where_all_slices_are_stored(
    world: World, one: SlicedObject
) -> None:
    only = {"cache_control": "only-if-cached"}
    await world.client().send("GET /a", **only).expect(504)
    await world.client().send("GET /a", range="bytes=0-2000").expect(206)
    await world.client().send("GET /a", range="bytes=9-1999", **only).expect(206, BODY[9:2000])
    await world.client().send("GET /a", **only).expect(504)
    assert one.slices == {0: 1, SLICE: 1}


# where slices are of no use


async def test_an_origin_that_ignores_range_is_asked_once_and_remembered(
    world: World, one: SlicedObject
) -> None:
    one.takes_ranges = False
    one.rule.hold()
    clients = [world.client().send("GET /a", range=f"bytes={at}-{at + 9}") for at in (3000, 0, 5000)]
    await world.until(lambda: world.seats == 3)
    one.rule.release()
    for client, at in zip(clients, (3000, 0, 5000), strict=True):
        await client.expect(206, BODY[at : at + 10])
    await world.client().send("GET /a").expect(200, BODY)
    assert one.asked == {"bytes=2048-3071": 1}
    assert world.entries == 1
    world.clock.advance(61)
    await world.client().send("GET /a").expect(200, BODY)
    assert one.asked == {"bytes=2048-3071": 1, None: 1}, "stale, and still remembered as whole"


async def test_after_some_time_slices_are_tried_again(world: World, one: SlicedObject) -> None:
    one.takes_ranges = False
    await world.client().send("GET /a").expect(200, BODY)
    one.takes_ranges = True
    world.purge()
    await world.client().send("GET /a").expect(200, BODY)
    assert one.slices == {0: 1}
    world.purge()
    world.clock.advance(301)
    await world.client().send("GET /a", range="bytes=0-9").expect(206, BODY[:10])
    assert one.slices == {0: 2}


async def test_a_small_object_is_stored_whole_and_needs_no_validator(world: World) -> None:
    slicing(world)
    small = SlicedObject(world, b"small", etag=None)
    for _ in range(3):
        response = await world.client().send("GET /a").expect(200, b"small")
        assert response.field("content-range") is None
    assert response.cache_status["hit"] is True
    await world.client().send("GET /a", range="bytes=1-2").expect(206, b"ma", content_range="bytes 1-2/5")
    assert small.asked == {"bytes=0-1023": 1}


async def test_an_empty_object_is_fetched_whole(world: World) -> None:
    slicing(world)
    empty = SlicedObject(world, b"")
    for _ in range(2):
        await world.client().send("GET /a").expect(200, b"")
    assert empty.asked == {"bytes=0-1023": 1, None: 1}


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
async def test_without_a_strong_validator_nothing_is_put_together(world: World, etag: str | None) -> None:
    slicing(world)
    one = SlicedObject(world, BODY, etag=etag)
    await world.clients(5).send("GET /a").expect(200, BODY)
    await world.client().send("GET /a", range="bytes=9-10").expect(206, BODY[9:11])
    assert one.asked == {"bytes=0-1023": 1, None: 1}


async def test_a_date_is_a_validator_once_it_is_strong(world: World) -> None:
    slicing(world)
    one = SlicedObject(world, BODY, etag=None)
    one.fields |= {"last_modified": "Fri, 15 Jan 2027 07:00:00 GMT", "date": "Fri, 15 Jan 2027 08:00:00 GMT"}
    await world.client().send("GET /a").expect(200, BODY)
    assert one.slices == SLICES_OF_ALL
    later = world.origin.requests("GET /a")[1]
    assert later.field("if-range") == "Fri, 15 Jan 2027 07:00:00 GMT"


async def test_a_part_that_is_not_what_was_asked_for_is_not_taken_for_it(world: World) -> None:
    slicing(world)
    one = SlicedObject(world, BODY)
    wrong = world.origin.on("GET /a", range="bytes=0-1023")
    wrong.reply(206, BODY[:512], content_range=f"bytes 0-511/{LENGTH}", etag='"1"', cache_control="max-age=9")
    await world.clients(3).send("GET /a").expect(200, BODY)
    assert one.asked == {None: 1}


@pytest.mark.parametrize("forbids", ["private", "no-store"])
async def test_what_is_not_for_sharing_is_not_sliced(world: World, one: SlicedObject, forbids: str) -> None:
    one.fields["cache_control"] = forbids
    await world.client().send("GET /a").expect(200, BODY)
    await world.client().send("GET /a").expect(200, BODY)
    assert world.entries == 0
    assert one.asked == {"bytes=0-1023": 1, None: 2}


async def test_requests_with_authorization_are_answered_without_slices(
    world: World, one: SlicedObject
) -> None:
    await world.client().send("GET /a", authorization="Basic YTpi").expect(200, BODY)
    assert one.asked == {None: 1}


async def test_an_error_is_given_as_it_is_and_stored_under_the_url(world: World, one: SlicedObject) -> None:
    one.status = 404
    for wanted in ({}, {"range": "bytes=3000-3009"}):
        await world.client().send("GET /a", **wanted).expect(404, b"no")
    assert one.asked == {"bytes=0-1023": 1}
    one.status = 200
    world.clock.advance(61)
    await world.client().send("GET /a").expect(200, BODY)
    assert one.slices == {0: 2, **{number * SLICE: 1 for number in range(1, 6)}}


async def test_a_redirect_is_given_as_it_is(world: World, one: SlicedObject) -> None:
    one.status, one.fields["location"] = 301, "/b"
    response = await world.client().send("GET /a", range="bytes=3000-3009").expect(301)
    assert response.field("location") == "/b"
    await world.client().send("GET /a").expect(301)
    assert sum(one.asked.values()) == 1


async def test_a_herd_is_told_that_the_origin_failed(world: World, one: SlicedObject) -> None:
    one.status, one.fields["cache_control"] = 503, "no-store"
    one.rule.hold()
    leader = world.client().send("GET /a")
    await world.until(lambda: one.rule.held == 1)
    herd = world.clients(5).send("GET /a", range="bytes=4000-4001")
    await world.until(lambda: world.seats == 6)
    one.rule.release()
    await leader.expect(503, b"no")
    await herd.expect(503)
    assert sum(one.asked.values()) == 1


# one representation


def changed(one: SlicedObject) -> None:
    one.body, one.etag = OTHER, '"2"'


async def test_an_object_that_changes_in_the_middle_is_cut_and_the_next_answer_is_the_new_one(
    world: World, one: SlicedObject
) -> None:
    held = world.origin.on("GET /a", range="bytes=3072-4095").hold().answer(one.answer)
    client = world.client().send("GET /a")
    await world.until(lambda: held.held == 1)
    changed(one)
    world.clock.advance(1)
    held.release()
    got = await client.expect_cut()
    assert BODY.startswith(got)
    assert world.origin.requests("GET /a")[3].field("if-range") == '"1"'
    for _ in range(2):
        await world.client().send("GET /a").expect(200, OTHER)
    assert one.slices == {number * SLICE: (1 if number > 3 else 2) for number in range(6)}


async def test_all_who_are_in_the_middle_of_it_are_cut_and_none_gets_a_mix(
    world: World, one: SlicedObject
) -> None:
    held = world.origin.on("GET /a", range="bytes=3072-4095").hold().answer(one.answer)
    clients = world.clients(10).send("GET /a")
    await world.until(lambda: held.held == 1 and world.seats >= 10)
    changed(one)
    world.clock.advance(1)
    held.release()
    for client in clients:
        got = await client.response_or_cut()
        assert BODY.startswith(got if isinstance(got, bytes) else got.body)
    await world.client().send("GET /a").expect(200, OTHER)
    assert set(one.slices.values()) <= {1, 2, 3}


async def test_a_part_of_another_representation_is_not_mixed_in_either(
    world: World, one: SlicedObject
) -> None:
    await world.client().send("GET /a", range="bytes=0-1023").expect(206)
    changed(one)
    one.honours_if_range = False
    world.clock.advance(1)
    assert BODY.startswith(await world.client().send("GET /a").expect_cut())
    await world.client().send("GET /a").expect(200, OTHER)


async def test_slices_of_an_older_representation_are_replaced_where_they_are_met(
    world: World, one: SlicedObject
) -> None:
    await world.client().send("GET /a", range="bytes=0-1023").expect(206, BODY[:SLICE])
    changed(one)
    world.clock.advance(1)
    await world.client().send("GET /a", range="bytes=2048-2049").expect(206, OTHER[2048:2050])
    await world.client().send("GET /a").expect(200, OTHER)
    assert one.slices == {**SLICES_OF_ALL, 0: 2}


@pytest.mark.parametrize("status", [404, 410])
async def test_an_object_that_goes_in_the_middle_is_cut_and_told_to_be_gone_afterwards(
    world: World, one: SlicedObject, status: int
) -> None:
    await world.client().send("GET /a", range="bytes=0-1023").expect(206)
    one.status = status
    assert BODY.startswith(await world.client().send("GET /a").expect_cut())
    await world.client().send("GET /a").expect(status, b"no")


async def test_an_object_that_shrank_is_cut(world: World, one: SlicedObject) -> None:
    await world.client().send("GET /a", range="bytes=0-1023").expect(206)
    changed(one)
    one.body, one.honours_if_range = OTHER[: 2 * SLICE], False
    world.clock.advance(1)
    assert BODY.startswith(await world.client().send("GET /a", range="bytes=0-4095").expect_cut())
    await world.client().send("GET /a").expect(200, OTHER[: 2 * SLICE])


async def test_a_failure_in_the_middle_is_a_cut_and_costs_no_slice_that_is_stored(
    world: World, one: SlicedObject
) -> None:
    await world.client().send("GET /a", range="bytes=0-1023").expect(206)
    one.status, one.fields["cache_control"] = 503, "no-store"
    assert BODY.startswith(await world.client().send("GET /a").expect_cut())
    await world.client().send("GET /a", range="bytes=0-1023").expect(206, BODY[:SLICE])
    one.status, one.fields["cache_control"] = 200, "max-age=60"
    await world.client().send("GET /a").expect(200, BODY)
    assert one.slices[0] == 1


async def test_a_slice_that_is_cut_is_read_on_from_where_it_was_cut(world: World, one: SlicedObject) -> None:
    cut = world.origin.on("GET /a", range="bytes=1024-2047").by_hand()
    client = world.client().send("GET /a")
    await _cut_slice(cut)
    asked = await cut.next()
    assert asked.field("if-range") == '"1"'
    one.answer(asked)
    await client.expect(200, BODY)


async def test_a_slice_that_is_cut_twice_reaches_nobody_as_whole(world: World, one: SlicedObject) -> None:
    cut = world.origin.on("GET /a", range="bytes=1024-2047").by_hand()
    client = world.client().send("GET /a")
    for _ in range(2):
        await _cut_slice(cut)
    assert BODY.startswith(await client.expect_cut())
    assert world.entries <= 2


async def _cut_slice(cut: Rule) -> None:
    asked = await cut.next()
    asked.head(
        206, length=SLICE, etag='"1"', content_range=f"bytes 1024-2047/{LENGTH}", cache_control="max-age=60"
    )
    asked.data(BODY[1024:1500])
    asked.cut()


async def test_each_variant_has_slices_of_its_own(world: World) -> None:
    slicing(world)
    plain = SlicedObject(world, BODY)
    plain.fields["vary"] = "Accept-Encoding"
    packed = SlicedObject(world, OTHER[:3000], etag='"gz"', accept_encoding="gzip")
    packed.fields |= {"vary": "Accept-Encoding", "content_encoding": "gzip"}
    for _ in range(2):
        await world.client().send("GET /a").expect(200, BODY)
        response = await world.client().send("GET /a", accept_encoding="gzip").expect(200, OTHER[:3000])
        assert response.field("content-encoding") == "gzip"
    assert plain.slices == SLICES_OF_ALL
    assert packed.slices == {0: 1, SLICE: 1, 2 * SLICE: 1}


# freshness


async def test_one_validation_holds_for_all_slices_of_an_answer(world: World, one: SlicedObject) -> None:
    await world.client().send("GET /a").expect(200, BODY)
    world.clock.advance(100)
    response = await world.client().send("GET /a").expect(200, BODY)
    assert (response.cache_status["fwd"], response.cache_status["fwd-status"]) == ("stale", 304)
    assert one.slices == {**SLICES_OF_ALL, 0: 2}
    assert world.origin.requests("GET /a")[-1].field("if-none-match") == '"1"'


async def test_a_validation_that_finds_another_representation_drops_the_old_one(
    world: World, one: SlicedObject
) -> None:
    await world.client().send("GET /a").expect(200, BODY)
    world.clock.advance(100)
    changed(one)
    await world.client().send("GET /a").expect(200, OTHER)
    assert set(one.slices.values()) == {2}


async def test_no_cache_of_a_client_validates_the_first_slice_alone(world: World, one: SlicedObject) -> None:
    await world.client().send("GET /a").expect(200, BODY)
    await world.client().send("GET /a", cache_control="no-cache").expect(200, BODY)
    assert one.slices == {**SLICES_OF_ALL, 0: 2}


async def test_stale_slices_stand_in_for_an_origin_that_fails(world: World, one: SlicedObject) -> None:
    await world.client().send("GET /a").expect(200, BODY)
    world.clock.advance(100)
    one.status, one.fields["cache_control"] = 503, "no-store"
    response = await world.client().send("GET /a").expect(200, BODY)
    assert response.field("age") == "100"


async def test_age_is_that_of_the_first_slice(world: World, one: SlicedObject) -> None:
    await world.client().send("GET /a", range="bytes=0-9").expect(206, age="0")
    world.clock.advance(7)
    await world.client().send("GET /a", range="bytes=2000-3000").expect(206, age="0")
    world.clock.advance(5)
    await world.client().send("GET /a", range="bytes=0-9").expect(206, age="12")


# purges


def _url(world: World) -> Coverage:
    route = Router(world._config().routes).routes[0]
    return Targets(target_keys(route, request_of_url("http://shop.example/a")))


COVERAGES: list[object] = [
    pytest.param(_url, id="url"),
    pytest.param(lambda _world: Tagged(frozenset({b"film"})), id="tag"),
    pytest.param(lambda _world: Everything(), id="everything"),
]


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("coverage_of", COVERAGES)
async def test_a_purge_covers_every_slice(
    world: World, one: SlicedObject, coverage_of: Callable[[World], Coverage], soft: bool
) -> None:
    one.fields["surrogate_key"] = "film"
    await world.client().send("GET /a").expect(200, BODY)
    receipt = world.store.begin_purge(coverage_of(world), soft=soft)
    assert await receipt.swept() == 6
    changed(one)
    world.clock.advance(1)
    await world.client().send("GET /a", range="bytes=4000-4001").expect(206, OTHER[4000:4002])
    await world.client().send("GET /a").expect(200, OTHER)
    assert set(one.slices.values()) == {2}


async def test_a_purge_fences_a_slice_that_is_on_its_way(world: World, one: SlicedObject) -> None:
    one.rule.hold()
    client = world.client().send("GET /a", range="bytes=0-9")
    await world.until(lambda: one.rule.held == 1)
    world.store.begin_purge(_url(world))
    one.rule.release()
    await client.expect(206, BODY[:10])
    assert world.entries == 0


async def test_a_write_invalidates_every_slice(world: World, one: SlicedObject) -> None:
    await world.client().send("GET /a").expect(200, BODY)
    world.origin.on("POST /a").reply(204)
    await world.client().send("POST /a", b"x").expect(204)
    changed(one)
    await world.client().send("GET /a").expect(200, OTHER)
    assert set(one.slices.values()) == {2}


# other routes, other settings


async def test_slices_of_another_size_are_not_taken_for_these(world: World) -> None:
    world.configure(
        routes=[
            {"origin": "shop", "cache": {"partial": "slices", "slice_bytes": 2 * SLICE}},
            {"origin": "shop", "path": "/b", "cache": {"partial": "whole"}},
        ]
    )
    one, other = SlicedObject(world, BODY), SlicedObject(world, BODY, target="/b")
    await world.client().send("GET /a", range="bytes=3000-4999").expect(206, BODY[3000:5000])
    await world.client().send("GET /b", range="bytes=3000-4999").expect(206, BODY[3000:5000])
    assert one.slices == {2 * SLICE: 1, 4 * SLICE: 1}
    assert other.asked == {None: 1}


async def test_slices_without_coalescing_are_still_put_together(world: World) -> None:
    world.configure(
        route={"cache": {"partial": "slices", "slice_bytes": SLICE}, "coalesce": {"enabled": False}}
    )
    one = SlicedObject(world, BODY)
    await world.client().send("GET /a").expect(200, BODY)
    await world.client().send("GET /a", range="bytes=3000-4999").expect(206, BODY[3000:5000])
    assert set(one.slices.values()) == {1}


async def test_slices_that_are_not_stored_are_still_put_together(world: World) -> None:
    slicing(world, min_uses=5)
    one = SlicedObject(world, BODY)
    for _ in range(2):
        await world.client().send("GET /a").expect(200, BODY)
    assert set(one.slices.values()) == {2}
    assert world.entries == 0


async def test_equivalent_queries_share_their_slices(world: World) -> None:
    slicing(world)
    objects = [SlicedObject(world, BODY, target=f"/a?utm={number}") for number in (1, 2)]
    for one in objects:
        one.fields["no_vary_search"] = 'params=("utm")'
    await world.client().send("GET /a?utm=1").expect(200, BODY)
    await world.client().send("GET /a?utm=2", range="bytes=3000-3009").expect(206, BODY[3000:3010])
    assert objects[0].slices == SLICES_OF_ALL
    assert objects[1].slices == {}


@pytest.mark.slow
async def test_whatever_changes_when_no_answer_is_a_mix(world: World) -> None:
    """An origin that changes its object now and then, and clients that want all and parts of it."""
    slicing(world, slices_ahead=2)
    drawn = random.Random(11)
    versions = {f'"{number}"': drawn.randbytes(drawn.randrange(2, 6) * SLICE + 7) for number in range(12)}
    one = SlicedObject(world, versions['"0"'], etag='"0"')
    changes = iter(list(versions.items())[1:])

    async def ask() -> tuple[int, object]:
        first = drawn.randrange(0, 4 * SLICE)
        wanted = {} if drawn.random() < 0.3 else {"range": f"bytes={first}-{first + drawn.randrange(3000)}"}
        return first, await world.client().send("GET /a", **wanted).response_or_cut()

    whole = 0
    for _ in range(25):
        asking = [asyncio.get_running_loop().create_task(ask()) for _ in range(6)]
        await world.turns(drawn.randrange(40))
        if drawn.random() < 0.4 and (change := next(changes, None)):
            one.etag, one.body = change
            one.honours_if_range = drawn.random() < 0.5
            world.clock.advance(1)
        for first, got in await asyncio.gather(*asking):
            if isinstance(got, Response) and got.status in (200, 206):
                body = versions[got.field("etag") or ""]
                begin = 0 if got.status == 200 else first
                assert got.body == (body if got.status == 200 else body[begin : begin + len(got.body)])
                whole += 1
    assert whole > 100
    assert (await world.client().send("GET /a").response()).body in versions.values()
