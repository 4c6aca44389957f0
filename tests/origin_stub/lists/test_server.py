"""The lists through sockets: what is answered, what is written down, and every way to fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest.writes.http_client import Address, Broken, HttpConnection, Reply
from origin_stub.behaviour import Behaviour
from origin_stub.lists.faults import read_fault
from origin_stub.lists.server import ListServer, running

Line = dict[str, Any]
Opening = Callable[..., AbstractAsyncContextManager[tuple[ListServer, HttpConnection]]]


@pytest.fixture
def opened(tmp_path: Path) -> Opening:
    """A server and one client; its history lies at `tmp_path/origin.jsonl`."""

    @asynccontextmanager
    async def opened(
        *faults: str, delay: str = "0", idempotent: bool = False
    ) -> AsyncIterator[tuple[ListServer, HttpConnection]]:
        server = ListServer(
            tmp_path / "origin.jsonl",
            delay=Behaviour().with_parameters([("delay", delay)]).delay,
            faults=[read_fault(fault) for fault in faults],
            idempotent=idempotent,
        )
        async with running(server):
            connection = HttpConnection(Address("127.0.0.1", server.port), timeout_s=5)
            await connection.ready()
            yield server, connection
            connection.close()

    return opened


def _lines(directory: Path) -> list[Line]:
    return [json.loads(line) for line in (directory / "origin.jsonl").read_text().splitlines()]


async def _write(connection: HttpConnection, write: str, target: str = "/lists/a", key: str = "") -> Reply:
    lines = f"X-Write: {write}\r\n" + (f"Idempotency-Key: {key}\r\n" if key else "")
    await connection.ready()
    return await connection.ask("PUT", target, lines, b"{}")


async def test_a_write_is_appended_and_told_its_version(opened: Opening, tmp_path: Path) -> None:
    async with opened() as (_, client):
        for number, write in enumerate(("w1", "w2"), 1):
            reply = await _write(client, write)
            assert (reply.status, json.loads(reply.body)) == (
                200,
                {"write": write, "versions": {"a": number}},
            )
        reply = await client.ask("GET", "/lists/a")
        assert json.loads(reply.body) == {"key": "a", "version": 2, "last": "w2"}
        assert (reply.fields["cache-control"], reply.fields["etag"]) == ("max-age=60", '"2"')
        assert json.loads((await client.ask("GET", "/lists/a?all")).body)["writes"] == ["w1", "w2"]
        assert json.loads((await client.ask("GET", "/lists/new")).body)["version"] == 0
    first, *applied, final = _lines(tmp_path)
    assert (first["history"], first["format"]) == ("origin", 1)
    assert [(line["do"], line["key"], line["write"], line["version"]) for line in applied] == [
        ("apply", "a", "w1", 1),
        ("apply", "a", "w2", 2),
    ]
    assert all(line["enter"] <= line["leave"] and line["answered"] for line in applied)
    assert (final["do"], final["version"], final["last"]) == ("final", 2, "w2")


async def test_a_pair_changes_two_lists_in_one_step(opened: Opening, tmp_path: Path) -> None:
    async with opened() as (_, client):
        await _write(client, "w1", "/lists/b")
        reply = await _write(client, "w2", "/pairs/a/b")
        assert json.loads(reply.body)["versions"] == {"a": 1, "b": 2}
    lines = [line for line in _lines(tmp_path) if line.get("write") == "w2"]
    assert [(line["key"], line["version"]) for line in lines] == [("a", 1), ("b", 2)]
    assert lines[0]["enter"] == lines[1]["enter"]


async def test_the_id_may_stand_in_the_body(opened: Opening) -> None:
    async with opened() as (server, client):
        assert (await client.ask("POST", "/lists/a", body=b'{"write":"w9"}')).status == 200
        assert server.lists.last("a") == "w9"


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("POST", "/lists/a", b"", 400),
        ("POST", "/lists/a", b"[1]", 400),
        ("POST", "/lists/a", b'{"write":"a\\"b"}', 400),
        ("POST", "/lists/a%22b", b'{"write":"w"}', 404),
        ("POST", "/pairs/a/a", b'{"write":"w"}', 404),
        ("GET", "/pairs/a/b", b"", 405),
        ("OPTIONS", "/lists/a", b"", 405),
        ("GET", "/else", b"", 404),
    ],
)
async def test_what_is_no_write_is_refused(
    method: str, target: str, body: bytes, status: int, opened: Opening
) -> None:
    async with opened() as (_, client):
        assert (await client.ask(method, target, body=body)).status == status


async def test_writes_at_one_time_are_seen_to_overlap(opened: Opening, tmp_path: Path) -> None:
    async with opened(delay="0.02") as (server, client):
        other = HttpConnection(Address("127.0.0.1", server.port), timeout_s=5)
        await other.ready()
        await asyncio.gather(_write(client, "w1"), _write(other, "w2"))
        other.close()
    first, second = (line for line in _lines(tmp_path) if line.get("do") == "apply")
    assert second["enter"] < first["leave"]


async def test_a_lost_answer_is_of_an_applied_write(opened: Opening, tmp_path: Path) -> None:
    async with opened("lose=1") as (server, client):
        with pytest.raises(Broken):
            await _write(client, "w1")
        with pytest.raises(Broken):
            await _write(client, "w1")
        assert server.lists.writes("a") == ("w1", "w1")
    attempts = [line for line in _lines(tmp_path) if line.get("do") == "apply"]
    assert [(line["attempt"], line["answered"], line["status"]) for line in attempts] == [
        (1, False, None),
        (2, False, None),
    ]


async def test_a_dropped_write_is_not_applied(opened: Opening, tmp_path: Path) -> None:
    async with opened("drop=1") as (server, client):
        with pytest.raises(Broken):
            await _write(client, "w1")
        assert server.lists.version("a") == 0
    assert [line["do"] for line in _lines(tmp_path)[1:]] == ["drop"]


async def test_a_failed_write_is_not_applied_and_503_says_when_to_come_again(opened: Opening) -> None:
    async with opened("fail=1:503") as (server, client):
        reply = await _write(client, "w1")
        assert (reply.status, reply.fields["retry-after"]) == (503, "0")
        assert server.lists.version("a") == 0


async def test_a_hanging_write_ends_with_its_connection(opened: Opening, tmp_path: Path) -> None:
    async with opened("hang=1") as (server, client):
        asking = asyncio.get_running_loop().create_task(_write(client, "w1"))
        await server.lists.changes.wait_until(lambda: server.lists.in_progress == 1, timeout_s=5)
        client.close()
        with pytest.raises(Broken):
            await asking
        await server.lists.changes.wait_until(lambda: server.lists.in_progress == 0, timeout_s=5)
        assert server.lists.version("a") == 0
    assert [line["do"] for line in _lines(tmp_path)[1:]] == ["drop"]


async def test_a_slow_write_takes_a_multiple_of_its_delay(opened: Opening, tmp_path: Path) -> None:
    async with opened("slow=1:4", delay="0.01") as (_, client):
        assert (await _write(client, "w1")).status == 200
    line = _lines(tmp_path)[1]
    assert line["leave"] - line["enter"] > 30_000_000


async def test_a_late_write_is_applied_without_its_client(opened: Opening, tmp_path: Path) -> None:
    async with opened("late=1:0.02") as (server, client):
        asking = asyncio.get_running_loop().create_task(_write(client, "w1"))
        await server.lists.changes.wait_until(lambda: server.lists.in_progress == 1, timeout_s=5)
        client.close()
        with pytest.raises(Broken):
            await asking
        await server.lists.changes.wait_until(lambda: server.lists.in_progress == 0, timeout_s=5)
    line = _lines(tmp_path)[1]
    assert (line["do"], line["answered"], line["status"]) == ("apply", False, None)


async def test_a_cut_write_is_applied_later(opened: Opening, tmp_path: Path) -> None:
    async with opened("cut=1:0.02") as (server, client):
        with pytest.raises(Broken):
            await _write(client, "w1")
        assert server.lists.version("a") == 0
        await server.lists.changes.wait_until(lambda: server.lists.in_progress == 0, timeout_s=5)
        assert server.lists.writes("a") == ("w1",)
    line = _lines(tmp_path)[1]
    assert (line["do"], line["answered"], line["status"]) == ("apply", False, None)


async def test_an_origin_that_went_away_comes_back(opened: Opening) -> None:
    async with opened("refuse=1:0.02") as (server, client):
        assert (await _write(client, "w1")).status == 200
        other = HttpConnection(Address("127.0.0.1", server.port), timeout_s=5)
        with pytest.raises(Broken, match="cannot connect"):
            await other.ready(give_up_after_s=0)
        await other.ready()
        other.close()


async def test_a_known_key_is_not_applied_again(opened: Opening, tmp_path: Path) -> None:
    async with opened(idempotent=True) as (server, client):
        replies = [await _write(client, "w1", key='"k"') for _ in range(2)]
        assert replies[0].body == replies[1].body
        assert (await _write(client, "w2", key='"k"')).status == 422
        assert server.lists.writes("a") == ("w1",)
    assert [(line["do"], line["idem"]) for line in _lines(tmp_path)[1:-1]] == [
        ("apply", '"k"'),
        ("replay", '"k"'),
        ("drop", '"k"'),
    ]


async def test_a_counter_loses_additions_that_overlap(opened: Opening) -> None:
    async with opened(delay="0.02") as (server, client):
        other = HttpConnection(Address("127.0.0.1", server.port), timeout_s=5)
        await other.ready()
        await asyncio.gather(client.ask("POST", "/counters/n"), other.ask("POST", "/counters/n"))
        other.close()
        told = json.loads((await client.ask("GET", "/counters/n")).body)
        assert told == {"value": 1, "additions": 2}
        await client.ask("POST", "/counters/n")
        assert server.lists.counter("n") == (2, 3)


@pytest.mark.slow
async def test_the_history_can_be_asked_for_with_the_state_so_far(opened: Opening) -> None:
    async with opened() as (_, client):
        for number in range(3000):
            await _write(client, f"w{number}")
        reply = await client.ask("GET", "/_lists/history")
        lines = [json.loads(line) for line in reply.body.splitlines()]
        assert len(lines) == 3002
        assert (lines[-1]["do"], lines[-1]["version"]) == ("final", 3000)
        assert (await _write(client, "last")).status == 200


async def test_what_is_in_progress_at_the_end_is_written_down(opened: Opening, tmp_path: Path) -> None:
    async with opened(delay="30") as (server, client):
        asking = asyncio.get_running_loop().create_task(_write(client, "w1"))
        await server.lists.changes.wait_until(lambda: server.lists.in_progress == 1, timeout_s=5)
    with pytest.raises(Broken):
        await asking
    assert [line["do"] for line in _lines(tmp_path)[1:]] == ["drop"]


async def test_requests_that_come_together_are_answered_in_their_order(opened: Opening) -> None:
    async with opened(delay="0.01") as (server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for number in range(3):
            writer.write(
                b"PUT /lists/a HTTP/1.1\r\nHost: o\r\nX-Write: w%d\r\nContent-Length: 0\r\n\r\n" % number
            )
        told = b""
        async with asyncio.timeout(5):
            while told.count(b"versions") < 3:
                told += await reader.read(65536)
        writer.close()
        assert server.lists.writes("a") == ("w0", "w1", "w2")


async def test_octets_that_are_no_http_close_the_connection(opened: Opening) -> None:
    async with opened() as (server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\x00\x01\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
