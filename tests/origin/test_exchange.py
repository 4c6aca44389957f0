"""One request and its answer on the wire, with an origin that lies, cuts, floods and hurries."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import (
    ClientGone,
    OriginBodyCut,
    OriginProtocolError,
    OriginTimeout,
)
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.origin.exchange import MAX_INFORMATIONAL
from proxy.origin.port import ForwardRequest, Framing
from tests.origin.asking import HOST, OK, answered, ask, first_exchange, get, read_all
from tests.origin.conftest import Connect
from tests.origin.request_bodies import ScriptedBody
from tests.origin.scripted import ScriptedOrigin
from tests.origin.waiting import Gate, soon, turns, until

START = b"HTTP/1.1 200 OK\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"


def put(body: ScriptedBody, **parts: object) -> ForwardRequest:
    return ForwardRequest("PUT", b"/a", Fields([HOST]), body=body, **parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(START + b"A: b\n\n", id="bare-lf"),
        pytest.param(START + b"A: b\r\n folded\r\n\r\n", id="obs-fold"),
        pytest.param(START + b"A: \0\r\n\r\n", id="nul"),
        pytest.param(START + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", id="two-lengths"),
        pytest.param(
            START + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="length-and-coding",
        ),
        pytest.param(START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="gzip-chunked"),
        pytest.param(START + b"Content-Length: +2\r\n\r\nok", id="signed-length"),
        pytest.param(b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", id="http-2"),
        pytest.param(b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n", id="status-999"),
        pytest.param(b"hello\r\n\r\n", id="no-http"),
        pytest.param(b"\r\n" + OK, id="empty-line-first"),
        pytest.param(START + b"A: " + b"x" * 70_000, id="endless-head"),
        pytest.param(b"HTTP/1.1 101 Sure\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", id="101-unasked"),
        pytest.param(b"HTTP/1.1 101 Sure\r\n\r\n", id="101-bare"),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            id="1xx-with-two-lengths",
        ),
    ],
)
async def test_a_malformed_answer_is_an_error_and_closes_the_connection(
    scripted: ScriptedOrigin, connect: Connect, octets: bytes
) -> None:
    client = connect(scripted.url)
    asking = ask(client)
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(octets)
    with pytest.raises(OriginProtocolError, match=f"origin shop at {scripted.url}"):
        await soon(asking)
    await peer.closed()
    assert len(scripted.peers) == 1  # and it is not asked again
    assert client.statistics().outstanding == 0


async def test_a_flood_of_informational_answers_is_an_error(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    asking = ask(connect(scripted.url))
    peer = await scripted.accept()
    peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" * (MAX_INFORMATIONAL + 1))
    with pytest.raises(OriginProtocolError, match="informational"):
        await soon(asking)


async def test_informational_answers_may_come_in_pieces_and_with_the_final_one(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    told: list[ResponseHead] = []
    client = connect(scripted.url)
    asking = asyncio.get_running_loop().create_task(client.send(get(), on_informational=told.append))
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n")
    await turns()
    peer.send(b"\r\n")
    await until(lambda: told)
    peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: b\r\n\r\n" + OK)
    assert await read_all(await soon(asking)) == b"ok"
    assert [head.fields.get(b"link") for head in told] == [b"a", b"b"]
    assert client.statistics().idle_connections == 1


async def test_what_on_informational_raises_ends_the_exchange(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    def gone(head: ResponseHead) -> None:
        raise ClientGone("the client left")

    client = connect(scripted.url)
    asking = asyncio.get_running_loop().create_task(client.send(get(), on_informational=gone))
    peer = await scripted.accept()
    peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    with pytest.raises(ClientGone):
        await soon(asking)
    await peer.closed()


@pytest.mark.parametrize(
    ("octets", "good"),
    [
        pytest.param(START + b"Content-Length: 10\r\n\r\nshort", b"short", id="short"),
        pytest.param(CHUNKED + b"5\r\nshort\r\n", b"short", id="no-last-chunk"),
        pytest.param(CHUNKED + b"9\r\nshort", b"short", id="inside-a-chunk"),
        pytest.param(CHUNKED + b"5\r\nshort\r\n0\r\n", b"short", id="before-the-final-line"),
        pytest.param(START + b"Content-Length: 10\r\n\r\n", b"", id="nothing"),
    ],
)
@pytest.mark.parametrize("ending", ["cut", "reset"])
async def test_a_body_that_ends_early_is_an_error_after_its_good_octets(
    scripted: ScriptedOrigin, connect: Connect, octets: bytes, good: bytes, ending: str
) -> None:
    asking = ask(connect(scripted.url))
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(octets)
    response = await soon(asking)
    got = b""
    while len(got) < len(good):
        got += await soon(response.read())
    getattr(peer, ending)()
    with pytest.raises(OriginBodyCut):
        await soon(response.read())
    assert got == good
    response.close()


@pytest.mark.parametrize(
    "bad",
    [
        b"2 \r\nno\r\n0\r\n\r\n",
        b"2\nno\r\n0\r\n\r\n",
        b"0x2\r\nno\r\n0\r\n\r\n",
        b"2\r\nnoX\r\n0\r\n\r\n",
        b"zz\r\n",
    ],
)
async def test_bad_chunk_framing_is_a_cut_after_the_good_octets(
    scripted: ScriptedOrigin, connect: Connect, bad: bytes
) -> None:
    asking = ask(connect(scripted.url))
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(CHUNKED + b"4\r\ngood\r\n" + bad)
    response = await soon(asking)
    assert (await soon(response.read())).startswith(b"good")
    with pytest.raises(OriginBodyCut, match="chunked body is malformed"):
        await soon(response.read())
    response.close()
    await peer.closed()


async def test_a_body_that_ends_with_its_connection_is_told_from_a_reset(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    asking = ask(client)
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(START + b"\r\nall of it")
    response = await soon(asking)
    assert response.framing is Framing.CLOSE
    peer.cut()
    assert await read_all(response) == b"all of it"

    asking = ask(client)
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(START + b"\r\npart")
    response = await soon(asking)
    assert await soon(response.read()) == b"part"
    peer.reset()
    with pytest.raises(OriginBodyCut):
        await soon(response.read())
    response.close()


@pytest.mark.parametrize(
    ("method", "octets", "body"),
    [
        pytest.param("GET", OK + b"surplus", b"ok", id="after-a-length"),
        pytest.param("GET", OK + OK, b"ok", id="a-second-answer"),
        pytest.param("GET", CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + OK, b"ok", id="after-chunks"),
        pytest.param("GET", CHUNKED + b"2\r\nok\r\n0\r\n\r\n\r\n", b"ok", id="an-empty-line-after-chunks"),
        pytest.param("GET", b"HTTP/1.1 204 No\r\n\r\nbody", b"", id="204-with-a-body"),
        pytest.param("GET", b"HTTP/1.1 304 No\r\nContent-Length: 4\r\n\r\nbody", b"", id="304-with-a-body"),
        pytest.param("HEAD", START + b"Content-Length: 4\r\n\r\nbody", b"", id="head-with-a-body"),
        pytest.param("GET", START + b"Content-Length: 0\r\n\r\nbody", b"", id="length-0-with-a-body"),
        pytest.param(
            "GET", b"HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\n", b"", id="204-that-announces-one"
        ),
    ],
)
async def test_what_is_declared_is_taken_and_surplus_closes_the_connection(
    scripted: ScriptedOrigin, connect: Connect, method: str, octets: bytes, body: bytes
) -> None:
    client = connect(scripted.url)
    asking = ask(client, ForwardRequest(method, b"/a", Fields([HOST]), may_repeat=True))
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(octets)
    assert await read_all(await soon(asking)) == body
    await peer.closed()
    assert client.statistics().idle_connections == 0
    assert await first_exchange(client, scripted) is not peer


async def test_a_head_and_its_body_may_come_octet_by_octet(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    asking = ask(client)
    peer = await scripted.accept()
    await peer.expect_head()
    for octet in CHUNKED + b"2\r\nok\r\n0\r\n\r\n":
        peer.send(bytes([octet]))
        await turns(2)
    assert await read_all(await soon(asking)) == b"ok"
    assert client.statistics().idle_connections == 1


async def test_head_with_a_length_leaves_the_connection_usable(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    asking = ask(client, ForwardRequest("HEAD", b"/a", Fields([HOST])))
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(START + b"Content-Length: 4000\r\n\r\n")
    response = await soon(asking)
    assert response.head.fields.get(b"content-length") == b"4000"
    assert await read_all(response) == b""
    assert await answered(client, peer) == b"ok"


# Sending a body.


async def test_an_early_refusal_stops_the_upload_and_closes_the_connection(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    gate = Gate()
    body = ScriptedBody(b"part", gate, b"never sent", length=100)
    asking = ask(client, put(body))
    peer = await scripted.accept()
    await peer.expect_head()
    await peer.expect(b"part")
    peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbi")
    response = await soon(asking)
    assert response.head.status == 413
    gate.open()
    await turns()
    assert peer.pending == b""
    peer.send(b"g")
    assert await read_all(response) == b"big"
    await peer.closed()
    assert peer.pending == b""


async def test_after_an_early_success_the_upload_goes_on(scripted: ScriptedOrigin, connect: Connect) -> None:
    client = connect(scripted.url)
    gate = Gate()
    asking = ask(client, put(ScriptedBody(b"part", gate, b"more", chunked=True)))
    peer = await scripted.accept()
    await peer.expect_head()
    await peer.expect(b"4\r\npart\r\n")
    peer.send(CHUNKED + b"4\r\nPART\r\n")
    response = await soon(asking)
    assert await soon(response.read()) == b"PART"
    gate.open()
    await peer.expect(b"4\r\nmore\r\n0\r\n\r\n")
    peer.send(b"4\r\nMORE\r\n0\r\n\r\n")
    assert await read_all(response) == b"MORE"
    assert client.statistics().idle_connections == 1


async def test_an_answer_that_is_through_before_the_upload_closes_the_connection(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    asking = ask(client, put(ScriptedBody(b"part", Gate(), chunked=True)))
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(OK)
    assert await read_all(await soon(asking)) == b"ok"
    await peer.closed()


async def test_an_upload_that_breaks_after_the_head_is_a_cut(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    gate = Gate()
    body = ScriptedBody(b"part", gate, ClientGone("the client left"), chunked=True)
    asking = ask(connect(scripted.url), put(body))
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(CHUNKED)
    response = await soon(asking)
    gate.open()
    with pytest.raises(OriginBodyCut, match="the client left"):
        await soon(response.read())
    response.close()
    await peer.closed()
    assert b"0\r\n\r\n" not in peer.pending  # never a cut body that looks whole


async def test_a_client_that_leaves_in_its_upload_cuts_the_request(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    gate = Gate()
    asking = ask(connect(scripted.url), put(ScriptedBody(b"part", gate, ClientGone("left"), chunked=True)))
    peer = await scripted.accept()
    await peer.expect_head()
    await peer.expect(b"4\r\npart\r\n")
    gate.open()
    with pytest.raises(ClientGone):
        await soon(asking)
    await peer.closed()
    assert peer.pending == b""


async def test_an_origin_that_takes_nothing_of_the_body_is_a_time_out(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url, between_bytes_timeout_s=0.03)
    asking = ask(client, put(ScriptedBody(*[b"x" * 1_000_000] * 16)))
    peer = await scripted.accept()
    peer.pause_reading()
    with pytest.raises(OriginTimeout, match="took nothing"):
        await soon(asking)
    peer.resume_reading()
    await peer.closed()


async def test_the_first_byte_is_waited_for_after_the_last_octet_of_the_request(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url, first_byte_timeout_s=0.03)
    gate = Gate()
    asking = ask(client, put(ScriptedBody(b"part", gate, b"rest")))
    peer = await scripted.accept()
    loop = asyncio.get_running_loop()
    later = loop.time() + 0.06
    await until(lambda: loop.time() > later)
    assert not asking.done()  # a slow client is not the origin's fault
    gate.open()
    await peer.expect_request()
    with pytest.raises(OriginTimeout, match="first_byte_timeout_s"):
        await soon(asking)


# Expect: 100-continue.


async def test_the_body_waits_for_100_which_is_passed_on(scripted: ScriptedOrigin, connect: Connect) -> None:
    client = connect(scripted.url)
    body = ScriptedBody(b"body")
    told: list[ResponseHead] = []
    asking = asyncio.get_running_loop().create_task(
        client.send(put(body, expect_continue=True), on_informational=told.append)
    )
    peer = await scripted.accept()
    assert b"\r\nExpect: 100-continue\r\n" in await peer.expect_head()
    await turns()
    assert not body.touched
    peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    await peer.expect(b"body")
    peer.send(OK)
    assert await read_all(await soon(asking)) == b"ok"
    assert [head.status for head in told] == [100]
    assert client.statistics().idle_connections == 1


async def test_an_origin_that_ignores_expect_gets_the_body_all_the_same(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url, expect_timeout_s=0.02)
    asking = ask(client, put(ScriptedBody(b"body"), expect_continue=True))
    peer = await scripted.accept()
    assert (await peer.expect_request())[1] == b"body"
    peer.send(OK)
    assert await read_all(await soon(asking)) == b"ok"


@pytest.mark.parametrize("status", [b"417 No", b"200 OK"])
async def test_a_final_answer_instead_of_100_leaves_the_body_unread(
    scripted: ScriptedOrigin, connect: Connect, status: bytes
) -> None:
    body = ScriptedBody(b"body")
    asking = ask(connect(scripted.url), put(body, expect_continue=True))
    peer = await scripted.accept()
    await peer.expect_head()
    peer.send(b"HTTP/1.1 %b\r\nContent-Length: 1\r\n\r\nx" % status)
    assert await read_all(await soon(asking)) == b"x"
    assert not body.touched
    await peer.closed()  # the origin cannot know whether a body will follow


# Leaving.


async def test_an_answer_that_is_closed_early_drops_its_connection_at_once(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    asking = ask(client)
    peer = await scripted.accept()
    peer.send(START + b"Content-Length: 1000000\r\n\r\nbegin")
    response = await soon(asking)
    response.close()
    await peer.closed()
    with pytest.raises(OriginBodyCut, match="closed"):
        await soon(response.read())


async def test_a_whole_answer_that_is_closed_unread_is_not_taken_for_an_empty_one(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    client = connect(scripted.url)
    asking = ask(client)
    (await scripted.accept()).send(OK)
    response = await soon(asking)
    response.close()
    with pytest.raises(OriginBodyCut, match="closed"):
        await soon(response.read())
    assert client.statistics().idle_connections == 1  # the origin was done: its connection is clean


@pytest.mark.parametrize("with_body", [False, True])
async def test_cancelling_while_the_head_is_awaited_drops_the_connection(
    scripted: ScriptedOrigin, connect: Connect, with_body: bool
) -> None:
    body = ScriptedBody(b"part", Gate(), length=10)
    asking = ask(connect(scripted.url), put(body) if with_body else get())
    peer = await scripted.accept()
    await peer.expect_head()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(asking)
    await peer.closed()


async def test_memory_stays_bounded_while_nobody_reads(scripted: ScriptedOrigin, connect: Connect) -> None:
    asking = ask(connect(scripted.url))
    peer = await scripted.accept()
    size = 32 * 1024 * 1024
    peer.send(START + b"Content-Length: %d\r\n\r\n" % size)
    response = await soon(asking)
    peer.send(b"x" * size)
    before = -1
    while before != peer.unsent:  # until the kernel's buffers are full, too
        before = peer.unsent
        await turns(200)
    assert peer.unsent > size // 2
    assert len(await soon(response.read())) <= 256 * 1024
    got = 0
    while piece := await soon(response.read()):
        got += len(piece)
    assert size - 512 * 1024 <= got < size
    response.close()
