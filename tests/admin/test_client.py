from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.admin.client import AdminClient, AskFailed
from tests.server.stage import Stage

TOKEN = "0123456789abcdef"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    await made.origin.listen()
    yield made
    await made.close()


async def _in_thread(ask: Callable[[], Any]) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, ask)


@pytest.mark.parametrize("kind", ["ipv4", "ipv6", "unix"])
async def test_it_asks_wherever_the_listener_is(stage: Stage, tmp_path: Path, kind: str) -> None:
    address = {"ipv4": "127.0.0.1:0", "ipv6": "[::1]:0", "unix": f"unix:{tmp_path}/admin"}[kind]
    server = await stage.started(admin={"enabled": True, "address": address, "token": TOKEN})
    assert server.admin_address is not None
    client = AdminClient(server.admin_address, token=TOKEN)
    assert (await _in_thread(lambda: client.purge({"everything": True})))["entries"] == 0
    query = [("url", "http://a/"), ("header", "X-A: b & c")]
    assert (await _in_thread(lambda: client.explain(query)))["verdict"] == "miss"


async def test_a_refusal_is_told_with_its_reason(stage: Stage) -> None:
    server = await stage.started(admin={"enabled": True, "address": "127.0.0.1:0", "token": TOKEN})
    client = AdminClient(str(server.admin_address), token=None)
    with pytest.raises(AskFailed, match=r"refused \(401\): this needs the token of admin\.token"):
        await _in_thread(lambda: client.purge({"everything": True}))


async def test_where_nobody_answers_that_is_told() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(AskFailed, match=f"no admin listener answers at {address}"):
            AdminClient(address, token=None).purge({"everything": True})
    with pytest.raises(AskFailed, match="no admin listener answers at unix:/nowhere"):
        AdminClient("unix:/nowhere", token=None).purge({"everything": True})


async def test_another_server_is_not_believed(stage: Stage) -> None:
    stage.origin.on("POST /purge").reply(200, b"<html>")
    address = stage.origin.url.removeprefix("http://")
    with pytest.raises(AskFailed, match="no admin listener of Lockgate"):
        await _in_thread(lambda: AdminClient(address, token=None).purge({"everything": True}))
