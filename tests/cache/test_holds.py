"""What is not stored for a while."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.holds import Holds
from proxy.config.settings import RouteSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.keys import key_of_target
from proxy.policy.purges import Coverage, Everything, Tagged, Targets, labels_of

ROUTE = RouteSettings(origin="a")
NOTHING: frozenset[bytes] = frozenset()


def _key(target: bytes) -> bytes:
    return key_of_target("*/", RequestHead("GET", target, Fields(), authority=b"example.org"), route=ROUTE)


def test_a_target_is_held_until_its_time_is_over() -> None:
    holds = Holds()
    holds.hold_target(_key(b"/a?x=1"), until_mono=15.0, now_mono=5.0)
    assert holds.covers(_key(b"/a?x=1"), NOTHING, now_mono=14.9)
    assert not holds.covers(_key(b"/a?x=2"), NOTHING, now_mono=14.9)
    assert not holds.covers(_key(b"/a?x=1"), NOTHING, now_mono=15.0)
    assert len(holds) == 0


def test_a_response_for_other_queries_is_held_by_its_page() -> None:
    holds = Holds()
    holds.hold_target(_key(b"/a?x=1"), until_mono=15.0, now_mono=5.0)
    labels = labels_of(Fields([(b"No-Vary-Search", b"params")]), origin=b"")
    assert holds.covers(_key(b"/a"), labels, now_mono=6.0)


def test_a_label_is_held() -> None:
    holds = Holds()
    holds.hold_label(b"posts", until_mono=15.0, now_mono=5.0)
    assert holds.covers(_key(b"/b"), frozenset({b"posts", b"x"}), now_mono=6.0)
    assert not holds.covers(_key(b"/b"), frozenset({b"x"}), now_mono=6.0)


def test_the_longest_hold_counts() -> None:
    holds = Holds()
    for until in (15.0, 30.0, 20.0):
        holds.hold_target(_key(b"/a"), until_mono=until, now_mono=5.0)
    assert holds.covers(_key(b"/a"), NOTHING, now_mono=29.0)
    assert not holds.covers(_key(b"/a"), NOTHING, now_mono=30.0)


def test_a_full_table_holds_everything() -> None:
    holds = Holds(max_holds=2)
    holds.hold_target(_key(b"/a"), until_mono=9.0, now_mono=5.0)
    holds.hold_label(b"x", until_mono=8.0, now_mono=5.0)
    assert holds.covers(_key(b"/z"), NOTHING, now_mono=7.9)
    assert holds.covers(_key(b"/a"), NOTHING, now_mono=8.5)
    assert not holds.covers(_key(b"/z"), NOTHING, now_mono=8.0)


TIMES = st.integers(1, 20).map(float)


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), TIMES, TIMES)), TIMES)
def test_what_is_held_is_held_and_leaves_nothing(steps: list[tuple[bytes, float, float]], at: float) -> None:
    holds, now, until = Holds(), 0.0, {}
    for label, pause, lasts in steps:
        now += pause
        holds.hold_label(label, until_mono=now + lasts, now_mono=now)
        until[label] = max(until.get(label, 0.0), now + lasts)
    now += at
    for label in (b"a", b"b", b"c"):
        assert holds.covers(_key(b"/z"), frozenset({label}), now_mono=now) == (until.get(label, 0.0) > now)
    assert not holds.covers(_key(b"/z"), NOTHING, now_mono=now + 100.0)
    assert len(holds) == 0


@pytest.mark.parametrize(
    ("coverage", "held"),
    [
        (Targets(frozenset({_key(b"/a")})), True),
        (Tagged(frozenset({b"news"})), True),
        (Tagged(frozenset({b"sport"})), False),
        (Everything(), True),
    ],
    ids=["target", "label", "another label", "everything"],
)
def test_what_a_purge_covers_is_held(coverage: Coverage, held: bool) -> None:
    holds = Holds()
    holds.hold(coverage, until_mono=5.0, now_mono=0.0)
    assert holds.covers(_key(b"/a"), frozenset({b"news"}), now_mono=1.0) is held
    assert not holds.covers(_key(b"/a"), frozenset({b"news"}), now_mono=5.0)
