"""Range requests, answered from entries and from fills as their bytes arrive."""

from __future__ import annotations

import pytest

from tests.scenario import World

BODY = b"0123456789"
RANGES = [
    pytest.param("bytes=2-4", 206, b"234", "bytes 2-4/10", id="from-to"),
    pytest.param("bytes=7-", 206, b"789", "bytes 7-9/10", id="from"),
    pytest.param("bytes=-3", 206, b"789", "bytes 7-9/10", id="last"),
    pytest.param("bytes=-30", 206, BODY, "bytes 0-9/10", id="more-than-all"),
    pytest.param("bytes=8-30", 206, b"89", "bytes 8-9/10", id="past-the-end"),
    pytest.param("bytes=0-0", 206, b"0", "bytes 0-0/10", id="first-octet"),
    pytest.param("bytes=10-", 416, b"", "bytes */10", id="behind-the-end"),
    pytest.param("bytes=1-2,4-5", 206, b"12345", "bytes 1-5/10", id="two-ranges-near-each-other"),
    pytest.param("bytes=5-2", 200, BODY, None, id="backwards"),
    pytest.param("lines=1-2", 200, BODY, None, id="another-unit"),
]


@pytest.mark.parametrize(("wanted", "status", "body", "content_range"), RANGES)
async def test_a_range_is_answered_from_the_entry(
    world: World, wanted: str, status: int, body: bytes, content_range: str | None
) -> None:
    world.origin.on("GET /a").reply(200, BODY, cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, BODY)
    response = await world.client().send("GET /a", range=wanted).expect(status, body)
    assert response.field("content-range") == content_range
    assert response.field("content-length") == str(len(body))
    assert world.origin.asked() == 1


@pytest.mark.parametrize(
    ("wanted", "status", "body", "content_range"),
    [row for row in RANGES if row.id not in ("last", "more-than-all")],  # from the end: see below
)
async def test_a_range_is_answered_from_a_flight(
    world: World, wanted: str, status: int, body: bytes, content_range: str | None
) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, BODY, cache_control="max-age=60")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiter = world.client().send("GET /a", range=wanted)
    await world.until(lambda: world.seats == 2)
    answer.release()
    await leader.expect(200, BODY)
    response = await waiter.expect(status, body)
    assert response.field("content-range") == content_range
    assert world.origin.asked() == 1


async def test_a_range_leads_a_flight_for_the_whole(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, BODY, cache_control="max-age=60")
    leader = world.client().send("GET /a", range="bytes=1-2")
    await world.until(lambda: answer.held == 1)
    waiter = world.client().send("GET /a")
    await world.until(lambda: world.seats == 2)
    answer.release()
    await leader.expect(206, b"12")
    await waiter.expect(200, BODY)
    assert world.origin.requests()[0].field("range") is None


async def test_a_range_gets_its_bytes_when_the_running_fill_reaches_them(world: World) -> None:
    asking = world.origin.on("GET /a").by_hand()
    leader = world.client().send("GET /a")
    asked = await asking.next()
    asked.head(200, length=10, cache_control="max-age=60")
    asked.data(b"0123")
    await leader.head()
    ranged = world.client().send("GET /a", range="bytes=2-5")
    status, _, fields, _, _ = await ranged.head()
    assert status == 206
    assert fields.get(b"content-range") == b"bytes 2-5/10"
    assert await ranged.body_octets(2) == b"23"
    ahead = world.client().send("GET /a", range="bytes=8-")
    await ahead.head()
    await ahead.quiet()
    asked.data(b"4567")
    assert await ranged.body_octets(2) == b"45"
    asked.data(b"89")
    asked.finish()
    assert await ahead.body_octets(2) == b"89"
    assert await leader.body_octets(10) == BODY
    assert world.origin.asked() == 1


async def test_a_range_far_ahead_goes_to_the_origin_by_itself(world: World) -> None:
    world.configure(route={"coalesce": {"range_ahead_bytes": 5}})
    asking = world.origin.on("GET /a").by_hand()
    leader = world.client().send("GET /a")
    asked = await asking.next()
    asked.head(200, length=10, cache_control="max-age=60")
    asked.data(b"01")
    await leader.head()
    await world.until(lambda: world.flights == 1)
    own = world.origin.on("GET /a", range="bytes=8-9")
    own.reply(206, b"89", content_range="bytes 8-9/10")
    await world.client().send("GET /a", range="bytes=8-9").expect(206, b"89", content_range="bytes 8-9/10")
    asked.data(b"23456789")
    asked.finish()
    assert await leader.body_octets(10) == BODY


async def test_a_range_from_the_end_goes_to_the_origin_by_itself(world: World) -> None:
    own = world.origin.on("GET /a", range="bytes=-3")
    own.reply(206, b"789", content_range="bytes 7-9/10", cache_control="max-age=60")
    await world.client().send("GET /a", range="bytes=-3").expect(206, b"789")
    world.origin.on("GET /a").reply(200, BODY, cache_control="max-age=60")
    await world.client().send("GET /a").expect(200, BODY)
    assert world.origin.asked() == 2


@pytest.mark.parametrize(
    ("if_range", "status"),
    [
        pytest.param('"1"', 206, id="same-etag"),
        pytest.param('"2"', 200, id="another-etag"),
        pytest.param('W/"1"', 200, id="weak-etag"),
        pytest.param("Fri, 15 Jan 2027 07:00:00 GMT", 206, id="same-date"),
        pytest.param("Fri, 15 Jan 2027 06:00:00 GMT", 200, id="another-date"),
    ],
)
async def test_if_range_decides_between_the_part_and_the_whole(
    world: World, if_range: str, status: int
) -> None:
    world.origin.on("GET /a").reply(
        200,
        BODY,
        cache_control="max-age=60",
        etag='"1"',
        date="Fri, 15 Jan 2027 08:00:00 GMT",
        last_modified="Fri, 15 Jan 2027 07:00:00 GMT",
    )
    await world.client().send("GET /a").expect(200)
    body = b"12" if status == 206 else BODY
    await world.client().send("GET /a", range="bytes=1-2", if_range=if_range).expect(status, body)


async def test_a_part_that_the_origin_sends_is_not_stored(world: World) -> None:
    world.origin.on("GET /a", range="bytes=-3").reply(
        206, b"789", content_range="bytes 7-9/10", cache_control="max-age=60"
    )
    await world.client().send("GET /a", range="bytes=-3").expect(206)
    assert world.entries == 0


async def test_a_range_of_an_object_above_the_storable_size_far_in_is_passed(world: World) -> None:
    first = 2 * 1024 * 1024
    wanted = f"bytes={first}-{first}"
    world.origin.on("GET /a", range=wanted).reply(206, b"x", content_range=f"bytes {first}-{first}/9999999")
    await world.client().send("GET /a", range=wanted).expect(206, b"x")


async def test_a_range_on_a_stored_error_is_ignored(world: World) -> None:
    world.origin.on("GET /a").reply(404, b"nothing", cache_control="max-age=60")
    for _ in range(2):
        await world.client().send("GET /a", range="bytes=0-1").expect(404, b"nothing")
