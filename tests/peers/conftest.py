"""Machines of two and of three workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.peers.machine import Machine


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """Three workers."""
    scenario = Machine(tmp_path, workers=3)
    await scenario.open()
    yield scenario
    await scenario.close()


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Machine]:
    """Two workers."""
    scenario = Machine(tmp_path, workers=2)
    await scenario.open()
    yield scenario
    await scenario.close()
