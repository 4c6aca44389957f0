"""The body that a flight and its readers share.

Theory of operation. One writer (the fill) appends pieces; any number of readers hold a position each and
take what is there, at their own pace. A piece is one `bytes` object however many readers write it to
their sockets, so the memory is one body and a small object per reader.

Three regimes; those further down are never left upwards:

    keeping   every piece is kept: the body will be stored. Readers never slow the writer.
    spooling  it is kept, too, but what is in the spool (a file) leaves memory, except for the last of it: a
              quarter of the window. Who is further behind, or comes late, reads the spool. A spool that
              `lags` is waited for (`wait_room`) while no reader waits for more; where one does, whoever
              keeps the body is to be patient for a moment (`wait_spool`), and then to give the spool up
              rather than let the disk slow the clients.
    passing   the body is too large to store, or not for storing: pieces that every reader has taken are
              dropped. The writer is paced by the *fastest* reader (`wait_room`), so that one client's
              download costs a window, not a body; a reader that falls a whole window behind the
              fastest is cut off, so that the slow never slow the others. What a spool has got before it was
              given up can still be read from it, so nobody is cut off on the way from spooling to here.

An ended body never changes again, but for what leaves memory; the cache keeps the same object, and a hit is
one more reader. Rejected: a queue per reader (memory grows with readers × lag), and pacing by the slowest
(one stalled phone would stop the herd).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from proxy.errors import ProxyError

SMALL_PIECES = 256
"""So many pieces in a row are joined if together they are no more than a usual read: an origin that sends
octet by octet would otherwise cost fifty times the body in objects."""

READ_AHEAD_BYTES = 512 * 1024
"""In the passing regime the writer may be this far ahead of the fastest reader: enough to keep a fast
client busy while the next piece is on its way, and small beside a window."""


class Spool(Protocol):
    """Where the octets of a body are that have left memory."""

    @property
    def readable_bytes(self) -> int:
        """Octets from the first that can be read back; grows only."""

    def piece_nowait(self, position: int) -> bytes | None:
        """Octets from `position` on if they are at hand, else None."""

    async def piece(self, position: int) -> bytes:
        """Octets from `position` on."""


class ReaderLagged(ProxyError):
    """This reader fell a whole window behind the fastest one and its bytes are gone."""


class BodyReader:
    """One reader's place in a body: the octets from `first` up to and including `last` (None: to the end)."""

    __slots__ = ("_body", "_end", "_index", "_skip", "lagged", "position")

    def __init__(self, body: SharedBody, first: int, last: int | None) -> None:
        self._body = body
        self._end = None if last is None else last + 1
        self.position = first
        self._index = 0  # number of the next piece, counted from the first piece ever
        self._skip = first  # octets before `first`, still to be passed over
        self.lagged = False

    def __repr__(self) -> str:
        return f"<BodyReader at {self.position} of {self._body!r}>"

    def narrow(self, first: int, last: int) -> None:
        """Read only the octets from `first` up to and including `last`. Before the first read."""
        assert self.position == self._index == 0, f"{self!r} has begun to read"
        self.position = self._skip = first
        self._end = last + 1
        self._body._taken()  # the writer may wait for this reader to take what it does not want

    def read_nowait(self) -> bytes | None:
        """The next piece if there is one, `b""` at the end, None if it has not come yet.

        Raises: ReaderLagged, and what the body failed with, once all that came before is taken.
        """
        body = self._body
        if self.lagged:
            raise ReaderLagged("the client fell too far behind the other readers of a body too large to keep")
        if self._end is not None and self.position >= self._end:
            return b""
        while True:
            if self._index < body._base:  # its next piece has left memory
                if self.position < body._base_at:
                    piece = body._spooled_nowait(self.position)
                    return None if piece is None else self._took(piece)
                self._index, self._skip = body._find(self.position)
            piece = body._piece(self._index)
            if piece is None:
                if body.error is not None:
                    raise body.error
                return b"" if body.ended else None
            self._index += 1
            if self._skip >= len(piece):
                self._skip -= len(piece)
                body._taken()
                continue
            if self._skip:
                piece, self._skip = piece[self._skip :], 0
            return self._took(piece)

    async def read(self) -> bytes:
        """The next piece, `b""` at the end. Raises as `read_nowait`."""
        body = self._body
        while True:
            piece = self.read_nowait()
            if piece is not None:
                return piece
            if self._index < body._base:
                return self._took(await body._spooled(self.position))
            await body.wait_progress()

    def _took(self, piece: bytes) -> bytes:
        if self._end is not None and self.position + len(piece) > self._end:
            piece = piece[: self._end - self.position]
        self.position += len(piece)
        self._body._taken()
        return piece

    def close(self) -> None:
        """Leave: what only this reader still needed may be dropped. Idempotent."""
        self._body._leave(self)


class _Filling:
    """What a body has besides while it is filled and read as it comes."""

    __slots__ = ("parked", "readers", "room", "spool_allowance_bytes", "tail", "tail_at", "window_bytes")

    def __init__(self, window_bytes: int) -> None:
        self.window_bytes = window_bytes
        self.tail = 0  # number of the first piece that may still be joined with those after it,
        self.tail_at = 0  # and the octet that it begins with
        self.spool_allowance_bytes = 0
        self.readers: set[BodyReader] = set()
        self.parked: list[asyncio.Future[None]] = []
        self.room: asyncio.Future[None] | None = None


_FILLED = _Filling(2 * READ_AHEAD_BYTES)
"""That of every body that is settled; nothing in it changes."""


class SharedBody:
    """An append-only sequence of octets with one writer and many readers.

    `expected_bytes` is the declared length, None if unknown.
    """

    __slots__ = (
        "__weakref__",
        "_base",
        "_base_at",
        "_filling",
        "_keeping",
        "_pieces",
        "_spool",
        "ended",
        "ends_with_connection",
        "error",
        "expected_bytes",
        "received_bytes",
    )

    def __init__(self, expected_bytes: int | None = None, *, window_bytes: int = 16 * 1024 * 1024) -> None:
        self.expected_bytes = expected_bytes
        self.ends_with_connection = False  # set by the writer: the end cannot be told from a cut
        self.received_bytes = 0
        self.ended = False
        self.error: ProxyError | None = None
        self._pieces: list[bytes] = []
        self._base = 0  # number of the first piece still held,
        self._base_at = 0  # and the octet that it begins with
        self._keeping = True
        self._spool: Spool | None = None
        self._filling = _Filling(max(window_bytes, 2 * READ_AHEAD_BYTES))

    @classmethod
    def complete(cls, pieces: Sequence[bytes]) -> SharedBody:
        """An ended body of these pieces."""
        body = cls()
        for piece in pieces:
            body.append(piece)
        body.finish()
        return body

    def __repr__(self) -> str:
        state = "failed" if self.error else "ended" if self.ended else "open"
        regime = "passing" if not self._keeping else "keeping" if self._spool is None else "spooling"
        octets = f"{self.received_bytes}/{self.expected_bytes}"
        return f"<SharedBody {state} {regime} {octets} {len(self._filling.readers)} readers>"

    @property
    def keeping(self) -> bool:
        """Whether every octet from the first is still here, in memory or in a spool."""
        return self._keeping

    @property
    def held_bytes(self) -> int:
        """Octets in memory."""
        return self.received_bytes - self._base_at

    @property
    def whole(self) -> bool:
        """Whether every octet of a proper body is here, in memory."""
        return self.ended and self._base == 0 and self.error is None

    @property
    def length(self) -> int | None:
        """Octets of the whole body, as far as known."""
        return self.received_bytes if self.ended and self.error is None else self.expected_bytes

    @property
    def pieces(self) -> Sequence[bytes]:
        """The pieces of an ended, kept body."""
        assert self.whole, f"the pieces of {self!r} are not its body"
        return self._pieces

    # the writer's side

    def append(self, piece: bytes) -> None:
        """Add octets and wake the readers. Never waits."""
        assert not self.ended, f"append to {self!r}"
        if not piece:
            return
        self._pieces.append(piece)
        self.received_bytes += len(piece)
        if not self._keeping:
            self._cut_laggards()
        elif len(self._pieces) - self._filling.tail >= SMALL_PIECES:
            self._join_tail()
        self._wake()

    def finish(self) -> None:
        """The body is whole."""
        self.ended = True
        if self._keeping and self.received_bytes <= READ_AHEAD_BYTES and len(self._pieces) > 1:
            filling = self._filling
            filling.tail, filling.tail_at = self._base, self._base_at  # a small one is written with one call
            self._join_tail()
        self._wake()
        if self._keeping and self._spool is None:
            self._settle()

    def fail(self, error: ProxyError) -> None:
        """The body broke off: readers get what came, then the error."""
        self.ended = True
        self.error = error
        self._wake()

    def stop_keeping(self) -> None:
        """Go over to the passing regime; no new reader may start at the beginning after this.

        An ended body stays as it is: others may be reading it from the cache.
        """
        if self._keeping and not self.ended:
            self._keeping = False
            self._drop_taken()

    def spool_to(self, spool: Spool) -> Sequence[bytes]:
        """Go over to the spooling regime; gives what the spool has to be given first.

        Tell of its progress by `spooled`.
        """
        assert self.keeping, f"{self!r} has dropped what the spool has to be given"
        assert not self.ended, f"{self!r} is to be spooled, but has ended"
        self._spool = spool
        self._filling.spool_allowance_bytes = self._filling.window_bytes * 3 // 4 + self.received_bytes
        return tuple(self._pieces)

    def spooled(self) -> None:
        """The spool can be read further: what is in it leaves memory, but for the last of it."""
        assert self._spool is not None, f"{self!r} has no spool"
        hot_bytes = 0 if self.ended else self._filling.window_bytes // 4
        upto = min(self._spool.readable_bytes, self.received_bytes - hot_bytes)
        count, at = 0, self._base_at
        while count < len(self._pieces) and at + len(self._pieces[count]) <= upto:
            at += len(self._pieces[count])
            count += 1
        self._drop(count)
        self._give_room()

    @property
    def lags(self) -> bool:
        """Whether the spool is so far behind that memory would grow."""
        spool = self._spool
        if spool is None:
            return False
        return self.received_bytes - spool.readable_bytes > self._filling.spool_allowance_bytes

    @property
    def awaited(self) -> bool:
        """Whether the fastest reader is less than the read-ahead behind."""
        readers = self._filling.readers
        fastest = max((reader.position for reader in readers), default=0)
        return bool(readers) and self.received_bytes - fastest < READ_AHEAD_BYTES

    async def wait_room(self) -> None:
        """Wait until more may come: for the fastest reader, or for the spool while no reader is waiting."""
        while not self._has_room():
            await self._wait_change()

    async def wait_spool(self) -> None:
        """Wait until the spool lags no more, whoever waits."""
        while self.lags:
            await self._wait_change()

    # the readers' side

    def reader(self, first: int = 0, last: int | None = None) -> BodyReader:
        """A new reader, from octet `first` up to and including `last`."""
        assert self._base == 0 or self._keeping, f"{self!r} has dropped its beginning"
        reader = BodyReader(self, first, last)
        if not self.ended:  # an ended body drops nothing and paces nobody, so it keeps no list
            self._filling.readers.add(reader)
        return reader

    async def wait_progress(self) -> None:
        """Wait until something was appended, or the body ended."""
        assert not self.ended, f"{self!r} makes no progress"
        future = asyncio.get_running_loop().create_future()
        self._filling.parked.append(future)
        await future

    # inside

    def _settle(self) -> None:
        """Ended, and kept in memory: a cache is full of such, so let it keep what it needs to be read."""
        self._filling = _FILLED
        self._pieces = self._pieces[:]  # without the room that a list keeps to grow
        if self.expected_bytes == self.received_bytes:
            self.expected_bytes = self.received_bytes  # one object instead of two

    def _wake(self) -> None:
        parked, self._filling.parked = self._filling.parked, []
        for future in parked:
            if not future.done():
                future.set_result(None)

    def _piece(self, number: int) -> bytes | None:
        place = number - self._base
        return self._pieces[place] if place < len(self._pieces) else None

    def _find(self, position: int) -> tuple[int, int]:
        """Number of the piece in memory that has this octet, and its place there; it may not have come."""
        number, at = self._base, self._base_at
        for piece in self._pieces:
            if at + len(piece) > position:
                break
            number, at = number + 1, at + len(piece)
        return number, position - at

    def _leave_to(self, spool: Spool) -> None:
        """All octets are in this spool, and none in memory."""
        self._spool = spool
        self.received_bytes = self._base_at = spool.readable_bytes
        self._base = 1  # no reader has taken a piece: all begin in the spool

    def _spooled_nowait(self, position: int) -> bytes | None:
        assert self._spool is not None, f"{self!r} has dropped what {position} is in"
        return self._spool.piece_nowait(position)

    async def _spooled(self, position: int) -> bytes:
        assert self._spool is not None, f"{self!r} has dropped what {position} is in"
        return await self._spool.piece(position)

    def _join_tail(self) -> None:
        """Join the pieces since the last large one; readers among them find their place by octets."""
        filling = self._filling
        tail_bytes = self.received_bytes - filling.tail_at
        if tail_bytes <= READ_AHEAD_BYTES:
            place = filling.tail - self._base
            self._pieces[place:] = [b"".join(self._pieces[place:])]
            for reader in filling.readers:
                if reader._index > filling.tail:
                    reader._index, reader._skip = filling.tail, reader.position - filling.tail_at
        if tail_bytes > READ_AHEAD_BYTES // 8:
            filling.tail, filling.tail_at = self._base + len(self._pieces), self.received_bytes

    def _has_room(self) -> bool:
        if self._keeping:
            return not self.lags or self.awaited
        return not self._filling.readers or self.awaited

    def _taken(self) -> None:
        if not self._keeping:
            self._drop_taken()
        if self._filling.room is not None:
            self._give_room()

    async def _wait_change(self) -> None:
        self._filling.room = asyncio.get_running_loop().create_future()
        try:
            await self._filling.room
        finally:
            self._filling.room = None

    def _give_room(self) -> None:
        room = self._filling.room
        if room is not None and not room.done() and (self._spool is not None or self._has_room()):
            room.set_result(None)

    def _drop_taken(self) -> None:
        end = self._base + len(self._pieces)
        slowest = min((reader._index for reader in self._filling.readers), default=end)
        if slowest > self._base:
            self._drop(slowest - self._base)

    def _drop(self, count: int) -> None:
        """So many pieces leave memory."""
        self._base_at += sum(map(len, self._pieces[:count]))
        del self._pieces[:count]
        self._base += count
        filling = self._filling
        if filling.tail < self._base:
            filling.tail, filling.tail_at = self._base, self._base_at

    def _cut_laggards(self) -> None:
        readers = self._filling.readers
        if len(readers) < 2:
            return
        oldest_kept = self.received_bytes - self._filling.window_bytes
        for reader in [reader for reader in readers if reader.position < oldest_kept]:
            reader.lagged = True
            readers.discard(reader)
        self._drop_taken()

    def _leave(self, reader: BodyReader) -> None:
        if reader in self._filling.readers:
            self._filling.readers.discard(reader)
            if not self._keeping and not self.ended:
                self._drop_taken()
                self._give_room()
