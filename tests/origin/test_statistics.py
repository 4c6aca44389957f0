"""The numbers add up."""

from __future__ import annotations

import pytest

from proxy.errors import OriginOverloaded, OriginUnreachable
from tests.origin.asking import OK, ask, first_exchange, get, read_all
from tests.origin.conftest import Connect
from tests.origin.manual_clock import ManualClock
from tests.origin.scripted import ScriptedOrigin
from tests.origin.waiting import soon, until


async def test_what_happened_is_counted_and_adds_up(
    scripted: ScriptedOrigin, connect: Connect, clock: ManualClock
) -> None:
    client = connect(scripted.url, max_concurrency=1, max_queue=1, fail_after=1)
    await first_exchange(client, scripted)
    running, waiting = ask(client), ask(client)
    await until(lambda: client.statistics().queued == 1)
    with pytest.raises(OriginOverloaded):
        await soon(client.send(get()))
    now = client.statistics()
    assert (now.outstanding, now.queued, now.queue_refused, now.idle_connections) == (1, 1, 1, 0)
    peer = scripted.peers[0]
    for task in (running, waiting):
        await peer.expect_head()
        peer.send(OK)
        await read_all(await soon(task))
    clock.advance(100)
    scripted.refuse()
    with pytest.raises(OriginUnreachable):
        await soon(client.send(get()))
    now = client.statistics()
    assert now.requests == 5
    assert now.requests == now.connects + now.reused + now.connect_failures + now.queue_refused
    assert (now.connects, now.reused, now.connect_failures) == (1, 2, 1)
    assert now.left_out == ()  # the only one never is
    assert now.addresses[0].requests == 3
    assert "outstanding=0" in repr(client)
