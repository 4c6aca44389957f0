from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from origin_stub.body import BLOCK_BYTES, body_of, body_slice, pieces


@given(
    size=st.integers(0, 3 * BLOCK_BYTES),
    start=st.integers(0, 3 * BLOCK_BYTES),
    length=st.integers(0, 2 * BLOCK_BYTES),
)
def test_a_slice_is_that_part_of_the_whole(size: int, start: int, length: int) -> None:
    whole = body_of("/a", size)
    assert len(whole) == size
    assert body_slice("/a", size, start, start + length) == whole[start : start + length]


def test_bodies_differ_by_path_size_and_version() -> None:
    bodies = {body_of("/a", 100), body_of("/b", 100), body_of("/a", 101)[:100], body_of("/a", 100, version=1)}
    assert len(bodies) == 4


def test_no_two_blocks_are_equal() -> None:
    whole = body_of("/a", 4 * BLOCK_BYTES)
    assert len({whole[start:stop] for start, stop in pieces(0, len(whole), BLOCK_BYTES)}) == 4
