"""The scenario kit itself: each side notices what it did not expect."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from proxy.http.fields import Fields
from tests.scenario import World
from tests.scenario_client import Client, parse_cache_status
from tests.scenario_wire import Cut, Malformed, Transcript, Wire, field_pairs, parse_head


@pytest.fixture
def failing(tmp_path: Path) -> World:
    """A world that the test itself opens and closes."""
    return World(tmp_path)


async def test_a_request_that_nobody_expected_fails(failing: World) -> None:
    await failing.open()
    failing.origin.on("GET /a").reply(200)
    await failing.client().send("GET /b").expect(502)
    with pytest.raises(AssertionError, match="nobody expected <Asked GET /b>"):
        await failing.close()


async def test_an_answer_left_unread_fails(failing: World) -> None:
    await failing.open()
    failing.origin.on("GET /a").reply(200, b"A")
    client = failing.client().send("GET /a")
    wire = await client.wire()
    await wire.until(lambda: b"\r\n\r\nA" in wire.received, "answer")
    with pytest.raises(AssertionError, match=r"nobody expected b'HTTP/1\.1 200"):
        await failing.close()


async def test_a_request_left_unanswered_fails(failing: World) -> None:
    await failing.open()
    answer = failing.origin.on("GET /a").hold().reply(200)
    failing.client().send("GET /a")
    await failing.until(lambda: answer.held == 1)
    with pytest.raises(AssertionError, match=r"'GET'\] not answered"):
        await failing.close()


async def test_an_error_in_the_log_fails(failing: World) -> None:
    await failing.open()
    logging.getLogger("proxy.somewhere").error("broken key=%s", "x")
    with pytest.raises(AssertionError, match="logged: broken key=x"):
        await failing.close()


async def test_counters_that_do_not_add_up_fail(failing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.scenario.DEADLINE_S", 0.01)
    await failing.open()
    failing.origin.on("GET /a").reply(200)
    client = failing.client().send("GET /a")
    await client.expect(200)
    client.exchanges += 1
    with pytest.raises(AssertionError, match=r"Lockgate counted 1 requests, .* the clients saw 2"):
        await failing.close()


async def test_a_flight_that_is_left_fails(failing: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.scenario.DEADLINE_S", 0.01)
    await failing.open()
    failing.origin.on("GET /a").reply(200, b"A", cache_control="max-age=1, stale-while-revalidate=9")
    await failing.client().send("GET /a").expect(200)
    failing.clock.advance(2)
    failing.origin.on("GET /a").by_hand()
    await failing.client().send("GET /a").expect(200)
    with pytest.raises(AssertionError, match="1 flights left"):
        await failing.close()


@pytest.mark.parametrize(
    ("octets", "then", "raised"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nAB", "cut", Cut, id="short-body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nAB\r\n", "cut", Cut,
            id="no-last-chunk",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nAB", "reset", Cut, id="reset-before-the-close"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nAB\r\n0\r\n\r\n", "keep", Malformed,
            id="chunk-extension",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "keep", Malformed,
            id="two-framings",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n", "keep", Malformed, id="bad-field"),
        pytest.param(b"HTTP/2 200\r\n\r\n", "keep", Malformed, id="bad-status-line"),
    ],
)  # fmt: skip
async def test_a_client_takes_nothing_for_whole_that_is_not(
    world: World, octets: bytes, then: str, raised: type[Exception]
) -> None:
    """The client asks the origin itself here: what Lockgate would never send."""
    world.origin.on("GET /a").raw(octets, then=then)

    async def connect(name: str) -> Wire:
        _, wire = await asyncio.get_running_loop().create_connection(
            lambda: Wire(name, world.transcript), "127.0.0.1", world.origin.port
        )
        return wire

    client = Client("straight", connect).send("GET /a")
    with pytest.raises(raised):
        await client.response()
    client.leave()


async def test_the_newest_rule_that_fits_answers(world: World) -> None:
    world.origin.on("GET /a").reply(200, b"all")
    world.origin.on("GET /a", x_me="1").reply(200, b"one")
    await world.client().send("GET /a", authorization="x", x_me="1").expect(200, b"one")
    await world.client().send("GET /a", authorization="x", x_me="2").expect(200, b"all")


async def test_held_requests_are_released_oldest_first(world: World) -> None:
    rule = world.origin.on("GET /a").hold().reply(200)
    clients = []
    for count in range(1, 4):
        clients.append(world.client().send("GET /a", authorization="x"))
        await world.until(lambda: rule.held == count)  # noqa: B023 - awaited at once
    rule.release(2)
    await clients[0].expect(200)
    await clients[1].expect(200)
    assert rule.held == 1
    with pytest.raises(AssertionError, match="1 of GET /a held, not 2"):
        rule.release(2)
    rule.release()
    await clients[2].expect(200)


async def test_the_origin_counts_what_it_was_asked_and_how_much_at_once(world: World) -> None:
    rule = world.origin.on("GET /a").hold().reply(200)
    clients = world.clients(3).send("GET /a", authorization="x")
    await world.until(lambda: rule.held == 3)
    assert world.origin.in_progress("GET /a") == 3
    rule.release()
    await clients.expect(200)
    assert world.origin.asked("GET /a") == 3
    assert world.origin.peak("GET /a") == 3
    assert world.origin.in_progress("GET /a") == 0


async def test_an_expectation_that_is_not_met_says_what_came(world: World) -> None:
    world.origin.on("GET /a").reply(404, b"no")
    with pytest.raises(AssertionError, match=r"404 b'no' to <Client client0 .* 200 was expected"):
        await world.client().send("GET /a").expect(200)
    with pytest.raises(AssertionError, match="b'yes' was expected"):
        await world.client().send("GET /a").expect(404, b"yes")
    with pytest.raises(AssertionError, match=r"via is '1\.1 Lockgate'; None was expected"):
        await world.client().send("GET /a").expect(404, via=None)
    with pytest.raises(AssertionError, match="for whole"):
        await world.client().send("GET /a").expect_cut()


async def test_a_condition_that_never_comes_true_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.scenario.DEADLINE_S", 0.01)
    with pytest.raises(AssertionError, match="never came true that pigs fly"):
        await world.until(lambda: False, "pigs fly")


def test_the_transcript_shows_who_sent_what() -> None:
    transcript = Transcript()
    transcript.note("client0", "<<", b"GET /a")
    transcript.note("origin#0", ">>", b"x" * 1000)
    first, second = str(transcript).splitlines()
    assert first.strip() == "client0 << b'GET /a'"
    assert second.endswith("… 1000 octets")


def test_fields_are_written_from_keywords() -> None:
    pairs = field_pairs([(b"a", b"b")], {"cache_control": "no-store", "vary": ["x", b"y"], "age": 5})
    assert pairs == (
        (b"a", b"b"),
        (b"Cache-Control", b"no-store"),
        (b"Vary", b"x"),
        (b"Vary", b"y"),
        (b"Age", b"5"),
    )


def test_a_head_is_read_strictly() -> None:
    start, fields = parse_head(b"GET / HTTP/1.1\r\nA:  b \r\nC:\r\n\r\n")
    assert start == b"GET / HTTP/1.1"
    assert fields == Fields([(b"A", b"b"), (b"C", b"")])
    for bad in (b"A : b", b" folded", b"A: \x00", b"no colon", b": empty"):
        with pytest.raises(Malformed):
            parse_head(b"GET / HTTP/1.1\r\n" + bad + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Lockgate; hit; ttl=5", {"cache": "Lockgate", "hit": True, "ttl": 5}),
        (b"A; hit, B; fwd=uri-miss; collapsed=?0", {"cache": "B", "fwd": "uri-miss", "collapsed": False}),
        (rb'A; key="a\"b"; ttl=-1', {"cache": "A", "key": 'a"b', "ttl": -1}),
    ],
)
def test_cache_status_is_read(value: bytes, expected: dict[str, object]) -> None:
    assert parse_cache_status(value) == expected


@pytest.mark.parametrize(
    "value", [b"A; hit; hit", b"A;hit", b"A; ttl=1.5.5", b'A; key="', b"A; X", b"1A", b""]
)
def test_a_malformed_cache_status_is_no_cache_status(value: bytes) -> None:
    with pytest.raises(Malformed):
        parse_cache_status(value)
