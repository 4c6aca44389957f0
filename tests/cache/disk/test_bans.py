from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.disk.bans import Ban, Bans, Purge
from proxy.cache.disk.place import place_of

PLACE = place_of(b"key", (b"v",))


def covering(bans: Bans, epoch: int = 0, tags: frozenset[bytes] = frozenset({b"t"})) -> Ban | None:
    return bans.covering(epoch, PLACE, b"key", tags)


COVERING = [
    pytest.param(Purge.all(), id="all"),
    pytest.param(Purge.key(b"key"), id="key"),
    pytest.param(Purge.one(b"key", (b"v",)), id="place"),
    pytest.param(Purge.tag(b"t"), id="tag"),
    pytest.param(Purge.pattern(rb"^k.y$"), id="pattern"),
    pytest.param(Purge.matching(lambda key, tags: key == b"key" and b"t" in tags), id="where"),
]
OTHERS = [
    Purge.key(b"other"), Purge.one(b"key", (b"w",)), Purge.tag(b"u"), Purge.pattern(b"z"),
    Purge.matching(lambda _key, _tags: False),
]  # fmt: skip


@pytest.mark.parametrize("purge", COVERING)
def test_an_object_from_before_a_purge_is_banned_and_one_from_after_is_not(purge: Purge) -> None:
    bans = Bans()
    number = bans.add(purge)
    assert covering(bans, epoch=number - 1) == Ban(number, soft=False)
    assert covering(bans, epoch=number) is None


@pytest.mark.parametrize("purge", OTHERS)
def test_a_purge_of_something_else_bans_nothing(purge: Purge) -> None:
    bans = Bans()
    bans.add(purge)
    assert covering(bans) is None


def test_a_hard_ban_comes_before_a_soft_one() -> None:
    bans = Bans()
    bans.add(Purge.tag(b"t"))
    bans.add(Purge.key(b"key", soft=True))
    assert covering(bans) == Ban(1, soft=False)
    assert covering(bans, epoch=1) == Ban(2, soft=True)


def test_a_ban_stays_while_a_commit_from_before_it_runs() -> None:
    bans = Bans()
    epoch = bans.enter()
    bans.add(Purge.key(b"key"))
    assert bans.retire(1) == 0
    assert covering(bans) is not None
    bans.leave(epoch)
    assert bans.retire(1) == 1
    assert covering(bans) is None
    assert len(bans) == 0


def test_a_commit_from_after_a_ban_keeps_it_not() -> None:
    bans = Bans()
    bans.add(Purge.pattern(b"k"))
    bans.enter()
    bans.retire(1)
    assert len(bans) == 0


@pytest.mark.slow
@given(st.lists(st.sampled_from([*(param.values[0] for param in COVERING), *OTHERS]), max_size=30), st.data())
def test_too_many_bans_ban_more_and_never_less(purges: list[Purge], data: st.DataObject) -> None:
    exact, bounded = Bans(), Bans(max_bans=6)
    for purge in purges:
        exact.add(purge)
        bounded.add(purge)
    assert len(bounded) <= 7
    epoch = data.draw(st.integers(0, len(purges)))
    if covering(exact, epoch) is not None:
        assert covering(bounded, epoch) is not None


def test_what_is_merged_is_still_told() -> None:
    bans = Bans(max_bans=4)
    for number in range(6):
        bans.add(Purge.key(b"%d" % number))
    assert bans.kept()[0] == (3, Purge.all())
    assert [number for number, _ in bans.kept()] == [3, 4, 5, 6]


def test_a_pattern_that_cannot_be_compiled_is_refused() -> None:
    with pytest.raises(re.error):
        Purge.pattern(b"(")
