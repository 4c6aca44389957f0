from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.cache.disk.store import DiskStore
from tests.cache.disk.entries import a_store
from tests.origin.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
async def store(directory: Path, clock: ManualClock) -> AsyncIterator[DiskStore]:
    """An open store with a complete index; bodies above 1,000 octets stay in their files."""
    opened = a_store(directory, clock=clock, promote_max_bytes=1000)
    await opened.open()
    await opened.wait_complete()
    yield opened
    await opened.close()
