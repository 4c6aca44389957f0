"""A body that is put together from slices while it is sent.

Theory of operation. The body holds nothing: a reader of it opens one slice after the other, each when it is
wanted, and holds seats in the flights of the few that come next, so that they are on their way. What is
fetched ahead of a client is bounded by that, however slow the client is; slices that are stored already are
opened when they are reached. Where a slice comes from, and that it is of the same representation as those
before, is the source's to see to: it raises, and the client's connection is cut. A slice whose body breaks
off is asked for once more, and read on from where it broke off: it is of the same representation or raises.

Rejected: one body that is filled slice by slice and shared (the slices are shared already, each by those who
want it, and a client that seeks would wait for what it does not want).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from proxy.coalesce.answer import Answer
from proxy.coalesce.ask import Wait
from proxy.coalesce.body import BodyReader, SharedBody
from proxy.coalesce.coalescer import Joined
from proxy.errors import OriginBodyCut, ProxyError
from proxy.policy.partial import numbers_of


@dataclass(slots=True, eq=False)
class Reached:
    """A slice that is on its way: a seat, and since when it is waited for."""

    joined: Joined
    wait: Wait

    def close(self) -> None:
        """Give up the seat. Idempotent."""
        self.joined.seat.leave()


class SliceSource(Protocol):
    """Gives the slices of one representation."""

    def stored(self, number: int) -> SharedBody | None:
        """The slice, if it is stored and at hand."""

    def reach(self, number: int) -> Reached | None:
        """A seat in the flight of a slice, started if need be; None where it takes more than that."""

    async def fetch(self, number: int, reached: Reached | None) -> Answer:
        """The slice; with a seat from `reach` it goes on from that, and gives it up if it fails.

        Raises: RepresentationChanged, and what `Coalescer.answer` raises.
        """


@dataclass(slots=True, eq=False)
class Opening:
    """The slice that the answer began with; it may be taken once."""

    number: int
    answer: Answer


class SlicedBody(SharedBody):
    """A whole of `length` octets. Its `close()` gives up all that its readers hold."""

    __slots__ = ("_opening", "_sliced_readers", "ahead", "slice_bytes", "source")

    def __init__(
        self, source: SliceSource, *, length: int, slice_bytes: int, ahead: int, opening: Opening
    ) -> None:
        super().__init__(expected_bytes=length)
        self.source = source
        self.slice_bytes = slice_bytes
        self.ahead = ahead
        self._opening: Opening | None = opening
        self._sliced_readers: list[SlicedReader] = []

    def __repr__(self) -> str:
        return f"<SlicedBody of {self.expected_bytes} in slices of {self.slice_bytes}>"

    def reader(self, first: int = 0, last: int | None = None) -> BodyReader:
        """A reader from octet `first` up to and including `last`; nothing is fetched before it reads."""
        assert self.expected_bytes is not None, "the length is known from the first slice"
        reader = SlicedReader(self, first, self.expected_bytes - 1 if last is None else last)
        self._sliced_readers.append(reader)
        return reader

    def at_hand(self, first: int, last: int) -> bool:
        """Whether every slice of these octets is in memory."""
        numbers = numbers_of([(first, last)], slice_bytes=self.slice_bytes)
        return all(body is not None and body.whole for body in map(self._stored, numbers))

    def _stored(self, number: int) -> SharedBody | None:
        opening = self._opening
        if opening is not None and opening.number == number:
            return opening.answer.body
        return self.source.stored(number)

    def take_opening(self, number: int) -> Answer | None:
        """The answer that came first, if it is this slice. Another one gives it up: it is not waited for."""
        opening, self._opening = self._opening, None
        if opening is None or opening.number == number:
            return None if opening is None else opening.answer
        opening.answer.close()
        return None

    def close(self) -> None:
        """The exchange is over. Idempotent."""
        self.take_opening(-1)
        for reader in self._sliced_readers:
            reader.close()
        self._sliced_readers.clear()


@dataclass(slots=True, eq=False)
class _Open:
    """The slice that is being read, up to octet `last` of the whole."""

    reader: BodyReader
    last: int
    answer: Answer | None = None

    def close(self) -> None:
        self.reader.close()
        if self.answer is not None:
            self.answer.close()


@dataclass(slots=True, eq=False)
class _Ahead:
    """Slices on their way, by number."""

    reached: dict[int, Reached] = field(default_factory=dict)

    def take(self, number: int) -> Reached | None:
        """That one; those before it are not wanted any more."""
        for other in [other for other in self.reached if other < number]:
            self.reached.pop(other).close()
        return self.reached.pop(number, None)

    def close(self) -> None:
        for reached in self.reached.values():
            reached.close()
        self.reached.clear()


class SlicedReader(BodyReader):
    """Reads one slice after the other; `last` is included."""

    __slots__ = ("_ahead", "_broken", "_last", "_open", "_sliced")

    def __init__(self, body: SlicedBody, first: int, last: int) -> None:
        super().__init__(body, first, last)
        self._sliced = body
        self._last = last
        self._open: _Open | None = None
        self._broken: int | None = None  # the slice that broke off last
        self._ahead = _Ahead()

    def __repr__(self) -> str:
        return f"<SlicedReader at {self.position} of {self._sliced!r}>"

    def read_nowait(self) -> bytes | None:
        """The next piece if it is at hand, `b""` at the end, None if it is not.

        Raises: what the body of the slice failed with.
        """
        if self.position > self._last:
            return b""
        if self._open is None:
            self._open_at_hand()
        opened = self._open
        if opened is None:
            return None
        try:
            piece = opened.reader.read_nowait()
        except ProxyError as error:
            self._broke_off(error)
            return None
        return None if piece is None else self._advance(piece, opened)

    async def read(self) -> bytes:
        """The next piece, `b""` at the end.

        Raises: RepresentationChanged, what `Coalescer.answer` raises, what the body of the slice failed with.
        """
        while True:
            piece = self.read_nowait()
            if piece is not None:
                return piece
            if self._open is None:
                await self._fetch()
            opened = self._open
            assert opened is not None, f"{self!r} has fetched nothing"
            try:
                piece = await opened.reader.read()
            except ProxyError as error:
                self._broke_off(error)
            else:
                return self._advance(piece, opened)

    def close(self) -> None:
        """Give up the slice that is read, and those on their way. Idempotent."""
        if self._open is not None:
            self._open.close()
            self._open = None
        self._ahead.close()

    def _broke_off(self, error: ProxyError) -> None:
        """Give the slice up, to be asked for again. Raises: the error, if that has been tried."""
        if self._broken == self._number:
            raise error
        self._broken = self._number
        if self._open is not None:
            self._open.close()
            self._open = None

    def _advance(self, piece: bytes, opened: _Open) -> bytes:
        if not piece:
            raise OriginBodyCut(f"a slice ended at octet {self.position}, before {opened.last}")
        self.position += len(piece)
        if self.position > opened.last:
            opened.close()
            self._open = None
        return piece

    # opening

    @property
    def _number(self) -> int:
        return self.position // self._sliced.slice_bytes

    def _open_at_hand(self) -> None:
        """Open the slice of the present position, if there is nothing to wait for."""
        number = self._number
        answer = self._sliced.take_opening(number)
        if answer is not None:
            self._opened(number, answer=answer)
            return
        if number in self._ahead.reached:
            return
        body = self._sliced.source.stored(number)
        if body is not None:
            self._opened(number, body=body)

    async def _fetch(self) -> None:
        number = self._number
        reached = self._ahead.take(number)
        self._opened(number, answer=await self._sliced.source.fetch(number, reached))

    def _opened(self, number: int, *, answer: Answer | None = None, body: SharedBody | None = None) -> None:
        begin = number * self._sliced.slice_bytes
        last = min(self._last, begin + self._sliced.slice_bytes - 1)
        first, upto = self.position - begin, last - begin
        if answer is not None:
            reader = answer.reader(first, upto)
        else:
            assert body is not None, "a slice is an answer or a stored body"
            reader = body.reader(first, upto)
        self._open = _Open(reader, last, answer)
        self._reach_ahead(number)

    def _reach_ahead(self, number: int) -> None:
        """Let the slices that come next be on their way."""
        sliced = self._sliced
        end = min(number + sliced.ahead, self._last // sliced.slice_bytes)
        for coming in range(number + 1, end + 1):
            if coming in self._ahead.reached or sliced.source.stored(coming) is not None:
                continue
            reached = sliced.source.reach(coming)
            if reached is not None:
                self._ahead.reached[coming] = reached
