"""Bodies of writes that are being received."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from proxy.errors import ClientGone, QueueFull
from proxy.server.request_body import ClientBody
from proxy.server.writes.uploads import Uploads


class _Body:
    """Comes in the pieces that it is given; None is a client that leaves."""

    def __init__(self, *, here: bytes | None = None) -> None:
        self._here = here
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    def at_hand(self) -> bytes | None:
        return self._here

    async def read(self) -> bytes:
        piece = await self._pieces.get()
        if piece is None:
            raise ClientGone("left")
        return piece

    def come(self, *pieces: bytes | None) -> None:
        for piece in pieces:
            self._pieces.put_nowait(piece)


def _whole(uploads: Uploads, body: _Body) -> asyncio.Task[bytes]:
    return asyncio.get_running_loop().create_task(uploads.whole(cast(ClientBody, body)))


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_has_come_counts_until_it_is_whole() -> None:
    uploads, body = Uploads(max_bytes=10, queued_bytes=lambda: 0), _Body()
    reading = _whole(uploads, body)
    body.come(b"abc", b"de")
    await _turns()
    assert uploads.bytes == 5
    body.come(b"")
    assert await reading == b"abcde"
    assert uploads.bytes == 0


async def test_a_body_that_is_here_is_counted_where_it_is_queued() -> None:
    uploads = Uploads(max_bytes=10, queued_bytes=lambda: 10)
    assert await _whole(uploads, _Body(here=b"abc")) == b"abc"


async def test_what_comes_on_top_is_refused_and_leaves_room_for_the_others() -> None:
    queued = 3
    uploads = Uploads(max_bytes=10, queued_bytes=lambda: queued)
    first, second = _Body(), _Body()
    reading, refused = _whole(uploads, first), _whole(uploads, second)
    first.come(b"12345")
    await _turns()
    second.come(b"123")
    with pytest.raises(QueueFull, match="8 octets of writes are being received and 3 are queued"):
        await refused
    first.come(b"67", b"")
    assert await reading == b"1234567"
    assert uploads.bytes == 0


@pytest.mark.parametrize("cancelled", [False, True], ids=["client left", "cancelled"])
async def test_an_upload_that_breaks_off_takes_no_room(cancelled: bool) -> None:
    uploads, body = Uploads(max_bytes=10, queued_bytes=lambda: 0), _Body()
    reading = _whole(uploads, body)
    body.come(b"12345678")
    await _turns()
    if cancelled:
        reading.cancel()
    else:
        body.come(None)
    with pytest.raises((ClientGone, asyncio.CancelledError)):
        await reading
    assert uploads.bytes == 0
