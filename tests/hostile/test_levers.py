"""What costs the attacker little must cost others nothing: herds, parked requests, slow and dead peers."""

from __future__ import annotations

import asyncio

import pytest

from proxy import tasks
from proxy.server import client_connection
from tests.hostile.arena import Arena, Client, get
from tests.hostile.conftest import MakeArena
from tests.hostile.readings import Incomplete, strict_response
from tests.hostile.recording import answer
from tests.hostile.test_refused import post

FRESH = b"Cache-Control: max-age=60"


async def _asking(ring: Arena, count: int, *lines: bytes) -> list[Client]:
    """So many clients that wait for /page, which the origin holds."""
    ring.origin.hold(b"/page")
    clients = [await ring.client() for _ in range(count)]
    for client in clients:
        await client.send(get(b"/page", *lines))
    await ring.until(lambda: ring.origin.asked(b"/page"))
    await ring.until(lambda: sum(ring.server.statistics().connections.values()) == count + 1)
    return clients


def _busy(ring: Arena) -> int:
    return ring.server.statistics().connections.get(client_connection.State.BUSY, 0)


# A leader as a lever.


async def test_a_leader_that_was_killed_harms_no_waiter(arena: MakeArena) -> None:
    async with arena() as ring:
        leader, *waiters = await _asking(ring, 5)
        await ring.until(lambda: _busy(ring) == 5)
        leader.writer.transport.abort()
        await ring.until(lambda: _busy(ring) == 4)
        ring.origin.side_of(b"/page").send(answer(b"page", FRESH))
        assert [(await waiter.response()).body for waiter in waiters] == [b"page"] * 4
        assert len(ring.origin.asked(b"/page")) == 1


async def test_an_interim_answer_after_the_leader_was_killed_harms_no_waiter(arena: MakeArena) -> None:
    async with arena() as ring:
        leader, *waiters = await _asking(ring, 3)
        await ring.until(lambda: _busy(ring) == 3)
        leader.writer.transport.abort()
        await ring.until(lambda: _busy(ring) == 2)
        ring.origin.side_of(b"/page").send(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(b"page", FRESH)
        )
        assert [(await waiter.response()).body for waiter in waiters] == [b"page"] * 2


@pytest.mark.slow
async def test_a_leader_that_reads_nothing_slows_nobody(arena: MakeArena) -> None:
    async with arena() as ring:
        _, *waiters = await _asking(ring, 4)
        await ring.until(lambda: _busy(ring) == 4)
        ring.origin.side_of(b"/page").send(answer(b"a" * 5_000_000, FRESH))
        for waiter in waiters:
            assert len((await waiter.response()).body) == 5_000_000


async def test_waiters_that_all_leave_take_the_forward_request_with_them(arena: MakeArena) -> None:
    async with arena() as ring:
        clients = await _asking(ring, 20)
        for client in clients:
            client.writer.transport.abort()
        await ring.until(lambda: ring.origin.side_of(b"/page").lost)


async def test_a_waiter_that_leaves_in_the_middle_of_the_body_harms_nobody(arena: MakeArena) -> None:
    async with arena() as ring:
        clients = await _asking(ring, 4)
        await ring.until(lambda: _busy(ring) == 4)
        whole = answer(b"a" * 100_000, FRESH)
        side = ring.origin.side_of(b"/page")
        side.send(whole[:50_000])
        assert await clients[1].reader.read(1000)
        clients[1].writer.transport.abort()
        clients[0].writer.transport.abort()
        side.send(whole[50_000:])
        for client in clients[2:]:
            assert (await client.response()).body == b"a" * 100_000


async def test_an_origin_cut_in_the_middle_tells_everybody(arena: MakeArena) -> None:
    async with arena() as ring:
        clients = await _asking(ring, 4)
        await ring.until(lambda: _busy(ring) == 4)
        side = ring.origin.side_of(b"/page")
        side.send(answer(b"a" * 100_000, FRESH)[:50_000])
        side.cut()
        for client in clients:
            with pytest.raises(Incomplete):
                strict_response(await client.rest(), closed=True)


# Parked requests.


async def test_no_cache_is_no_lever_for_a_herd(arena: MakeArena) -> None:
    async with arena() as ring:
        clients = await _asking(ring, 30, b"Cache-Control: no-cache")
        await ring.until(lambda: _busy(ring) == 30)
        ring.origin.on(b"/page", answer(b"page", FRESH))
        ring.origin.side_of(b"/page").send(answer(b"page", FRESH))
        for client in clients:
            assert (await client.response()).body == b"page"
        assert len(ring.origin.asked(b"/page")) <= 2


@pytest.mark.parametrize(
    "lines",
    [
        [b"Cache-Control: max-age=0"],
        [b"Pragma: no-cache"],
        [b"Range: bytes=0-0"],
        [b"If-None-Match: *"],
        [b"Cookie: a=b"],
        [b"X-HTTP-Method-Override: POST"],
        [b"Accept-Encoding: x"],
    ],
    ids=lambda lines: lines[0].decode(),
)
async def test_other_fields_are_no_lever_either(arena: MakeArena, lines: list[bytes]) -> None:
    async with arena() as ring:
        clients = await _asking(ring, 20, *lines)
        await ring.until(lambda: _busy(ring) == 20)
        ring.origin.on(b"/page", answer(b"page", FRESH))
        ring.origin.side_of(b"/page").send(answer(b"page", FRESH))
        for client in clients:
            assert (await client.response()).start[0] in (b"200", b"206", b"304")
        assert len(ring.origin.asked(b"/page")) <= 2


async def test_more_waiters_than_may_wait_are_told_to_come_again(arena: MakeArena) -> None:
    async with arena(route={"coalesce": {"max_waiters": 3}}) as ring:
        clients = await _asking(ring, 4)
        await ring.until(lambda: _busy(ring) == 4)
        late = await ring.client()
        await late.send(get(b"/page"))
        refused = await late.response()
        assert refused.start[0] == b"503"
        assert refused.get(b"retry-after") is not None
        ring.expect_logged(503)
        ring.origin.side_of(b"/page").send(answer(b"page", FRESH))
        assert [(await client.response()).body for client in clients] == [b"page"] * 4


async def test_an_answer_for_one_is_given_to_one(arena: MakeArena) -> None:
    async with arena() as ring:
        clients = await _asking(ring, 20)
        await ring.until(lambda: _busy(ring) == 20)
        count = iter(range(100))
        ring.origin.on(b"/page", lambda _: answer(b"own %d" % next(count), b"Set-Cookie: id=1"))
        ring.origin.side_of(b"/page").send(answer(b"own x", b"Set-Cookie: id=1"))
        assert len({(await client.response()).body for client in clients}) == 20


async def test_what_was_asked_for_before_a_write_is_not_kept(arena: MakeArena) -> None:
    async with arena() as ring:
        (client,) = await _asking(ring, 1)
        writer = await ring.client()
        side = ring.origin.side_of(b"/page")
        ring.origin.on(b"/page", answer(b"new", FRESH))
        await writer.send(post(b"Content-Length: 0").replace(b"/a", b"/page"))
        await writer.response()
        side.send(answer(b"old", FRESH))
        assert (await client.response()).body == b"old"
        assert (await ring.innocently(b"/page")).body == b"new"


# Slow, silent and many clients.


async def test_slow_heads_are_cut_off_while_others_are_served(arena: MakeArena) -> None:
    async with arena(limits={"head_timeout_s": 0.1}) as ring:
        clients = [await ring.client() for _ in range(20)]
        for client in clients:
            await client.send(b"GET /a HTTP/1.1\r\nX-")
        assert (await ring.innocently(b"/other")).start[0] == b"200"
        for client in clients:
            response, _ = strict_response(await client.rest(), closed=True)
            assert response.start[0] == b"408"
        ring.expect_logged(408)


async def test_a_slow_body_is_cut_off_at_both_ends(arena: MakeArena) -> None:
    async with arena(limits={"body_timeout_s": 0.1}) as ring:
        client = await ring.client()
        await client.send(post(b"Content-Length: 500", body=b"hello"))
        response, _ = strict_response(await client.rest(), closed=True)
        assert response.start[0] == b"408"
        ring.expect_logged(408)
        assert not ring.origin.asked(b"/a")
        await ring.until(lambda: ring.origin.sides[-1].lost)


async def test_a_client_that_reads_nothing_is_cut_off(arena: MakeArena) -> None:
    async with arena(limits={"write_timeout_s": 0.1}) as ring:
        ring.origin.on(b"/page", answer(b"a" * 30_000_000))
        client = await ring.client()
        await client.send(get(b"/page"))
        await ring.until(lambda: sum(ring.server.statistics().connections.values()) == 1)
        ring.expect_logged(200, "")


async def test_a_body_above_the_limit_is_refused(arena: MakeArena) -> None:
    async with arena(route={"max_request_body_bytes": 1000}) as ring:
        for octets in (
            post(b"Content-Length: 1001"),
            post(b"Transfer-Encoding: chunked", body=b"5dc\r\n" + b"a" * 1500 + b"\r\n0\r\n\r\n"),
        ):
            response, _ = strict_response(await ring.attack(octets), closed=True)
            assert response.start[0] == b"413"
        ring.expect_logged(413)


async def test_connections_above_the_limit_are_closed_and_the_others_go_on(arena: MakeArena) -> None:
    async with arena(limits={"max_connections": 5}) as ring:
        clients = [await ring.client() for _ in range(4)]
        await ring.until(lambda: sum(ring.server.statistics().connections.values()) == 5)
        for _ in range(20):
            assert await (await ring.client()).rest() == b""
        assert ring.server.statistics().turned_away == 20
        for client in clients:
            await client.send(get(b"/a"))
            assert (await client.response()).start[0] == b"200"
            await client.close()
        await ring.until(lambda: sum(ring.server.statistics().connections.values()) == 1)


async def test_connections_of_one_client_are_limited(arena: MakeArena) -> None:
    async with arena(limits={"max_connections_per_client": 3}) as ring:
        clients = [await ring.client() for _ in range(2)]
        await ring.until(lambda: sum(ring.server.statistics().connections.values()) == 3)
        assert await (await ring.client()).rest() == b""
        for client in clients:
            await client.close()
        await ring.until(lambda: sum(ring.server.statistics().connections.values()) == 1)


async def test_a_pipelining_flood_is_answered_in_order_or_not_at_all(arena: MakeArena) -> None:
    async with arena(limits={"max_pipelined": 8}) as ring:
        client = await ring.client()
        sending = asyncio.ensure_future(
            client.send(b"".join(get(b"/flood?%d" % (number % 7)) for number in range(1000)))
        )
        for number in range(1000):
            assert (await client.response()).body.startswith(b"GET /flood?%d\n" % (number % 7))
        await sending
        assert len(ring.origin.requests) <= 8


async def test_a_flood_of_resets_leaves_nothing_behind(arena: MakeArena) -> None:
    async with arena() as ring:
        ring.origin.hold(b"/held")
        octets = [
            b"",
            b"G",
            get(b"/held"),
            get(b"/a"),
            post(b"Content-Length: 9", body=b"a"),
            b"\0",
            get(b"/a") * 9,
        ]
        for number in range(70):
            client = await ring.client()
            await client.send(octets[number % len(octets)])
            client.writer.transport.abort()


# Upgrades.

UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def _tunnel(ring: Arena) -> Client:
    ring.origin.on(b"/ws", SWITCHED)
    client = await ring.client()
    await client.send(get(b"/ws", *UPGRADE))
    assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return client


async def test_a_tunnel_carries_octets_and_no_requests(arena: MakeArena) -> None:
    async with arena() as ring:
        client = await _tunnel(ring)
        side = ring.origin.side_of(b"/ws")
        sent = b"\x81\x85abcd" + get(b"/frame")
        await client.send(sent)
        await ring.until(lambda: side.received.endswith(sent))
        side.send(answer(b"a frame", FRESH))
        assert await client.reader.readexactly(len(answer(b"a frame", FRESH))) == answer(b"a frame", FRESH)
        assert (await ring.innocently(b"/frame")).body.startswith(b"GET /frame\n")


async def test_a_tunnel_is_dropped_when_its_client_has_left_and_the_origin_says_nothing(
    arena: MakeArena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_connection, "LINGER_S", 0.05)
    async with arena() as ring:
        client = await _tunnel(ring)
        ring.origin.side_of(b"/ws").keeps_open = True
        client.writer.transport.abort()
        await ring.until(lambda: not tasks._running)


async def test_a_tunnel_is_not_reused_for_requests(arena: MakeArena) -> None:
    async with arena() as ring:
        client = await _tunnel(ring)
        side = ring.origin.side_of(b"/ws")
        await client.close()
        await ring.until(lambda: side.lost)
        assert (await ring.innocently(b"/next")).body.startswith(b"GET /next\n")


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(SWITCHED.replace(b"websocket", b"h2c"), id="another-protocol"),
        pytest.param(SWITCHED.replace(b"Upgrade: websocket\r\n", b""), id="no-protocol"),
        pytest.param(
            SWITCHED.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
            id="cl-te",
        ),
    ],
)
async def test_a_switch_to_something_else_is_no_switch(arena: MakeArena, octets: bytes) -> None:
    async with arena() as ring:
        ring.origin.on(b"/ws", octets)
        answers = await ring.attack(get(b"/ws", *UPGRADE), get(b"/smuggled"))
        response, end = strict_response(answers, closed=True)
        assert (response.start[0], answers[end:]) == (b"502", b"")
        ring.expect_logged(502)
