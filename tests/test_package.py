from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import proxy

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", proxy.__all__)
def test_what_the_package_offers_is_there(name: str) -> None:
    assert getattr(proxy, name) is not None


def test_another_name_is_missing_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'serve'"):
        proxy.serve  # noqa: B018 - looking it up is the test


def test_a_program_of_ones_own_can_make_a_server() -> None:
    config = proxy.for_origin("http://127.0.0.1:9", "127.0.0.1:0")

    assert isinstance(config, proxy.Config)
    assert isinstance(proxy.Server(config), proxy.Server)


@pytest.mark.slow
def test_importing_the_package_loads_no_sockets_and_no_event_loop() -> None:
    program = "import proxy, proxy.errors, sys; print({'aiohttp', 'asyncio'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "set()\n"
