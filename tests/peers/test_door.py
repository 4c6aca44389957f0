"""The door of a worker: who comes in, and what is said to who says nothing proper."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.peers.question import FIELD, NOBODY, Question, question_field
from proxy.peers.word import Trouble, word_in
from tests.peers.machine import Machine
from tests.scenario_wire import parse_head


async def said_at_the_door(machine: Machine, *lines: bytes) -> tuple[bytes, Trouble]:
    """What the first worker says to a request with these lines."""
    await machine.all_started()
    reader, writer = await asyncio.open_unix_connection(machine.place(0).socket_path(0))
    writer.write(b"\r\n".join((b"GET /a HTTP/1.1", b"Host: shop.example", *lines, b"", b"")))
    start, fields = parse_head(await reader.readuntil(b"\r\n\r\n"))
    writer.close()
    await writer.wait_closed()
    word = word_in(tuple(fields))
    assert isinstance(word, Trouble)
    return start, word


async def test_a_look_is_answered_at_once(two: Machine) -> None:
    start, word = await said_at_the_door(two, FIELD + b': {"slot":1,"arrangement":""}')
    assert start.startswith(b"HTTP/1.1 200")
    assert word == Trouble("", "")
    assert two.neighbourhood(0).door.looks == 1


async def test_who_is_arranged_otherwise_is_declined(two: Machine) -> None:
    request = RequestHead("GET", b"/a", Fields(), authority=b"shop.example")
    name, value = question_field(Question(b"k", request, NOBODY), slot=1, arrangement="other")
    _, word = await said_at_the_door(two, name + b": " + value)
    assert word.name == "NotStored"


async def test_a_request_that_is_no_question_is_answered_with_nothing_stored(two: Machine) -> None:
    """Whoever this was, it is logged as an error: only workers reach this socket."""
    start, word = await said_at_the_door(two, b"Cookie: a=1")
    assert start.startswith(b"HTTP/1.1 400")
    assert word.name == "ClientError"
    assert "question_unreadable" in two.complaints.pop()


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
async def test_a_directory_that_others_can_enter_is_refused(two: Machine, mode: int) -> None:
    make_mode(two.place(0).socket_dir, mode)
    with pytest.raises(ConfigError, match="0700"):
        await two.worker(0).start()
    make_mode(two.place(0).socket_dir, 0o700)


def make_mode(directory: Path, mode: int) -> None:
    directory.chmod(mode)


async def test_without_the_directory_nobody_starts(two: Machine) -> None:
    two.place(0).socket_dir.rmdir()
    with pytest.raises(ConfigError, match="No such file"):
        await two.worker(0).start()


async def test_the_file_of_a_predecessor_is_replaced(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    owner, other = two.order("/a")
    path = two.place(owner).socket_path(owner)
    (await asyncio.start_unix_server(lambda *_: None, path)).close()
    assert path.exists()
    await two.at(other).send("GET /a").expect(200, b"A")
    assert two.questions() == {"miss": 1}
