from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.server.stage import Stage


@pytest.fixture
async def scene() -> AsyncIterator[Stage]:
    """An origin and clients; what nobody expected fails the test."""
    made = Stage()
    await made.origin.listen()
    yield made
    await made.close()
