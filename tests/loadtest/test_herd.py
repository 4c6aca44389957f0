"""The load generator against the origin stub: what it counts must be true."""

from __future__ import annotations

import asyncio
import math

import pytest

import origin_stub
from loadtest.bench.herd import generator_cost_s, percentile, stampede


@pytest.mark.parametrize(
    ("share", "value"),
    [
        pytest.param(0.5, 50, id="median"),
        pytest.param(0.99, 99, id="p99"),
        pytest.param(1, 100, id="maximum"),
    ],
)
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], share) == value


def test_nothing_has_no_percentile() -> None:
    assert math.isnan(percentile([], 0.5))


async def test_a_herd_gets_whole_bodies_in_one_instant() -> None:
    async with origin_stub.running() as stub:
        stub.hold("/a")
        body = stub.body_of("/a", 100_000)
        async with asyncio.TaskGroup() as tasks:
            herd = tasks.create_task(
                stampede(stub.port, "/a?size=100000&header=Cache-Status:X%3B%20hit", 50, body)
            )
            await stub.until(lambda: stub.held("/a") == 50)
            stub.release("/a")
    result = herd.result()
    assert result.is_whole
    assert result.cache_statuses == {"X; hit": 50}
    assert len(result.last_byte_s) == len(result.first_byte_s) == 50
    assert result.last_byte_s == sorted(result.last_byte_s)


@pytest.mark.parametrize(
    ("query", "whole", "wrong", "broken"),
    [
        pytest.param("size=1000", 10, 0, 0, id="as-expected"),
        pytest.param("size=999", 0, 10, 0, id="another-length"),
        pytest.param("size=1000&unique=1", 0, 10, 0, id="another-body"),
        pytest.param("size=1000&cut=10", 0, 0, 10, id="cut"),
        pytest.param("size=1000&chunked=1", 0, 10, 0, id="no-content-length"),
    ],
)
async def test_what_is_not_the_right_body_is_counted(query: str, whole: int, wrong: int, broken: int) -> None:
    async with origin_stub.running() as stub:
        result = await stampede(stub.port, f"/a?{query}", 10, origin_stub.body_of("/a", 1000))
    assert result.is_whole == (whole == 10)
    told = [] if result.is_whole else [f"{wrong} wrong bodies, {broken} unanswered"]
    assert [fault.partition("}, ")[2] for fault in result.faults()] == told
    assert (result.wrong_bodies, result.broken) == (wrong, broken)


async def test_a_herd_that_is_never_answered_ends_at_its_deadline() -> None:
    async with origin_stub.running() as stub:
        result = await stampede(stub.port, "/a?hang=1", 3, b"", timeout_s=0.01)
    assert result.broken == 3
    assert not result.is_whole


def test_the_generator_knows_its_own_cost() -> None:
    assert generator_cost_s(100, b"x" * 1000) > 0
