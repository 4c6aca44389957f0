from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.disk.bans import Ban, Bans, Purge
from proxy.cache.disk.place import place_of
from proxy.policy.purges import Everything, Matching, Prefixed, Tagged, Targets
from tests.cache.disk.entries import KEY, a_key

PLACE = place_of(KEY, (b"v",))


def covering(bans: Bans, epoch: int = 0, tags: frozenset[bytes] = frozenset({b"t"})) -> Ban | None:
    return bans.covering(epoch, PLACE, KEY, tags)


COVERING = [
    pytest.param(Purge.all(), id="all"),
    pytest.param(Purge.key(KEY), id="key"),
    pytest.param(Purge.one(KEY, (b"v",)), id="place"),
    pytest.param(Purge.tag(b"t"), id="tag"),
    pytest.param(Purge.target(KEY), id="target"),
    pytest.param(Purge.searched(Matching(re.compile(rb"/k.y$"))), id="pattern"),
    pytest.param(Purge.searched(Prefixed(frozenset({b"example.org"}), {b"default": (b"/k",)})), id="prefix"),
    pytest.param(Purge.matching(lambda key, tags: key == KEY and b"t" in tags), id="where"),
]
OTHERS = [
    Purge.target(a_key(b"/other")),
    Purge.searched(Prefixed(frozenset({b"example.org"}), {b"default": (b"/x",)})),
    Purge.searched(Matching(re.compile(b"z$"))),
    Purge.key(b"other"), Purge.one(KEY, (b"w",)), Purge.tag(b"u"),
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
    bans.add(Purge.key(KEY, soft=True))
    assert covering(bans) == Ban(1, soft=False)
    assert covering(bans, epoch=1) == Ban(2, soft=True)


def test_a_ban_stays_while_a_commit_from_before_it_runs() -> None:
    bans = Bans()
    epoch = bans.enter()
    bans.add(Purge.key(KEY))
    bans.swept(1)
    assert covering(bans) is not None
    bans.leave(epoch)
    assert covering(bans) is None
    assert len(bans) == 0


def test_a_ban_stays_while_a_load_from_before_the_end_of_its_sweep_runs() -> None:
    bans = Bans()
    bans.add(Purge.key(KEY))
    early = bans.enter_load()
    bans.swept(1)
    late = bans.enter_load()
    assert covering(bans) is not None
    bans.leave(early)
    assert len(bans) == 0
    bans.leave(late)


def test_a_commit_from_after_a_ban_keeps_it_not() -> None:
    bans = Bans()
    bans.add(Purge.searched(Matching(re.compile(b"k"))))
    bans.enter()
    bans.swept(1)
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


def test_a_purge_of_a_target_covers_all_keys_that_begin_with_it() -> None:
    bans = Bans()
    bans.add(Purge.target(KEY))
    longer = a_key(b"/key", b"f1:a,~")
    assert bans.covering(0, place_of(longer, ()), longer, frozenset()) is not None


def test_a_purge_of_a_target_covers_what_answers_for_its_query() -> None:
    bans = Bans()
    bans.add(Purge.target(a_key(b"/key?utm=1")))
    answers = frozenset({b'no-vary-search, params=("utm")'})
    assert covering(bans, tags=answers) is not None
    assert covering(bans) is None


def test_a_coverage_is_made_of_purges() -> None:
    pattern = Matching(re.compile(b"x"))
    assert Purge.of(Everything()) == (Purge.all(),)
    assert Purge.of(Tagged(frozenset({b"u", b"t"})), soft=True) == (
        Purge.tag(b"t", soft=True),
        Purge.tag(b"u", soft=True),
    )
    assert Purge.of(Targets(frozenset({KEY}))) == (Purge.target(KEY),)
    assert Purge.of(pattern) == (Purge.searched(pattern),)


def test_a_function_that_cannot_read_a_key_covers_it() -> None:
    bans = Bans()
    bans.add(Purge.searched(Matching(re.compile(b"z$"))))
    assert bans.covering(0, PLACE, b"no key of ours", frozenset()) is not None
