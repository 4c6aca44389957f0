"""Every attack runs on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.hostile.arena import Arena

MakeArena = Callable[..., Arena]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def arena(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> MakeArena:
    """Makes an arena, with settings of `origin`, `route`, `limits` and so on."""

    def make(**settings: Any) -> Arena:
        return Arena(tmp_path, caplog, **settings)

    return make
