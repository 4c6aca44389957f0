from __future__ import annotations

from proxy.coalesce.answer import Answer, Outcome
from tests.coalesce.bench import Bench, body_of, virtually

FRESH = (b"Cache-Control", b"max-age=10")


@virtually
async def test_a_seats_answer_is_read_from_its_place_in_the_flight() -> None:
    bench = Bench()
    bench.answers(FRESH, body=b"abcdef", piece_bytes=2, pause_s=0.1)
    led, waited = bench.asked(), bench.asked()
    one, other = await led, await waited
    assert isinstance(one, Answer)
    assert isinstance(other, Answer)
    part = other.reader(1, 4)
    assert part is not one.reader()
    taken = b""
    while piece := await part.read():
        taken += piece
    assert taken == b"bcde"
    assert await body_of(one) == b"abcdef"
    other.close()


@virtually
async def test_a_stored_answer_is_read_as_often_as_one_likes() -> None:
    bench = Bench()
    bench.answers(FRESH, body=b"abcdef")
    await body_of(await bench.answered())
    hit = await bench.answered()
    assert hit.outcome is Outcome.HIT
    assert hit.reader(2, 3).read_nowait() == b"cd"
    assert hit.reader().read_nowait() == b"abcdef"
    assert hit.seat is None
    hit.close()


@virtually
async def test_closing_gives_up_the_seat_and_the_place_in_the_body() -> None:
    bench = Bench()
    bench.answers(FRESH, pause_s=1.0)
    answer = await bench.answered()
    assert bench.coalescer.statistics().seats == 1
    answer.close()
    answer.close()
    assert bench.coalescer.statistics().seats == 0
