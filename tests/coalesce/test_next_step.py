"""A step is decided without being taken; what each leads to is told in `tests/test_explaining.py`."""

from __future__ import annotations

import asyncio

from proxy.coalesce.next_step import Join, Lead, Pass, Serve, StaleOr, demands_newer, range_is_near
from proxy.errors import FlightFailed
from tests.coalesce.bench import KEY, Bench, body_of, virtually

FRESH = (b"Cache-Control", b"max-age=10")
NO_CACHE = (b"Cache-Control", b"no-cache")


@virtually
async def test_deciding_starts_joins_and_counts_nothing() -> None:
    bench = Bench()
    bench.answers(FRESH)
    step, stand_in = bench.coalescer.foresee(bench.ask())
    assert isinstance(step, Lead)
    assert (step.joinable, stand_in) == (True, None)
    assert bench.coalescer.statistics().started == 0
    leader = bench.asked()
    while not bench.coalescer.statistics().seats:  # noqa: ASYNC110 - seats tell nobody
        await asyncio.sleep(0)
    step, _ = bench.coalescer.foresee(bench.ask())
    assert isinstance(step, Join)
    assert bench.coalescer.statistics().seats == 1
    await body_of(await leader)
    step, stand_in = bench.coalescer.foresee(bench.ask())
    assert isinstance(step, Serve)
    assert step.entry is stand_in is bench.cache.get(KEY, ())


@virtually
async def test_a_head_of_nothing_is_passed_and_a_dead_origin_is_not_asked() -> None:
    bench = Bench()
    assert isinstance(bench.coalescer.foresee(bench.ask(method="HEAD"))[0], Pass)
    bench.cache.keys.mark_unreachable(KEY, "refused", for_s=10.0)
    step, _ = bench.coalescer.foresee(bench.ask())
    assert isinstance(step, StaleOr)
    assert isinstance(step.error, FlightFailed)


@virtually
async def test_what_a_client_demands_is_read_from_its_directives() -> None:
    bench, ignoring = Bench(), Bench(cache={"honour_no_cache": False})
    assert demands_newer(bench.ask(NO_CACHE))
    assert not demands_newer(bench.ask())
    assert not demands_newer(ignoring.ask(NO_CACHE))


@virtually
async def test_a_range_is_near_if_a_fill_will_soon_be_there() -> None:
    bench = Bench(coalesce={"range_ahead_bytes": 100})
    for value, received_bytes, near in (
        (b"bytes=0-", 0, True),
        (b"bytes=100-", 0, True),
        (b"bytes=101-", 0, False),
        (b"bytes=101-", 1, True),
        (b"bytes=-5", 1_000, False),
        (b"bytes=1000-,1-", 0, True),
    ):
        assert range_is_near(bench.ask((b"Range", value)), received_bytes=received_bytes) is near, value
