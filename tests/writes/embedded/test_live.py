"""The writes that have not ended are counted."""

from __future__ import annotations

import pytest

from proxy.writes.embedded.live import EmbeddedDelivery, Live
from proxy.writes.write import Mode
from tests.writes.making import make_write


def test_what_was_added_is_removed_once() -> None:
    live = Live()
    plain = EmbeddedDelivery(make_write(body=b"12", mode=Mode.SYNC), position=1, epoch=1)
    durable = EmbeddedDelivery(make_write(body=b"345"), position=2, epoch=1, attempts=1)
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
