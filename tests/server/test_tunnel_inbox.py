"""What a client sends behind an upgrade waits for whoever passes it on, within a bound."""

from __future__ import annotations

import asyncio

from proxy.server.tunnel_inbox import HELD_BYTES, TunnelInbox


class Source:
    held = False

    def hold(self) -> None:
        self.held = True

    def unhold(self) -> None:
        self.held = False


async def test_what_came_is_read_in_one_piece() -> None:
    inbox = TunnelInbox(Source())
    inbox.feed(b"ab")
    inbox.feed(b"c")
    assert await inbox.read() == b"abc"


async def test_a_reader_waits_for_the_next_octets() -> None:
    inbox = TunnelInbox(Source())
    reading = asyncio.ensure_future(inbox.read())
    await asyncio.sleep(0)
    assert not reading.done()
    inbox.feed(b"x")
    assert await reading == b"x"


async def test_the_end_comes_after_all_that_was_sent() -> None:
    inbox = TunnelInbox(Source())
    inbox.feed(b"x")
    inbox.feed_eof()
    assert [await inbox.read(), await inbox.read(), await inbox.read()] == [b"x", b"", b""]


async def test_a_waiting_reader_is_told_of_the_end() -> None:
    inbox = TunnelInbox(Source())
    reading = asyncio.ensure_future(inbox.read())
    await asyncio.sleep(0)
    inbox.feed_eof()
    assert await reading == b""


async def test_a_client_that_sends_more_than_is_held_has_to_wait_until_it_is_read() -> None:
    source = Source()
    inbox = TunnelInbox(source)
    inbox.feed(b"x" * HELD_BYTES)
    assert not source.held
    inbox.feed(b"x")
    assert source.held
    await inbox.read()
    assert not source.held
