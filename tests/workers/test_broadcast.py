"""What is written down of a purge for workers that do not live; `test_one_cache.py` has those that do."""

from __future__ import annotations

from pathlib import Path

from proxy.policy.purges import Everything
from proxy.workers.broadcast import Broadcast
from proxy.workers.coverage import coverage_message
from proxy.workers.missed import Missed


async def test_what_is_written_down_holds_nothing_back_when_it_is_read(tmp_path: Path) -> None:
    """A write holds back for a time from its answer what it changed; who starts later comes after that."""
    broadcast = Broadcast(list, disk=lambda: (tmp_path, 2), timeout_s=5.0)
    coverage = coverage_message(Everything())
    await broadcast.purge({"coverage": coverage, "soft": True, "hold_s": 5.0}, teller=None)
    for slot in range(2):
        assert Missed(tmp_path, slot).take() == [{"coverage": coverage, "soft": True}]
