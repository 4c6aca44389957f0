"""Large objects in slices: each fetched, shared and stored by itself; one answer is of one representation."""

from __future__ import annotations

import random

import pytest

from tests.behaviour.sliced_origin import SlicedObject
from tests.scenario import World

SLICE = 1024
BODY = random.Random(1).randbytes(5 * SLICE + 100)
LENGTH = len(BODY)


@pytest.fixture
def world(world: World) -> World:
    world.configure(route={"cache": {"partial": "slices", "slice_bytes": SLICE}})
    return world


RANGES = [
    pytest.param("bytes=0-9", [0], id="in-the-first"),
    pytest.param("bytes=1000-1100", [0, 1], id="over-an-edge"),
    pytest.param("bytes=1024-2047", [1], id="exactly-one"),
    pytest.param("bytes=5000-", [4, 5], id="to-the-end"),
    pytest.param("bytes=5200-99999", [5], id="past-the-end"),
]


@pytest.mark.parametrize(("wanted", "numbers"), RANGES)
async def test_a_range_fetches_the_slices_that_it_touches_and_no_others(
    world: World, wanted: str, numbers: list[int]
) -> None:
    one = SlicedObject(world, BODY)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    end = min(int(last or LENGTH - 1), LENGTH - 1)
    for _ in range(2):
        response = await world.client().send("GET /a", range=wanted).expect(206, BODY[int(first) : end + 1])
        assert response.field("content-range") == f"bytes {first}-{end}/{LENGTH}"
        assert response.field("content-length") == str(end + 1 - int(first))
        assert response.field("etag") == '"1"'
    assert one.slices == {number * SLICE: 1 for number in numbers}


async def test_the_whole_is_put_together_from_its_slices(world: World) -> None:
    one = SlicedObject(world, BODY)
    response = await world.client().send("GET /a").expect(200, BODY)
    assert response.field("content-length") == str(LENGTH)
    assert response.field("content-range") is None
    assert response.cache_status["fwd"] == "uri-miss"
    assert one.slices == {number * SLICE: 1 for number in range(6)}
    again = await world.client().send("GET /a").expect(200, BODY)
    assert again.cache_status["hit"] is True
    assert sum(one.asked.values()) == 6
