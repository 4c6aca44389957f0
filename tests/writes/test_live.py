"""The writes that have not ended are counted, and shown."""

from __future__ import annotations

import pytest

from proxy.writes.live import Live, LiveDelivery
from proxy.writes.states import FINAL, State
from proxy.writes.write import Mode
from tests.writes.making import make_write


def test_what_was_added_is_removed_once() -> None:
    live: Live[LiveDelivery] = Live()
    plain = LiveDelivery(make_write(body=b"12", mode=Mode.SYNC), position=1, epoch=1)
    durable = LiveDelivery(make_write(body=b"345"), position=2, epoch=1, attempts=1)
    for one in (plain, durable):
        live.add(one)
    assert (len(live), live.bytes, live.durable) == (2, 5, 1)
    assert (plain.redelivered, durable.redelivered) == (False, True)
    with pytest.raises(AssertionError, match="queued already"):
        live.add(plain)
    live.remove(plain)
    live.remove(plain)
    assert (len(live), live.bytes, live.durable) == (1, 3, 1)
    assert live.get(plain.write.id) is None
    assert list(live) == [durable]


def test_a_page_is_in_the_order_of_ids_whatever_came_first() -> None:
    live: Live[LiveDelivery] = Live()
    for n in (3, 1, 4, 2, 0):
        write = make_write(f"/{n % 2}", write_id=f"w{n}")
        live.add(LiveDelivery(write, position=n, epoch=1, attempts=n % 2))

    def ids(**asked: object) -> list[str]:
        values = {"key": None, "states": None, "after": "", "limit": 9} | asked
        return [status.id for status in live.page(**values)]  # type: ignore[arg-type]

    assert ids() == ["w0", "w1", "w2", "w3", "w4"]
    assert ids(after="w1", limit=2) == ["w2", "w3"]
    assert ids(key="/1") == ["w1", "w3"]
    assert ids(states=frozenset({State.QUEUED})) == ["w0", "w2", "w4"]
    assert ids(key="/9") == ids(limit=0) == []


def test_who_asks_for_ends_looks_at_none_of_them_and_a_page_shows_no_more_than_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live: Live[LiveDelivery] = Live()
    for n in range(9):
        live.add(LiveDelivery(make_write(write_id=f"w{n}"), position=n, epoch=1))
    shown = []
    status = LiveDelivery.status
    monkeypatch.setattr(LiveDelivery, "status", lambda one: (shown.append(one), status(one))[1])
    assert live.page(key=None, states=FINAL, after="", limit=5) == []
    assert len(live.page(key=None, states=None, after="w2", limit=3)) == 3
    assert len(shown) == 3
