"""Reading what has ended, over many pages."""

from __future__ import annotations

import pytest

from proxy.writes.embedded import store
from proxy.writes.states import State
from tests.writes.backends import EmbeddedBackend, finish
from tests.writes.making import make_write


@pytest.mark.parametrize(("name", "value"), [("_PAGE", 3), ("_PAGE", 4), ("_PAGE_S", 0.0), ("_PAGE_S", 1.0)])
async def test_a_listing_walks_over_many_pages_to_what_is_asked(
    backend: EmbeddedBackend, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    monkeypatch.setattr(store, name, value)
    writes = [make_write(f"/{n % 5}") for n in range(20)]
    for write in writes:
        await backend.queue.put(write)
    for write in writes[:16]:
        await finish(backend, write)
    found = await backend.store.listing(key="/4")
    assert [one.id for one in found] == [write.id for write in writes[4::5]]
    assert [one.state for one in found] == [State.COMMITTED] * 3 + [State.QUEUED]
    found = await backend.store.listing(key="/4", limit=2, after=writes[4].id)
    assert [one.id for one in found] == [writes[9].id, writes[14].id]
