"""One server, as the admin listener sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from proxy.admin.administered import OneServer
from proxy.errors import ClientError
from proxy.policy.purge_order import parse_order
from tests.server.stage import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    await made.origin.listen()
    yield made
    await made.close()


async def test_a_server_is_read_purged_and_explained(stage: Stage) -> None:
    stage.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    server = await stage.started()
    subject = OneServer(server)
    assert (subject.healthy, subject.draining) == (True, False)
    await stage.client(server.addresses[0]).send("GET /a", host="shop.example").expect(200, b"A")

    explained = await subject.explain("http://shop.example/a", method="GET", fields=())
    assert explained["verdict"] == "hit"
    assert (await subject.statistics()).proxy.memory.entries == 1
    assert await subject.purge(parse_order({"url": "http://shop.example/a"})) == 1
    with pytest.raises(ClientError):
        await subject.explain("no url", method="GET", fields=())
