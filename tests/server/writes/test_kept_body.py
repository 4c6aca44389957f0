"""A request's body that may have to be sent a second time."""

from __future__ import annotations

import pytest

from proxy.server.writes.kept_body import KEEP_BYTES, KeptBody


class Pieces:
    """A body in pieces."""

    def __init__(self, *pieces: bytes, declared: bool = True) -> None:
        self._pieces = [*pieces, b""]
        self.length = sum(map(len, pieces)) if declared else None
        self.touched = False

    def at_hand(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        return self._pieces.pop(0)


async def whole(body: KeptBody) -> list[bytes]:
    pieces = []
    while piece := await body.read():
        pieces.append(piece)
    return pieces


async def test_it_gives_the_body_as_it_comes() -> None:
    body = KeptBody(Pieces(b"a", b"bc"))
    assert body.length == 3
    assert await whole(body) == [b"a", b"bc"]


async def test_what_was_read_is_given_again_and_the_rest_behind_it() -> None:
    body = KeptBody(Pieces(b"a", b"b", b"c"))
    assert [await body.read(), await body.read()] == [b"a", b"b"]
    assert body.rewind()
    assert await whole(body) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("declared", [pytest.param(True, id="declared"), pytest.param(False, id="chunked")])
async def test_it_was_given_when_its_end_was_read(declared: bool) -> None:
    body = KeptBody(Pieces(b"a", b"b", declared=declared))
    await body.read()
    assert not body.given
    await body.read()
    assert body.given == declared
    await body.read()
    assert body.given


async def test_one_that_is_too_long_is_not_kept() -> None:
    body = KeptBody(Pieces(b"a" * KEEP_BYTES, b"b", b"c"))
    await body.read()
    assert not body.touched
    await body.read()
    assert body.touched
    assert not body.rewind()
    assert await whole(body) == [b"c"]


@pytest.mark.parametrize("octets", [b"", b"all"])
async def test_octets_that_are_all_here_are_a_body(octets: bytes) -> None:
    body = KeptBody(None, octets)
    for _ in range(2):
        assert b"".join(await whole(body)) == octets
        assert body.rewind()
    assert body.length == len(octets)
