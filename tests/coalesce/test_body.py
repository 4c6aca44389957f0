from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.coalesce import body as body_module
from proxy.coalesce.body import SMALL_PIECES, BodyReader, ReaderLagged, SharedBody
from proxy.errors import OriginBodyCut
from tests.origin.waiting import turns

AHEAD = 100
WINDOW = 2 * AHEAD


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "READ_AHEAD_BYTES", AHEAD)


def _body() -> SharedBody:
    return SharedBody(window_bytes=1)  # the least window: twice the read-ahead


def _octets(first: int, count: int) -> bytes:
    return bytes((first + place) % 251 for place in range(count))


def _take_all(reader: BodyReader) -> bytes:
    taken = b""
    while piece := reader.read_nowait():
        taken += piece
    return taken


# keeping


def test_every_reader_gets_every_octet_at_its_own_pace() -> None:
    body = _body()
    early = body.reader()
    assert early.read_nowait() is None
    body.append(b"ab")
    assert early.read_nowait() == b"ab"
    late = body.reader()
    body.append(b"cd")
    body.finish()
    assert _take_all(early) == b"cd"
    assert _take_all(late) == b"abcd"
    assert early.read_nowait() == late.read_nowait() == b""


def test_a_piece_is_one_object_however_many_read_it() -> None:
    body = _body()
    readers = [body.reader() for _ in range(3)]
    piece = bytes(50)
    body.append(piece)
    assert all(reader.read_nowait() is piece for reader in readers)


def test_an_empty_piece_is_nothing() -> None:
    body = _body()
    reader = body.reader()
    body.append(b"")
    assert reader.read_nowait() is None


def test_a_body_that_broke_off_gives_what_came_and_then_the_error() -> None:
    body = _body()
    reader = body.reader()
    body.append(b"ab")
    body.fail(OriginBodyCut("cut"))
    assert reader.read_nowait() == b"ab"
    for _ in range(2):
        with pytest.raises(OriginBodyCut):
            reader.read_nowait()
    assert not body.whole


def test_its_length_is_what_was_declared_until_it_is_known() -> None:
    body = SharedBody(10)
    assert body.length == 10
    body.append(b"ab")
    body.finish()
    assert body.length == 2
    assert SharedBody().length is None


async def test_a_keeping_writer_never_waits() -> None:
    body = _body()
    body.reader()
    body.append(bytes(1_000))
    await body.wait_room()


def test_small_pieces_are_joined_at_the_end_and_readers_keep_their_place() -> None:
    body = _body()
    fresh, middle, done, far = body.reader(), body.reader(), body.reader(), body.reader(3, 4)
    for piece in (b"ab", b"cd", b"ef"):
        body.append(piece)
    middle.read_nowait()
    for _ in range(3):
        done.read_nowait()
    assert far.read_nowait() == b"d"
    body.finish()
    assert list(body.pieces) == [b"abcdef"]
    assert (_take_all(fresh), _take_all(middle), _take_all(done), _take_all(far)) == (
        b"abcdef",
        b"cdef",
        b"",
        b"e",
    )


def test_an_origin_that_sends_octet_by_octet_costs_no_object_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body_module, "READ_AHEAD_BYTES", 10_000)
    body = _body()
    behind, level = body.reader(), body.reader()
    for place in range(3 * SMALL_PIECES):
        body.append(_octets(place, 1))
        if place % 7 == 0:
            level.read_nowait()
    assert len(body._pieces) < 2 * SMALL_PIECES
    body.finish()
    expected = _octets(0, 3 * SMALL_PIECES)
    assert _take_all(behind) == expected
    assert expected.endswith(_take_all(level))


def test_a_large_body_is_not_joined() -> None:
    body = _body()
    for _ in range(3):
        body.append(bytes(AHEAD))
    body.finish()
    assert len(body.pieces) == 3


# ranges


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        pytest.param(0, None, b"abcdef", id="whole"),
        pytest.param(0, 0, b"a", id="the-first"),
        pytest.param(1, 4, b"bcde", id="over-pieces"),
        pytest.param(2, 3, b"cd", id="one-piece"),
        pytest.param(5, 5, b"f", id="the-last"),
        pytest.param(5, 99, b"f", id="past-the-end"),
        pytest.param(6, 9, b"", id="after-the-end"),
    ],
)
@pytest.mark.parametrize("narrowed", [False, True])
def test_a_range_is_read_alone(first: int, last: int | None, expected: bytes, *, narrowed: bool) -> None:
    body = _body()
    if narrowed and last is not None:
        reader = body.reader()
        reader.narrow(first, last)
    else:
        reader = body.reader(first, last)
    for piece in (b"ab", b"cd", b"ef"):
        body.append(piece)
    body.fail(OriginBodyCut("cut")) if last is not None and last < 6 else body.finish()
    assert _take_all(reader) == expected


def test_narrowing_comes_before_reading() -> None:
    body = _body()
    reader = body.reader()
    body.append(b"ab")
    reader.read_nowait()
    with pytest.raises(AssertionError):
        reader.narrow(0, 1)


# passing


def test_what_every_reader_has_taken_is_dropped() -> None:
    body = _body()
    fast, slow = body.reader(), body.reader()
    body.stop_keeping()
    for _ in range(3):
        body.append(b"ab")
        fast.read_nowait()
    assert len(body._pieces) == 3
    slow.read_nowait()
    assert len(body._pieces) == 2
    slow.close()
    assert len(body._pieces) == 0


def test_nothing_is_held_for_nobody() -> None:
    body = _body()
    body.append(b"ab")
    body.stop_keeping()
    assert len(body._pieces) == 0


def test_an_ended_body_stays_as_it_is() -> None:
    body = SharedBody.complete([b"ab"])
    body.stop_keeping()
    assert body.whole
    assert _take_all(body.reader()) == b"ab"


def test_no_reader_begins_where_nothing_is_left() -> None:
    body = _body()
    reader = body.reader()
    body.stop_keeping()
    body.append(b"ab")
    reader.read_nowait()
    with pytest.raises(AssertionError):
        body.reader()


async def _waits_for_room(body: SharedBody) -> asyncio.Task[None]:
    task = asyncio.get_running_loop().create_task(body.wait_room())
    await turns()
    return task


async def test_a_passing_writer_is_paced_by_the_fastest_reader() -> None:
    body = _body()
    fast, slow = body.reader(), body.reader()
    body.stop_keeping()
    body.append(bytes(AHEAD))
    task = await _waits_for_room(body)
    assert not task.done()
    fast.read_nowait()
    await turns()
    assert task.done()
    assert slow.read_nowait() == bytes(AHEAD)


async def _close(reader: BodyReader) -> None:
    reader.close()


async def _narrow(reader: BodyReader) -> None:
    reader.narrow(AHEAD + 50, AHEAD + 60)


@pytest.mark.parametrize("act", [_close, _narrow])
async def test_a_writer_goes_on_when_its_only_reader_wants_nothing_of_what_there_is(act: object) -> None:
    body = _body()
    reader = body.reader()
    body.stop_keeping()
    body.append(bytes(AHEAD))
    task = await _waits_for_room(body)
    await act(reader)  # type: ignore[operator]
    await turns()
    assert task.done()


def test_who_falls_a_window_behind_the_fastest_is_cut_off() -> None:
    body = _body()
    fast, slow = body.reader(), body.reader()
    body.stop_keeping()
    for _ in range(3):
        body.append(bytes(AHEAD))
        fast.read_nowait()
    assert fast.read_nowait() is None
    for _ in range(2):
        with pytest.raises(ReaderLagged):
            slow.read_nowait()


def test_a_lonely_reader_is_never_cut_off() -> None:
    body = _body()
    reader = body.reader()
    body.stop_keeping()
    for _ in range(5):
        body.append(bytes(AHEAD))
    body.finish()
    assert len(_take_all(reader)) == 5 * AHEAD


# waiting


async def test_a_reader_waits_for_what_comes() -> None:
    body = _body()
    readers = [body.reader() for _ in range(3)]
    tasks = [asyncio.get_running_loop().create_task(reader.read()) for reader in readers]
    await turns()
    tasks[1].cancel()
    body.append(b"ab")
    await turns()
    assert tasks[0].result() == tasks[2].result() == b"ab"
    assert await readers[1].read() == b"ab"
    body.finish()
    assert await readers[0].read() == b""


# against a model


@dataclass(slots=True)
class Model:
    """A reader, and what it is still to get: everything from `position` to `end`."""

    reader: BodyReader
    position: int
    end: int
    taken: int = 0
    open: bool = True


@dataclass(slots=True)
class Play:
    """A body beside the plain octets that it stands for."""

    body: SharedBody = field(default_factory=_body)
    octets: bytes = b""
    readers: list[Model] = field(default_factory=list)
    kept: bool = True

    def append(self, count: int) -> None:
        if not self.body.ended:
            piece = _octets(len(self.octets), count)
            self.octets += piece
            self.body.append(piece)

    def join(self, first: int) -> None:
        if self.kept:
            last = None if first % 3 == 0 else first + 40
            self.readers.append(
                Model(self.body.reader(first, last), first, 10**9 if last is None else last + 1)
            )

    def read(self, number: int) -> None:
        model = self._model(number)
        if model is None:
            return
        expected = self.octets[model.position : model.end]
        try:
            piece = model.reader.read_nowait()
        except ReaderLagged:
            assert not self.kept
            assert len(self.octets) - model.position > WINDOW - AHEAD
            model.open = False
            return
        if piece:
            assert expected.startswith(piece)
            model.position += len(piece)
        else:
            assert expected == b""
            assert (piece is None) == (not self.body.ended and model.position < model.end)

    def close(self, number: int) -> None:
        model = self._model(number)
        if model is not None:
            model.reader.close()
            model.open = False

    def stop_keeping(self, _number: int) -> None:
        if not self.body.ended:
            self.body.stop_keeping()
            self.kept = False

    def finish(self, number: int) -> None:
        if number == 7 and not self.body.ended:
            self.body.finish()

    def _model(self, number: int) -> Model | None:
        there = [model for model in self.readers if model.open]
        return there[number % len(there)] if there else None

    def moves(self) -> Iterator[str]:
        yield from ("append", "append", "read", "read", "read", "join", "close", "stop_keeping", "finish")


@given(st.lists(st.tuples(st.sampled_from(tuple(Play().moves())), st.integers(0, 60)), max_size=60))
@pytest.mark.slow
def test_every_reader_gets_exactly_its_octets_whatever_happens(moves: list[tuple[str, int]]) -> None:
    play = Play()
    for name, number in moves:
        getattr(play, name)(number)
    if not play.body.ended:
        play.body.finish()
    for model in play.readers:
        if not model.open:
            continue
        taken = b""
        try:
            while piece := model.reader.read_nowait():
                taken += piece
        except ReaderLagged:
            continue
        assert taken == play.octets[model.position : model.end]
