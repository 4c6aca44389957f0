"""A stage for each test; on both event loops, as tests/conftest.py says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.server.stage import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    await made.origin.listen()
    yield made
    await made.close()
