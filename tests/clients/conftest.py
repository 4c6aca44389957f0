"""A Lockgate before a real origin, each a process of its own, for clients that know nothing of either."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.processes import free_port, lockgate_command, serving, stub_command
from tests.clients.place import NGINX_CONFIG, SECONDS, Place, sound

_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # where Debian puts servers


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The origin stub, and Lockgate before it."""
    origin_port, port = free_port(), free_port()
    arguments = ("--origin", f"http://127.0.0.1:{origin_port}", "--listen", f"127.0.0.1:{port}")
    with (
        serving("clients-origin", stub_command(origin_port), origin_port) as origin,
        serving("clients-lockgate", lockgate_command(*arguments, "--admin", "off"), port) as lockgate,
    ):
        yield Place(origin, lockgate)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """nginx with files as the origin, and Lockgate before it."""
    nginx = required("nginx", package="nginx-light")
    directory = tmp_path_factory.mktemp("nginx")
    (directory / "files").mkdir()
    (directory / "files/page.html").write_text("<!doctype html><title>page</title><p>a page")
    (directory / "files/sound.wav").write_bytes(sound(seconds=SECONDS))
    for path in (directory.parent, directory, directory / "files"):
        path.chmod(0o755)  # its workers are of another user
    origin_port, port = free_port(), free_port()
    config = directory / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(NGINX_CONFIG.format(directory=directory, port=origin_port, user=user))
    arguments = ("--origin", f"http://127.0.0.1:{origin_port}", "--listen", f"127.0.0.1:{port}")
    command = [nginx, "-p", str(directory), "-c", str(config), "-e", str(directory / "start.log")]
    with (
        serving("clients-nginx", command, origin_port) as origin,
        serving("clients-files-lockgate", lockgate_command(*arguments, "--admin", "off"), port) as lockgate,
    ):
        yield Place(origin, lockgate, log=directory / "access.log")


def required(program: str, *, package: str) -> str:
    """The path of an installed program; without it the test is skipped, which CI takes for a failure."""
    found = shutil.which(program, path=_PATH)
    if found is None:
        pytest.skip(f"{program} is not installed: apt-get install {package}")
    return found


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A directory for what a client keeps."""
    return tmp_path
