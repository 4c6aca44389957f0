"""A request's time is told by the parts of the proxy that it is spent in."""

from __future__ import annotations

import pytest

from loadtest.bench.in_memory import InMemory
from loadtest.bench.shares import ANSWERS, CONNECTIONS, GATE, PARTS, part_of, shares_of


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("/a/proxy/server/gate.py", GATE),
        ("/a/proxy/server/delivery.py", ANSWERS),
        ("/a/proxy/server/client_connection.py", CONNECTIONS),
        ("/a/site-packages/aiohttp/streams.py", CONNECTIONS),
        ("/a/proxy/policy/sharing.py", "policy"),
        ("/a/proxy/origin/client.py", "origin"),
        ("/a/site-packages/cachetools/__init__.py", "cache"),
        ("/a/proxy/tasks.py", "the rest"),
        ("/a/loadtest/bench/in_memory.py", ""),
    ],
)
def test_each_file_has_its_part(file: str, part: str) -> None:
    assert part_of(file) == part


async def test_the_shares_of_a_hit_are_whole_and_without_the_origin() -> None:
    stage = InMemory(b"public, max-age=60", gate=False)
    head = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    await stage.clients.ask([head] * 70)
    shares = await shares_of(stage.clients, [head] * 70)
    await stage.close()
    assert tuple(shares) == PARTS
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["origin"] == 0
    assert min(shares[CONNECTIONS], shares[ANSWERS], shares["policy"]) > 0
