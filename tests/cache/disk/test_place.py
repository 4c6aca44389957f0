from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.disk.place import SHARDS, parse_name, place_of, shard_name, variant_digest

DIGEST = "a" * 32
VARIANTS = st.lists(st.none() | st.binary(max_size=6), max_size=4).map(tuple)


@given(st.binary(max_size=40), VARIANTS)
def test_a_name_tells_its_place(key: bytes, variant: tuple[bytes | None, ...]) -> None:
    place = place_of(key, variant)
    assert parse_name(place.name) == place
    assert place.path == f"{shard_name(place.shard)}/{place.name}"
    assert place.path[:3] == place.name[:3]
    assert 0 <= place.shard < SHARDS


@pytest.mark.slow
@given(VARIANTS, VARIANTS)
def test_different_variants_lie_apart(one: tuple[bytes | None, ...], other: tuple[bytes | None, ...]) -> None:
    assert (variant_digest(one) == variant_digest(other)) == (one == other)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        DIGEST,
        f"{DIGEST}-{'b' * 15}",
        f"{DIGEST.upper()}-{'b' * 16}",
        f"{DIGEST}-{'b' * 16}.part",
        f"{DIGEST}-{'b' * 16}\n",
    ],
)
def test_other_names_are_not_ours(name: str) -> None:
    assert parse_name(name) is None
