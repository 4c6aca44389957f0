"""What the benchmark of writes measures of the lanes: that it sees what it tells of."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.bench import lanes


def _at_once() -> float:
    return 0.0


@pytest.mark.parametrize("keys", [1, 20])
async def test_each_write_reaches_the_origin_and_ends(keys: int) -> None:
    assert await lanes.took_s(40, keys=keys, delays=_at_once, directory=None) > 0


@pytest.mark.slow
async def test_the_same_with_a_journal(tmp_path: Path) -> None:
    assert await lanes.took_s(10, keys=1, delays=_at_once, directory=tmp_path / "journal") > 0


@pytest.mark.slow
async def test_of_keys_that_are_idle_nothing_is_left() -> None:
    assert await lanes.idle_keys(1000) == (0, 0)


@pytest.mark.slow
async def test_a_key_that_is_stuck_leaves_its_neighbours_alone() -> None:
    assert await lanes.neighbours_p99_s(stuck=True, count=100) < 1.0
