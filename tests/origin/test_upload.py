"""The request's body on its way: never more and never less than was declared."""

from __future__ import annotations

import pytest

from proxy.errors import ProxyError
from proxy.http.fields import Fields
from proxy.origin.port import ForwardRequest, RequestBody
from tests.origin.asking import HOST, OK, ask, read_all
from tests.origin.conftest import Connect
from tests.origin.request_bodies import BodyAtHand, ScriptedBody
from tests.origin.scripted import ScriptedOrigin
from tests.origin.waiting import soon


def put(body: RequestBody) -> ForwardRequest:
    return ForwardRequest("PUT", b"/a", Fields([HOST]), body=body)


@pytest.mark.parametrize(
    ("length", "sent", "text"),
    [(5, b"", "more than 5"), (9, b"toolong", "less than 9")],
    ids=["more", "less"],
)
async def test_a_body_of_another_length_than_declared_cuts_the_request(
    scripted: ScriptedOrigin, connect: Connect, length: int, sent: bytes, text: str
) -> None:
    asking = ask(connect(scripted.url), put(ScriptedBody(b"toolong", length=length)))
    peer = await scripted.accept()
    with pytest.raises(ProxyError, match=text):
        await soon(asking)
    await peer.closed()
    assert peer.pending.partition(b"\r\n\r\n")[2] in (sent, b"")  # what was not sent yet need not be


async def test_a_bug_in_the_body_ends_the_request(
    scripted: ScriptedOrigin, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    asking = ask(connect(scripted.url), put(ScriptedBody(ZeroDivisionError("a bug"), length=3)))
    with pytest.raises(ProxyError, match="could not be read"):
        await soon(asking)
    assert "upload_failed" in caplog.text


async def test_chunks_carry_the_pieces(scripted: ScriptedOrigin, connect: Connect) -> None:
    asking = ask(connect(scripted.url), put(ScriptedBody(b"ab", b"c" * 16, chunked=True)))
    peer = await scripted.accept()
    await peer.expect_head()
    await peer.expect(b"2\r\nab\r\n10\r\n" + b"c" * 16 + b"\r\n0\r\n\r\n")
    peer.send(OK)
    assert await read_all(await soon(asking)) == b"ok"


async def test_an_empty_chunked_body_is_sent_as_one(scripted: ScriptedOrigin, connect: Connect) -> None:
    asking = ask(connect(scripted.url), put(ScriptedBody(chunked=True)))
    peer = await scripted.accept()
    assert b"\r\nTransfer-Encoding: chunked\r\n" in await peer.expect_head()
    await peer.expect(b"0\r\n\r\n")
    peer.send(OK)
    assert await read_all(await soon(asking)) == b"ok"


async def test_a_body_that_is_at_hand_goes_with_its_head(scripted: ScriptedOrigin, connect: Connect) -> None:
    asking = ask(connect(scripted.url), put(BodyAtHand(b"short")))
    peer = await scripted.accept()
    assert b"\r\nContent-Length: 5\r\n" in await peer.expect_head()
    await peer.expect(b"short")
    peer.send(OK)
    assert await read_all(await soon(asking)) == b"ok"


class NotYet(ScriptedBody):
    """Is read when the origin has asked for it."""

    def at_hand(self) -> bytes | None:
        raise AssertionError("the origin has not asked for it")


async def test_a_body_that_is_at_hand_waits_for_100_all_the_same(
    scripted: ScriptedOrigin, connect: Connect
) -> None:
    body = NotYet(b"short")
    request = ForwardRequest("PUT", b"/a", Fields([HOST]), body=body, expect_continue=True)
    asking = ask(connect(scripted.url), request)
    peer = await scripted.accept()
    await peer.expect_head()
    assert not body.touched
    peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    await peer.expect(b"short")
    peer.send(OK)
    assert await read_all(await soon(asking)) == b"ok"
