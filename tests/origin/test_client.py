"""The client as a whole: kept connections, the one retry, failing over, giving back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from proxy.clock import SystemClock
from proxy.config.settings import OriginSettings
from proxy.errors import (
    ClientError,
    OriginOverloaded,
    OriginProtocolError,
    OriginTimeout,
    OriginUnreachable,
    ProxyError,
)
from proxy.http.fields import Fields
from proxy.origin.client import OriginClient
from proxy.origin.port import ForwardRequest
from tests.origin.asking import HOST, OK, answered, ask, first_exchange, get, read_all
from tests.origin.conftest import Connect
from tests.origin.manual_clock import ManualClock
from tests.origin.request_bodies import ScriptedBody
from tests.origin.scripted import ScriptedOrigin
from tests.origin.waiting import Gate, soon, turns, until

POST = ForwardRequest("POST", b"/a", Fields([HOST]))


# Kept connections.


async def test_a_connection_carries_one_request_after_another(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    peer = await first_exchange(client, scripted)
    for _ in range(3):
        assert await answered(client, peer) == b"ok"
    assert len(scripted.peers) == 1
    statistics = client.statistics()
    assert (statistics.requests, statistics.connects, statistics.reused) == (4, 1, 3)
    assert statistics.idle_connections == statistics.addresses[0].idle_connections == 1


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_that_the_origin_will_close_is_not_kept(
    scripted: ScriptedOrigin, connect: Connect, octets: bytes
) -> None:
    client = connect(scripted.url)
    peer = await first_exchange(client, scripted, octets)
    await peer.closed()
    await first_exchange(client, scripted, octets)


@pytest.mark.parametrize("octets", [OK, b"x", b"\r\n", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
async def test_octets_on_an_idle_connection_answer_nobody(
    scripted: ScriptedOrigin, connect: Connect, octets: bytes
) -> None:
    client = connect(scripted.url)
    peer = await first_exchange(client, scripted)
    peer.send(octets)
    await peer.closed()
    assert client.statistics().idle_connections == 0
    assert await first_exchange(client, scripted) is not peer


async def test_octets_that_the_loop_has_not_read_yet_answer_nobody(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    peer = await first_exchange(client, scripted)
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
    asking = ask(client)  # no turn of the loop in between
    fresh = await scripted.accept()
    await fresh.expect_head()
    fresh.send(OK)
    assert await read_all(await soon(asking)) == b"ok"
    assert peer.pending == b""  # the poisoned connection was asked nothing


async def test_surplus_behind_an_answer_answers_nobody(scripted: ScriptedOrigin, connect: Connect) -> None:
    """Response splitting: the tail of a body longer than its Content-Length is an answer of its own."""
    client = connect(scripted.url)
    peer = await first_exchange(client, scripted, OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    await peer.closed()
    assert await first_exchange(client, scripted) is not peer


async def test_connections_are_closed_after_their_idle_time(
    scripted: ScriptedOrigin, connect: Connect, clock: ManualClock
) -> None:
    client = connect(scripted.url, idle_timeout_s=15)
    peer = await first_exchange(client, scripted)
    clock.advance(15.1)
    assert await first_exchange(client, scripted) is not peer
    await peer.closed()


@pytest.mark.parametrize("idle_s", [0.9, 1.0])
async def test_a_request_that_must_not_be_sent_twice_takes_only_a_fresh_connection(
    scripted: ScriptedOrigin, connect: Connect, clock: ManualClock, idle_s: float
) -> None:
    client = connect(scripted.url)
    peer = await first_exchange(client, scripted)
    clock.advance(idle_s)
    asking = ask(client, POST)
    if idle_s >= 1.0:
        peer = await scripted.accept()
    assert (await peer.expect_head()).startswith(b"POST ")
    peer.send(OK)
    assert await read_all(await soon(asking)) == b"ok"


# The retry.


@pytest.mark.parametrize("ending", ["cut", "reset"])
async def test_a_kept_connection_that_dies_before_an_answer_is_replaced_once(
    scripted: ScriptedOrigin, connect: Connect, ending: str
) -> None:
    client = connect(scripted.url)
    peer = await first_exchange(client, scripted)
    asking = ask(client)
    await peer.expect_head()
    getattr(peer, ending)()
    fresh = await scripted.accept()
    await fresh.expect_head()
    fresh.send(OK)
    assert await read_all(await soon(asking)) == b"ok"
    assert client.statistics().retries == 1


async def test_the_second_connection_is_not_replaced(scripted: ScriptedOrigin, connect: Connect) -> None:
    client = connect(scripted.url)
    peer = await first_exchange(client, scripted)
    asking = ask(client)
    await peer.expect_head()
    peer.cut()
    fresh = await scripted.accept()
    await fresh.expect_head()
    fresh.cut()
    with pytest.raises(OriginProtocolError, match="without an answer"):
        await soon(asking)
    assert len(scripted.peers) == 2


async def test_two_kept_connections_are_not_tried_one_after_the_other(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    both = [ask(client), ask(client)]
    peers = [await scripted.accept() for _ in both]
    for peer in peers:
        await peer.expect_head()
        peer.send(OK)
    for task in both:
        await read_all(await soon(task))
    assert client.statistics().idle_connections == 2
    asking = ask(client)
    await until(lambda: peers[0].pending or peers[1].pending)
    used, other = peers if peers[0].pending else reversed(peers)
    await used.expect_head()
    used.cut()
    fresh = await scripted.accept()
    await fresh.expect_head()
    fresh.send(OK)
    assert await read_all(await soon(asking)) == b"ok"
    assert other.pending == b""


@pytest.mark.parametrize(
    ("make_request", "settings"),
    [
        pytest.param(lambda: POST, {}, id="post"),
        pytest.param(lambda: get(may_repeat=False), {}, id="not-repeatable"),
        pytest.param(get, {"retry": False}, id="switched-off"),
        pytest.param(
            lambda: ForwardRequest("PUT", b"/a", Fields([HOST]), body=ScriptedBody(b"x"), may_repeat=True),
            {},
            id="body",
        ),
    ],
)
async def test_what_must_not_be_sent_twice_is_not_sent_twice(
    scripted: ScriptedOrigin,
    connect: Connect,
    make_request: Callable[[], ForwardRequest],
    settings: dict[str, object],
) -> None:
    client = connect(scripted.url, **settings)
    peer = await first_exchange(client, scripted)
    asking = ask(client, make_request())
    await peer.expect_head()
    peer.cut()
    with pytest.raises(OriginProtocolError, match="without an answer"):
        await soon(asking)
    assert len(scripted.peers) == 1
    assert client.statistics().retries == 0


async def test_a_new_connection_that_dies_is_not_replaced(scripted: ScriptedOrigin, connect: Connect) -> None:
    asking = ask(connect(scripted.url))
    peer = await scripted.accept()
    await peer.expect_head()
    peer.cut()
    with pytest.raises(OriginProtocolError, match="without an answer"):
        await soon(asking)
    assert len(scripted.peers) == 1


@pytest.mark.parametrize("octets", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_after_the_first_octet_of_an_answer_nothing_is_sent_again(
    scripted: ScriptedOrigin, connect: Connect, octets: bytes
) -> None:
    client = connect(scripted.url)
    peer = await first_exchange(client, scripted)
    asking = ask(client)
    await peer.expect_head()
    peer.send(octets)
    peer.cut()
    with pytest.raises(OriginProtocolError, match="inside the head"):
        await soon(asking)
    assert len(scripted.peers) == 1


async def test_a_time_out_is_not_sent_again(scripted: ScriptedOrigin, connect: Connect) -> None:
    client = connect(scripted.url, first_byte_timeout_s=0.03)
    peer = await first_exchange(client, scripted)
    asking = ask(client)
    await peer.expect_head()
    with pytest.raises(OriginTimeout):
        await soon(asking)
    assert len(scripted.peers) == 1
    await peer.closed()


# Several addresses.


@pytest.fixture
async def second() -> object:
    async with ScriptedOrigin() as origin:
        yield origin


async def test_requests_go_to_the_address_with_the_fewest_outstanding(
    scripted: ScriptedOrigin, second: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url, second.url)
    asking = [ask(client) for _ in range(4)]
    await until(lambda: len(scripted.peers) == len(second.peers) == 2)
    for origin in (scripted, second):
        for peer in origin.peers:
            await peer.expect_head()
    scripted.peers[0].send(OK)
    scripted.peers[1].send(OK)
    await until(lambda: sum(task.done() for task in asking) == 2)
    more = [ask(client), ask(client)]
    await until(lambda: scripted.peers[0].pending and scripted.peers[1].pending)
    for origin in (scripted, second):
        for peer in origin.peers:
            peer.send(OK)
    for task in (*asking, *more):
        await read_all(await soon(task))


async def test_a_refused_connection_goes_on_to_another_address_at_once(
    scripted: ScriptedOrigin, second: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url, second.url, fail_after=3)
    scripted.refuse()
    peer = await first_exchange(client, second)
    for _ in range(9):
        assert await answered(client, peer) == b"ok"
    statistics = client.statistics()
    assert statistics.connect_failures == 3  # then it is left out
    assert statistics.left_out == (scripted.url,)


async def test_an_unsafe_request_goes_on_too_as_nothing_of_it_was_sent(
    scripted: ScriptedOrigin, second: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url, second.url)
    scripted.refuse()
    for _ in range(2):
        asking = ask(client, POST)
        if not second.peers:
            await second.accept()
        peer = second.peers[0]
        await peer.expect_head()
        peer.send(OK)
        assert await read_all(await soon(asking)) == b"ok"
    assert client.statistics().connect_failures == 1


async def test_each_address_is_tried_once_and_the_error_names_all(
    scripted: ScriptedOrigin, second: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url, second.url)
    scripted.refuse()
    second.refuse()
    with pytest.raises(OriginUnreachable) as caught:
        await soon(client.send(get()))
    assert scripted.url in str(caught.value)
    assert second.url in str(caught.value)
    assert client.statistics().connect_failures == 2


async def test_a_left_out_address_is_tried_by_one_request_when_its_time_is_over(
    scripted: ScriptedOrigin, second: ScriptedOrigin, connect: Connect, clock: ManualClock
) -> None:
    client = connect(scripted.url, second.url, fail_after=2, fail_for_s=10)
    scripted.refuse()
    peer = await first_exchange(client, second)
    for _ in range(5):
        assert await answered(client, peer) == b"ok"
    assert client.statistics().connect_failures == 2  # then it is left out

    clock.advance(10)
    for _ in range(3):
        assert await answered(client, peer) == b"ok"
    assert client.statistics().connect_failures == 3  # one tried it, and went on

    clock.advance(10)
    await scripted.listen()
    trying, other = ask(client), ask(client)
    assert (await peer.expect_head()).startswith(b"GET")
    peer.send(OK)
    assert await read_all(await soon(other)) == b"ok"
    tried = await scripted.accept()
    await tried.expect_head()
    tried.send(OK)
    assert await read_all(await soon(trying)) == b"ok"
    assert client.statistics().left_out == ()


async def test_a_left_out_address_is_tried_by_a_new_connection_though_one_was_kept(
    scripted: ScriptedOrigin, second: ScriptedOrigin, connect: Connect, clock: ManualClock
) -> None:
    client = connect(scripted.url, second.url, fail_after=1, fail_for_s=10)
    asking = [ask(client), ask(client)]
    kept, other = await scripted.accept(), await second.accept()
    scripted.refuse()
    asking += [ask(client), ask(client)]  # one of them finds that the first takes no more
    others = [await second.accept(), await second.accept()]
    for peer in (kept, other, *others):
        await peer.expect_head()
        peer.send(OK)
    assert [await read_all(await soon(one)) for one in asking] == [b"ok"] * 4
    assert client.statistics().left_out == (scripted.url,)
    assert client.statistics().addresses[0].idle_connections == 1

    clock.advance(10)
    await scripted.listen()
    await first_exchange(client, scripted)  # over a connection of its own
    assert client.statistics().left_out == ()


async def test_the_only_address_there_is_is_never_left_out(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url, fail_after=2)
    scripted.refuse()
    for _ in range(4):
        with pytest.raises(OriginUnreachable, match="refused"):
            await soon(client.send(get()))
    assert client.statistics().connect_failures == 4
    await scripted.listen()
    asking = ask(client)
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(OK)
    assert await read_all(await soon(asking)) == b"ok"


async def test_a_trial_that_is_cancelled_leaves_the_trial_to_the_next(
    scripted: ScriptedOrigin, connect: Connect, clock: ManualClock
) -> None:
    client = connect(scripted.url, fail_after=1, fail_for_s=10)
    scripted.refuse()
    with pytest.raises(OriginUnreachable):
        await soon(client.send(get()))
    clock.advance(10)
    await scripted.listen()
    trying = ask(client)
    await turns(1)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(trying)
    asking = ask(client)
    await until(lambda: any(peer.pending for peer in scripted.peers))
    next(peer for peer in scripted.peers if peer.pending).send(OK)
    assert await read_all(await soon(asking)) == b"ok"


async def test_a_backup_serves_only_while_every_primary_fails(
    scripted: ScriptedOrigin, second: ScriptedOrigin, connect: Connect, clock: ManualClock
) -> None:
    client = connect(scripted.url, backup=(second.url,), fail_after=1, fail_for_s=10)
    primary = await first_exchange(client, scripted)
    scripted.refuse()
    primary.cut()
    await until(lambda: client.statistics().idle_connections == 0)
    peer = await first_exchange(client, second)
    assert await answered(client, peer) == b"ok"
    await scripted.listen()
    clock.advance(10)
    await first_exchange(client, scripted)
    assert await answered(client, scripted.peers[-1]) == b"ok"
    assert len(second.peers) == 1


async def test_names_are_looked_up_again_and_the_old_answer_stays_when_that_fails(
    scripted: ScriptedOrigin, connect: Connect, clock: ManualClock
) -> None:
    answers: list[Sequence[str] | OSError] = [
        ["127.0.0.1"],
        OSError("no resolver"),
        ["127.0.0.2", "127.0.0.1"],
    ]
    asked: list[tuple[str, int]] = []

    async def look_up(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    client = connect(f"http://shop.example:{scripted.port}", look_up=look_up, resolve_interval_s=30)
    peer = await first_exchange(client, scripted)
    assert await answered(client, peer) == b"ok"
    assert asked == [("shop.example", scripted.port)]
    clock.advance(0.5)
    for looked_up, hosts in ((2, ["127.0.0.1"]), (3, ["127.0.0.2", "127.0.0.1"])):
        clock.advance(30)
        asking = ask(client)  # is served by what is known, and starts the look-up
        await until(lambda wanted=looked_up: len(asked) == wanted)
        peer = await scripted.accept()  # the kept one is too old by now
        await peer.expect_head()
        peer.send(OK)
        assert await read_all(await soon(asking)) == b"ok"
        await until(lambda wanted=hosts: [one.host for one in client.statistics().addresses] == wanted)
    assert client.statistics().addresses[1].requests == 4  # the target is still the same one


async def test_a_name_that_cannot_be_looked_up_is_unreachable(connect: Connect) -> None:
    async def look_up(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    client = connect("http://shop.example", look_up=look_up)
    with pytest.raises(OriginUnreachable, match=r"origin shop at http://shop\.example"):
        await soon(client.send(get()))


async def test_the_systems_resolver_knows_localhost(scripted: ScriptedOrigin, connect: Connect) -> None:
    client = connect(f"http://localhost:{scripted.port}")
    peer = await first_exchange(client, scripted)
    assert await answered(client, peer) == b"ok"
    assert "127.0.0.1" in [one.host for one in client.statistics().addresses]


async def test_ipv6_addresses_work(connect: Connect) -> None:
    async with ScriptedOrigin(host="::1") as origin:
        client = connect(origin.url)
        asking = ask(client, ForwardRequest("GET", b"/", Fields([(b"Host", b"")])))
        peer = await origin.accept()
        assert b"\r\nHost: [::1]:%d\r\n" % origin.port in await peer.expect_head()
        peer.send(OK)
        assert await read_all(await soon(asking)) == b"ok"


async def test_unix_sockets_work_and_their_absence_is_explained(tmp_path: Path, connect: Connect) -> None:
    path = str(tmp_path / "origin")
    client = connect(f"unix:{path}")
    with pytest.raises(OriginUnreachable, match="no such socket"):
        await soon(client.send(get()))
    async with ScriptedOrigin(path=path) as origin:
        asking = ask(client, ForwardRequest("GET", b"/", Fields([(b"Host", b"")])))
        peer = await origin.accept()
        assert b"\r\nHost: localhost\r\n" in await peer.expect_head()
        peer.send(OK)
        assert await read_all(await soon(asking)) == b"ok"
        assert await answered(client, peer) == b"ok"


# Giving back.


async def test_a_request_that_cannot_be_written_gives_everything_back(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    with pytest.raises(ClientError):
        await soon(client.send(get(b"/a\r\nX: y")))
    peer = await scripted.accept()
    await peer.closed()
    assert peer.pending == b""


async def test_closing_sends_waiting_requests_away_and_lets_running_ones_end(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url, max_concurrency=1)
    running, waiting = ask(client), ask(client)
    peer = await scripted.accept()
    await peer.expect_head()
    await soon(client.close())
    with pytest.raises(OriginOverloaded, match="closed"):
        await soon(waiting)
    with pytest.raises(OriginUnreachable, match="closed"):
        await soon(client.send(get()))
    peer.send(OK)
    assert await read_all(await soon(running)) == b"ok"
    await peer.closed()
    assert "closed" in repr(client)


async def test_many_requests_ended_in_every_way_leave_nothing_behind(scripted: ScriptedOrigin) -> None:
    """Answers, cuts, resets, early closes, cancellations at random moments, with few slots."""
    chance = random.Random(2)
    settings = OriginSettings(
        addresses=(scripted.url,), max_concurrency=3, max_queue=100, queue_timeout_s=5, max_idle_connections=2
    )
    client = OriginClient("shop", settings, clock=SystemClock())
    playing = asyncio.get_running_loop().create_task(_play(scripted, chance))
    asking = [asyncio.get_running_loop().create_task(_ask_somehow(client, chance)) for _ in range(150)]
    for _ in asking:
        await turns(chance.randrange(4))
        if chance.random() < 0.3:
            chance.choice(asking).cancel()
    results = await soon(asyncio.gather(*asking, return_exceptions=True))
    assert all(
        result is None or isinstance(result, ProxyError | asyncio.CancelledError) for result in results
    ), results
    statistics = client.statistics()
    assert (statistics.outstanding, statistics.queued) == (0, 0)
    assert all(address.outstanding == 0 for address in statistics.addresses)
    playing.cancel()
    await soon(client.close())
    assert not client._open


async def _ask_somehow(client: OriginClient, chance: random.Random) -> None:
    body = ScriptedBody(b"x" * 10, *([Gate()] if chance.random() < 0.2 else []), chunked=True)
    request = get() if chance.random() < 0.6 else ForwardRequest("PUT", b"/", Fields([HOST]), body=body)
    response = await client.send(request)
    try:
        while chance.random() < 0.8 and await response.read():
            pass
    finally:
        response.close()


async def _play(scripted: ScriptedOrigin, chance: random.Random) -> None:
    endings = ("answer", "answer", "answer", "half", "cut", "reset")
    while True:
        await turns(1)
        for peer in scripted.peers:
            if peer.lost or b"\r\n\r\n" not in peer.pending:
                continue
            await peer.expect_head()
            peer._received.clear()
            match chance.choice(endings):
                case "answer":
                    peer.send(OK)
                case "half":
                    peer.send(OK[:-1])
                    peer.cut()
                case "cut":
                    peer.cut()
                case "reset":
                    peer.reset()
