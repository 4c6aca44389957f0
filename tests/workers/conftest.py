from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenario_workers import WorkersWorld
from tests.server.stage import Stage


@pytest.fixture
async def scene() -> AsyncIterator[Stage]:
    """An origin and clients; what nobody expected fails the test."""
    made = Stage()
    await made.origin.listen()
    yield made
    await made.close()


@pytest.fixture
async def several(tmp_path: Path) -> AsyncIterator[WorkersWorld]:
    """Three workers in one process, told as one Lockgate."""
    made = WorkersWorld(tmp_path, 3)
    await made.open()
    yield made
    await made.close()
