"""Reading a body that is put together from slices: what is fetched, when, and what is given up."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from proxy.cache.entry import HeadMemo
from proxy.coalesce.answer import Answer, Outcome
from proxy.coalesce.ask import Wait
from proxy.coalesce.body import SharedBody
from proxy.coalesce.coalescer import Joined
from proxy.coalesce.outcomes import Role
from proxy.coalesce.seat import Seat
from proxy.coalesce.sliced_body import Opening, Reached, SlicedBody
from proxy.errors import OriginBodyCut
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.cache_status import ForwardReason

OCTETS = bytes(range(100))
SIZE = 10


class InFlight:
    """The flight of one slice, as its seats see it."""

    def __init__(self, body: SharedBody) -> None:
        self.body = body
        self.asked_mono = 0.0
        self.left = 0

    def give_up(self, seat: Seat) -> None:
        self.left += 1

    def tell(self, seat: Seat) -> None:
        raise AssertionError("nobody is parked here")


@dataclass
class Slices:
    """A source that notes what it is asked for."""

    kept: set[int] = field(default_factory=set)
    fetched: list[int] = field(default_factory=list)
    flights: dict[int, InFlight] = field(default_factory=dict)
    short: int | None = None
    breaks: dict[int, int] = field(default_factory=dict)
    """How often a slice breaks off in its middle."""

    def body_of(self, number: int) -> SharedBody:
        if self.breaks.get(number, 0):
            self.breaks[number] -= 1
            body = SharedBody(SIZE)
            body.append(OCTETS[number * SIZE : number * SIZE + 3])
            body.fail(OriginBodyCut("broken off"))
            return body
        octets = OCTETS[number * SIZE : (number + 1) * SIZE]
        return SharedBody.complete([octets[:4], octets[4:5] if number == self.short else octets[4:]])

    def answer_of(self, number: int) -> Answer:
        head = ResponseHead(206, Fields())
        return Answer(head, self.body_of(number), Outcome.HIT, HeadMemo(), received_at=0.0)

    def stored(self, number: int) -> SharedBody | None:
        return self.body_of(number) if number in self.kept else None

    def reach(self, number: int) -> Reached | None:
        flight = self.flights[number] = InFlight(self.body_of(number))
        seat = Seat(flight, Role.LEADER, RequestHead("GET", b"/", Fields()), epoch=0, joined_mono=0.0)
        return Reached(Joined(seat, ForwardReason.URI_MISS), Wait(0.0, 9.0))

    async def fetch(self, number: int, reached: Reached | None) -> Answer:
        self.fetched.append(number)
        assert (reached is None) == (number not in self.flights), "what is on its way is not asked for again"
        if reached is not None:
            reached.close()
        return self.answer_of(number)


def sliced(source: Slices, *, opening: int = 0, ahead: int = 1) -> SlicedBody:
    first = Opening(opening, source.answer_of(opening))
    return SlicedBody(source, length=len(OCTETS), slice_bytes=SIZE, ahead=ahead, opening=first)


async def octets_of(body: SlicedBody, first: int = 0, last: int | None = None) -> bytes:
    reader = body.reader(first, last)
    pieces = []
    while piece := await reader.read():
        pieces.append(piece)
    assert reader.read_nowait() == b""
    return b"".join(pieces)


@pytest.mark.parametrize(("first", "last"), [(0, 99), (0, 0), (9, 10), (15, 47), (99, 99), (90, 99), (0, 9)])
async def test_a_span_is_read_from_the_slices_that_it_touches(first: int, last: int) -> None:
    source = Slices()
    assert await octets_of(sliced(source), first, last) == OCTETS[first : last + 1]
    numbers = list(range(first // SIZE, last // SIZE + 1))
    assert source.fetched == [number for number in numbers if number != 0]


async def test_the_whole_is_read_from_the_first_octet_to_the_last() -> None:
    body = sliced(Slices(kept={1, 2, 7}))
    assert body.length == len(OCTETS)
    assert not body.whole
    assert await octets_of(body) == OCTETS


async def test_only_so_many_slices_are_on_their_way_ahead_of_the_reader() -> None:
    source = Slices()
    body = sliced(source, ahead=2)
    reader = body.reader()
    assert source.flights == {}, "nothing is fetched before somebody reads"
    await reader.read()
    assert sorted(source.flights) == [1, 2]
    await reader.read()
    assert sorted(source.flights) == [1, 2, 3]
    body.close()
    assert [source.flights[number].left for number in (1, 2, 3)] == [1, 1, 1]
    body.close()


async def test_nothing_is_fetched_ahead_beyond_what_is_wanted() -> None:
    source = Slices()
    await octets_of(sliced(source, ahead=4), 0, 15)
    assert sorted(source.flights) == [1]


async def test_what_is_stored_is_read_without_waiting_and_never_fetched() -> None:
    source = Slices(kept=set(range(10)))
    reader = sliced(source).reader(5, 25)
    pieces = []
    while piece := reader.read_nowait():
        pieces.append(piece)
    assert b"".join(pieces) == OCTETS[5:26]
    assert (source.fetched, source.flights) == ([], {})


async def test_the_slice_that_came_first_is_taken_where_it_is_wanted_and_given_up_elsewhere() -> None:
    source = Slices()
    assert await octets_of(sliced(source, opening=3), 30, 39) == OCTETS[30:40]
    assert source.fetched == []
    assert await octets_of(sliced(source, opening=3), 20, 39) == OCTETS[20:40]
    assert source.fetched == [2, 3]


async def test_two_readers_of_one_body_each_get_their_own() -> None:
    source = Slices()
    body = sliced(source)
    assert await octets_of(body, 0, 5) + await octets_of(body, 2, 3) == OCTETS[0:6] + OCTETS[2:4]


async def test_a_slice_that_is_too_short_is_a_cut_body() -> None:
    with pytest.raises(OriginBodyCut):
        await octets_of(sliced(Slices(short=2)))


@pytest.mark.parametrize("broken", [0, 4, 9])
async def test_a_slice_that_breaks_off_is_asked_for_again_and_read_on(broken: int) -> None:
    source = Slices(breaks={broken: 1})
    assert await octets_of(sliced(source, ahead=0)) == OCTETS
    assert source.fetched.count(broken) == (1 if broken == 0 else 2)


async def test_a_slice_that_breaks_off_twice_is_given_up() -> None:
    source = Slices(breaks={4: 2})
    with pytest.raises(OriginBodyCut):
        await octets_of(sliced(source, ahead=0))
    assert source.fetched == [1, 2, 3, 4, 4]
