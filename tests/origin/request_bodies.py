"""Bodies of client requests for tests of the origin port."""

from __future__ import annotations

from collections.abc import Sequence

from tests.origin.waiting import Gate


class ScriptedBody:
    """A request body of given pieces; an exception among them is raised, a gate waited for."""

    def __init__(
        self, *pieces: bytes | Exception | Gate, length: int | None = None, chunked: bool = False
    ) -> None:
        octets = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
        self.length = None if chunked else octets if length is None else length
        self.touched = False
        self._pieces: Sequence[bytes | Exception | Gate] = pieces
        self._next = 0

    def at_hand(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        self.touched = True
        while self._next < len(self._pieces):
            piece = self._pieces[self._next]
            self._next += 1
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, bytes):
                return piece
            await piece.passed()
        return b""


class BodyAtHand:
    """A request body that is all here."""

    def __init__(self, octets: bytes) -> None:
        self.length = len(octets)
        self.touched = False
        self._octets = octets

    def at_hand(self) -> bytes | None:
        self.touched = True
        return self._octets

    async def read(self) -> bytes:
        raise AssertionError("it was at hand")
