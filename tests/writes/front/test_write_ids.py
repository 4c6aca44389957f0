"""Ids rise, cannot be foreseen, and carry their shard."""

from __future__ import annotations

import random
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.writes.front.write_ids import MAX_SHARDS, WriteIds, parse_write_id, shard_of


def ids(seed: int = 1) -> WriteIds:
    return WriteIds(random.Random(seed).randbytes)


def test_an_id_is_a_uuid_of_version_7_with_its_shard_behind_it() -> None:
    text = ids().next_id(now=1_700_000_000.5, shard=42)
    made = uuid.UUID(text[:36])
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == 1_700_000_000_500
    read = parse_write_id(text)
    assert read is not None
    assert (read.text, read.made_at, read.shard) == (text, 1_700_000_000.5, 42)


@given(st.lists(st.floats(0, 4e9), min_size=1, max_size=50), st.integers(), st.integers(0, MAX_SHARDS - 1))
def test_ids_rise_whatever_the_clock_does(times: list[float], seed: int, shard: int) -> None:
    maker = ids(seed)
    made = [maker.next_id(now=now, shard=shard) for now in times]
    assert made == sorted(set(made))
    assert all(parse_write_id(one) is not None for one in made)


def test_ids_rise_through_more_in_a_millisecond_than_there_are_counts() -> None:
    maker = ids()
    made = [maker.next_id(now=1.0, shard=n % 3) for n in range(10_000)]
    assert made == sorted(set(made))


@pytest.mark.parametrize("octet", [b"\x00", b"\xff"])
def test_ids_are_ids_whatever_chance_gives(octet: bytes) -> None:
    maker = WriteIds(lambda count: octet * count)
    made = [maker.next_id(now=1.0, shard=MAX_SHARDS - 1) for _ in range(5000)]
    assert made == sorted(set(made))
    assert {one.shard for text in made if (one := parse_write_id(text))} == {MAX_SHARDS - 1}


def test_of_each_id_62_bits_are_chance() -> None:
    maker = ids()
    tails = [maker.next_id(now=1.0, shard=0)[19:36] for _ in range(1000)]
    assert len(set(tails)) == 1000
    seen = [int(tail.replace("-", ""), 16) & (2**62 - 1) for tail in tails]
    for bit in range(62):
        assert 350 < sum(one >> bit & 1 for one in seen) < 650


GOOD = "01932c07-5b7e-7a31-9c1f-0b54d2a86e17-02a"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        GOOD[:-4],
        GOOD + "0",
        GOOD + "\n",
        " " + GOOD,
        GOOD.upper(),
        GOOD.replace("-7a31", "-4a31"),
        GOOD.replace("-9c1f", "-cc1f"),
        GOOD.replace("-", ""),
        GOOD[:-1] + "\u0661",
        GOOD[:-3] + "fffff",
        "../" + GOOD,
    ],
)
def test_what_is_no_id_is_read_as_none(text: str) -> None:
    assert parse_write_id(GOOD) is not None
    assert parse_write_id(text) is None


@given(st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    assert parse_write_id(text) is None


def test_the_shard_of_a_key_is_fixed_for_ever() -> None:
    found = [shard_of(key, 64) for key in ("/posts/1", "/posts/2", "", "é", "\udce9")]
    assert found == [22, 62, 20, 19, 15]


def test_keys_are_spread_over_the_shards() -> None:
    counts = [0] * 8
    for n in range(8000):
        counts[shard_of(f"/posts/{n}", 8)] += 1
    assert min(counts) > 800
