"""An embedded backend in a directory of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.writes.backends import EmbeddedBackend


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[EmbeddedBackend]:
    one = EmbeddedBackend(tmp_path / "journal")
    await one.start()
    yield one
    await one.stop(clean=True)
