"""The states of a client connection: pipelining, limits, upgrades, errors in bodies, ends of every kind."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from proxy.errors import ClientError, ClientGone
from proxy.server import client_connection
from proxy.server.client_connection import State
from tests.server.connecting import Asked, Host, echo, until

Hosting = Callable[..., Host]


@pytest.fixture
def hosting() -> Hosting:
    """Makes hosts; its name has the tests run on both event loops (tests/conftest.py)."""
    return Host


def get(target: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: a", *lines, "", ""]).encode()


def post(target: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {target} HTTP/1.1", "Host: a", *lines, "", ""]).encode()


CHUNKED = "Transfer-Encoding: chunked"
LENGTH = "Content-Length: 5"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")


async def silent(asked: Asked) -> bool:
    """Never answer."""
    await asyncio.get_running_loop().create_future()
    return True


# One request after another.


async def test_requests_are_answered_in_order_however_they_are_cut(hosting: Hosting) -> None:
    octets = get("/a") + post("/b", LENGTH) + b"hello" + get("/c") + post("/d", LENGTH) + b"world" + get("/e")
    async with hosting() as host:
        for cut in (len(octets), 1, 7, 64):
            client = await host.client()
            await client.send(*[octets[at : at + cut] for at in range(0, len(octets), cut)])
            expected = [b"GET /a ", b"POST /b hello", b"GET /c ", b"POST /d world", b"GET /e "]
            assert [await client.answer() for _ in range(5)] == expected


async def test_a_flood_of_pipelined_requests_is_read_as_it_is_answered(hosting: Hosting) -> None:
    async with hosting(max_pipelined=4) as host:
        client = await host.client()
        sending = asyncio.ensure_future(client.send(b"".join(get(f"/{number}") for number in range(2000))))
        for number in range(2000):
            assert await client.answer() == b"GET /%d " % number
        await sending
        assert host.most_outstanding <= 5


async def test_pipelined_requests_with_bodies_are_bounded_too(hosting: Hosting) -> None:
    async with hosting(max_pipelined=2) as host:
        client = await host.client()
        octets = b"".join(post(f"/{number}", LENGTH) + b"hello" for number in range(300))
        sending = asyncio.ensure_future(client.send(octets))
        for number in range(300):
            assert await client.answer() == b"POST /%d hello" % number
        await sending


async def test_many_bodies_that_came_late_do_not_use_up_the_room_for_pipelining(hosting: Hosting) -> None:
    async with hosting(max_pipelined=2) as host:
        client = await host.client()
        for number in range(5):
            await client.send(post(f"/{number}", LENGTH))
            await until(lambda: len(host.asked) == number + 1)  # noqa: B023 - awaited at once
            await client.send(b"hello")
            assert await client.answer() == b"POST /%d hello" % number
        await client.send(get("/a") + get("/b") + get("/c"))
        assert [await client.answer() for _ in range(3)] == [b"GET /a ", b"GET /b ", b"GET /c "]


async def test_with_room_for_one_request_its_body_is_still_read(hosting: Hosting) -> None:
    async with hosting(max_pipelined=1) as host:
        client = await host.client()
        await client.send(
            post("/a", LENGTH), b"he", b"llo", get("/b"), post("/c", CHUNKED), b"1\r\nx\r\n0\r\n\r\n"
        )
        assert [await client.answer() for _ in range(3)] == [b"POST /a hello", b"GET /b ", b"POST /c x"]


async def test_a_client_that_reads_nothing_is_not_answered_on_and_on(hosting: Hosting) -> None:
    async def large(asked: Asked) -> bool:
        asked.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1_000_000)
        return True

    async with hosting(large, max_pipelined=64) as host:
        client = await host.client()
        await client.send(b"".join(get(f"/{number}") for number in range(64)))
        await until(lambda: host.connections[0]._paused)
        assert len(host.asked) < 10


# Errors.


async def test_what_came_whole_is_answered_before_what_is_broken(hosting: Hosting) -> None:
    async with hosting() as host:
        client = await host.client()
        await client.send(get("/a") + get("/b") + b"GET /c\0 HTTP/1.1\r\n\r\n")
        assert await client.answer() == b"GET /a "
        assert await client.answer() == b"GET /b "
        assert await client.answer() == b"400"
        assert await client.rest() == b""
        assert len(host.asked) == 2


async def test_an_error_inside_a_body_reaches_its_reader(hosting: Hosting) -> None:
    raised = []

    async def reading(asked: Asked) -> bool:
        try:
            while await asked.body.readany():
                pass
        except ClientError as error:
            raised.append(error)
        asked.write(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
        return False

    async with hosting(reading) as host:
        client = await host.client()
        await client.send(post("/a", CHUNKED), b"5\r\nhello\r\n", b"0x1\r\na\r\n0\r\n\r\n", get("/smuggled"))
        assert await client.answer() == b"400"
        assert await client.rest() == b""
        assert (len(raised), len(host.asked)) == (1, 1)


async def test_an_error_in_a_body_that_nobody_reads_closes_after_the_answer(hosting: Hosting) -> None:
    async def hasty(asked: Asked) -> bool:
        asked.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return True

    async with hosting(hasty) as host:
        client = await host.client()
        await client.send(post("/a", CHUNKED) + b"zz\r\n", get("/smuggled"))
        assert await client.answer() == b""
        assert await client.rest() == b""
        assert len(host.asked) == 1


async def test_a_defect_of_ours_ends_the_connection(
    hosting: Hosting, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(asked: Asked) -> bool:
        raise ZeroDivisionError

    async with hosting(broken) as host:
        client = await host.client()
        await client.send(get("/a"))
        assert await client.rest() == b"reset"
    assert "task_failed" in caplog.text


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        pytest.param(b"GET /" + b"a" * 9000, 414, id="line"),
        pytest.param(get("/a", "X: " + "a" * 9000), 431, id="field"),
        pytest.param(b"GET /a HTTP/1.1\r\n" + b"X: a\r\n" * 12_000, 431, id="endless-head"),
        pytest.param(b"\r\n" * 40_000, 431, id="endless-nothing"),
        pytest.param(b"BREW /a HTTP/1.1\r\n", 501, id="method"),
        pytest.param(b"DESCRIBE /a HTTP/1.1\r\n\r\n", 501, id="method-of-rtsp"),
        pytest.param(b"GET /a HTTP/3.0\r\n", 505, id="version"),
        pytest.param(b"\x16\x03\x01\x02\x00", 400, id="tls"),
        pytest.param(get("/a").replace(b"\r\n", b"\n"), 505, id="bare-lf"),
    ],
)
async def test_octets_that_are_no_request_are_refused(hosting: Hosting, octets: bytes, status: int) -> None:
    async with hosting() as host:
        client = await host.client()
        await client.send(octets)
        assert await client.answer() == b"%d" % status
        assert await client.rest() == b""
        assert [error.status for error in host.refused] == [status]
        assert not host.asked


# Trailers, which aiohttp's parser would count among the next request's fields.


async def test_no_trailer_gets_among_the_fields_of_the_next_request(hosting: Hosting) -> None:
    body = b"5\r\nhello\r\n0\r\nX-Trailer: a\r\n\r\n"
    for segments in ((post("/a", CHUNKED) + body + get("/b"),), (post("/a", CHUNKED), body, get("/b"))):
        async with hosting() as host:
            client = await host.client()
            await client.send(*segments)
            assert await client.answer() == b"POST /a hello"
            assert await client.rest() == b""
            assert len(host.asked) == 1


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 8, 13, 1000])
async def test_trailers_are_found_however_they_are_cut(hosting: Hosting, cut: int) -> None:
    octets = post("/a", CHUNKED) + b"5\r\nhello\r\n0\r\nX-Trailer: 0\r\n\r\n" + get("/b")
    async with hosting() as host:
        client = await host.client()
        await client.send(*[octets[at : at + cut] for at in range(0, len(octets), cut)])
        assert await client.answer() == b"POST /a hello"
        await client.rest()
        assert not any(name == b"X-Trailer" for asked in host.asked for name, _ in asked.message.raw_headers)


async def test_a_chunked_body_without_trailers_keeps_the_connection(hosting: Hosting) -> None:
    async with hosting() as host:
        client = await host.client()
        for _ in range(3):
            await client.send(post("/a", CHUNKED) + b"5\r\nhello\r\n0\r\n\r\n")
            assert await client.answer() == b"POST /a hello"
            await client.send(post("/b", CHUNKED), b"5\r\nhello\r\n", b"0\r\n", b"\r\n")
            assert await client.answer() == b"POST /b hello"
            await client.send(post("/c", CHUNKED) + b"0\r\n\r\n")
            assert await client.answer() == b"POST /c "


async def test_tiny_chunks_without_number_leave_the_next_request_alone(hosting: Hosting) -> None:
    async with hosting() as host:
        client = await host.client()
        sending = asyncio.ensure_future(
            client.send(post("/a", CHUNKED) + b"1\r\nx\r\n" * 9000 + b"0\r\n\r\n")
        )
        assert await client.answer() == b"POST /a " + b"x" * 9000
        await sending
        await client.send(post("/b", CHUNKED), b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        assert await client.answer() == b"POST /b hello world"


# Time limits.


async def test_a_head_that_does_not_end_in_time_gets_408(hosting: Hosting) -> None:
    async with hosting(head_timeout_s=0.05) as host:
        client = await host.client()
        await client.send(b"GET /a HTTP/1.1\r\n")
        assert await client.answer() == b"408"
        assert await client.rest() == b""


async def test_a_head_behind_a_request_has_its_time_as_well(hosting: Hosting) -> None:
    async with hosting(head_timeout_s=0.05, idle_timeout_s=60) as host:
        client = await host.client()
        await client.send(get("/a") + b"GET /b HTTP/1.1\r\nX:")
        assert await client.answer() == b"GET /a "
        assert await client.answer() == b"408"


async def test_octets_that_trickle_in_do_not_buy_time(hosting: Hosting) -> None:
    async with hosting(head_timeout_s=0.05) as host:
        client = await host.client()

        async def trickle() -> None:
            while host.connections[0].state is not State.LINGER:
                client.writer.write(b"X")
                await asyncio.sleep(0.005)

        await client.send(b"GET /")
        trickling = asyncio.ensure_future(trickle())
        assert await client.answer() == b"408"
        await trickling


@pytest.mark.parametrize("octets", [b"", get("/a")], ids=["never-asked", "asked-once"])
async def test_a_connection_without_a_request_is_closed_without_a_word(
    hosting: Hosting, octets: bytes
) -> None:
    async with hosting(head_timeout_s=0.05, idle_timeout_s=0.05) as host:
        client = await host.client()
        await client.send(octets)
        if octets:
            await client.answer()
        assert await client.rest() == b""
        assert not host.refused


async def test_a_client_that_takes_nothing_of_a_large_answer_is_cut_off(
    hosting: Hosting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gone = []

    async def large(asked: Asked) -> bool:
        try:
            for _ in range(1000):
                asked.write(b"a" * 65536)
                await asked.connection.drain()
        except ClientGone as error:
            gone.append(error)
        return False

    async with hosting(large, write_timeout_s=0.05) as host:
        client = await host.client()
        await client.send(get("/a"))
        await until(lambda: gone and host.gone)
    assert "client_cut reason=write-timeout" in caplog.text


async def test_a_client_that_takes_nothing_of_its_last_answer_is_cut_off(
    hosting: Hosting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def large(asked: Asked) -> bool:
        asked.write(b"a" * 8_000_000)
        return True

    async with hosting(large, write_timeout_s=0.05, idle_timeout_s=0.05) as host:
        client = await host.client()
        await client.send(get("/a"))
        await until(lambda: host.gone)
    assert "client_cut reason=write-timeout" in caplog.text


# Ends.


async def test_a_client_that_leaves_ends_its_exchange(hosting: Hosting) -> None:
    async with hosting(silent) as host:
        client = await host.client()
        await client.send(get("/a"))
        await until(lambda: host.asked)
        client.writer.close()
        await until(lambda: host.gone)
        await until(lambda: host.cancelled == ["/a"])


async def test_a_client_that_half_closes_is_gone(hosting: Hosting) -> None:
    async with hosting(silent) as host:
        client = await host.client()
        await client.send(get("/a") + get("/b"))
        await until(lambda: host.asked)
        client.writer.write_eof()
        await until(lambda: host.cancelled == ["/a"])
        assert await client.rest() == b""
        assert len(host.asked) == 1


async def test_a_body_that_the_client_breaks_off_is_an_error_to_its_reader(hosting: Hosting) -> None:
    async with hosting() as host:
        client = await host.client()
        await client.send(post("/a", LENGTH) + b"he")
        await until(lambda: host.asked and host.asked[0].body.total_bytes == 2)
        client.writer.close()
        await until(lambda: isinstance(host.asked[0].body.exception(), ClientGone))


async def test_a_client_still_sending_can_read_why_it_was_refused(hosting: Hosting) -> None:
    async def refuse(asked: Asked) -> bool:
        asked.write(b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        return False

    async with hosting(refuse) as host:
        client = await host.client()
        await client.send(post("/a", "Content-Length: 9000000"), *[b"a" * 65536] * 20)
        assert await client.answer() == b"413"
        assert await client.rest() == b""


async def test_lingering_ends(hosting: Hosting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_connection, "LINGER_S", 0.05)
    async with hosting() as host:
        client = await host.client()
        await client.send(b"\0")
        assert await client.answer() == b"400"
        await until(lambda: host.gone)


async def test_over_tls_a_client_still_sending_can_read_why_it_was_refused(
    hosting: Hosting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_connection, "LINGER_S", 0.3)
    authority = trustme.CA()
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(served)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def refuse(asked: Asked) -> bool:
        asked.write(b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        return False

    async with hosting(refuse, tls=served) as host:
        client = await host.client(tls=trusting)
        await client.send(post("/a", "Content-Length: 9000000"), *[b"a" * 65536] * 10)
        assert await client.answer() == b"413"


async def test_what_follows_the_last_answer_is_thrown_away(hosting: Hosting) -> None:
    async with hosting() as host:
        client = await host.client()
        await client.send(get("/a", "Connection: close"), get("/b"), b"\0" * 1000)
        assert await client.answer() == b"GET /a "
        assert await client.rest() in (b"", b"reset")
        assert [asked.target for asked in host.asked] == ["/a"]


async def test_on_the_way_out_idle_connections_are_closed_and_others_after_their_answer(
    hosting: Hosting,
) -> None:
    release = asyncio.Event()

    async def held(asked: Asked) -> bool:
        await release.wait()
        return await echo(asked)

    async with hosting(held) as host:
        idle, busy = await host.client(), await host.client()
        await busy.send(get("/a"))
        await until(lambda: host.asked)
        host.draining = True
        for connection in host.connections:
            connection.drain_for_shutdown()
        assert await idle.rest() == b""
        release.set()
        assert await busy.answer() == b"GET /a "
        assert await busy.rest() == b""


# Upgrades.


async def _tunnelling(asked: Asked) -> bool:
    """Switch protocols after the body, and send back what comes until it says `bye`."""
    while await asked.body.readany():
        pass
    inbox = asked.connection.switch_to_tunnel()
    asked.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    received = b""
    while octets := await inbox.read():
        received += octets
        asked.write(octets)
        if received.endswith(b"bye"):
            break
    asked.connection.close()
    return False


@pytest.mark.parametrize("protocol", ["websocket", "h2c", "foo/1"])
@pytest.mark.parametrize("body", [b"", b"hello"], ids=["no-body", "body"])
async def test_after_a_switch_octets_pass_as_they_are(hosting: Hosting, protocol: str, body: bytes) -> None:
    head = post("/a", "Connection: Upgrade", f"Upgrade: {protocol}", f"Content-Length: {len(body)}")
    async with hosting(_tunnelling) as host:
        client = await host.client()
        await client.send(head, body)
        assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        await client.send(get("/b"), b"\0\r\n", b"bye")
        assert await client.rest() == get("/b") + b"\0\r\nbye"
        assert len(host.asked) == 1


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
async def test_octets_sent_with_the_head_of_an_upgrade_are_not_lost(hosting: Hosting, protocol: str) -> None:
    async with hosting(_tunnelling) as host:
        client = await host.client()
        await client.send(get("/a", "Connection: Upgrade", f"Upgrade: {protocol}") + b"early bye")
        await client.reader.readuntil(b"\r\n\r\n")
        assert await client.rest() == b"early bye"


async def test_octets_behind_an_upgrade_that_is_not_made_are_no_request(hosting: Hosting) -> None:
    async with hosting() as host:
        client = await host.client()
        await client.send(
            get("/a", "Connection: Upgrade", "Upgrade: h2c") + get("/smuggled"), get("/smuggled")
        )
        assert await client.answer() == b"GET /a "
        assert await client.rest() == b""
        assert len(host.asked) == 1


async def test_octets_before_the_switch_are_bounded(hosting: Hosting) -> None:
    async with hosting(silent) as host:
        client = await host.client()
        await client.send(get("/a", *UPGRADE))
        for _ in range(100):
            client.writer.write(b"a" * 65536)
        await until(lambda: host.connections and host.connections[0]._buffer_paused)
        inbox = host.connections[0].tunnel_inbox
        assert inbox is not None
        assert len(inbox._octets) < 1_000_000


async def test_a_tunnel_whose_client_left_ends_although_the_origin_says_nothing(
    hosting: Hosting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_connection, "LINGER_S", 0.05)

    async def deaf(asked: Asked) -> bool:
        asked.connection.switch_to_tunnel()
        asked.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        return await silent(asked)

    async with hosting(deaf) as host:
        client = await host.client()
        await client.send(get("/a", *UPGRADE))
        await client.reader.readuntil(b"\r\n\r\n")
        client.writer.close()
        await until(lambda: host.cancelled == ["/a"])


async def test_a_tunnel_that_is_over_does_not_wait_for_a_client_that_does_not_read(hosting: Hosting) -> None:
    async def flooding(asked: Asked) -> bool:
        asked.connection.switch_to_tunnel()
        asked.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + b"a" * 8_000_000)
        asked.connection.close()
        return False

    async with hosting(flooding, head_timeout_s=0.05, idle_timeout_s=0.05, write_timeout_s=0.05) as host:
        client = await host.client()
        await client.send(get("/a", *UPGRADE))
        await until(lambda: host.gone)
