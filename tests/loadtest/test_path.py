"""The ways that the benchmark times: each is answered rightly, and leaves the collector nothing to find."""

from __future__ import annotations

import gc

import pytest

from loadtest.bench.path import KINDS, Kind, measure

REQUESTS = 100


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in KINDS])
async def test_exchanges_leave_no_cycles_behind(kind: Kind) -> None:
    stage, requests = kind.make(), kind.requests()
    await stage.start()
    await stage.clients.ask([next(requests) for _ in range(REQUESTS)])
    batch = [next(requests) for _ in range(REQUESTS)]
    gc.collect()
    gc.disable()
    try:
        await stage.clients.ask(batch)
        found = gc.collect()
    finally:
        gc.enable()
    await stage.close()
    assert found < REQUESTS, f"{found} objects in cycles after {REQUESTS} requests"


@pytest.mark.slow
def test_each_way_has_its_line() -> None:
    told = measure(rounds=1, requests=70).text
    assert all(kind.name in told for kind in KINDS[1:])
