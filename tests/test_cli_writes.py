"""`lockgate writes`, over an admin listener with a desk behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from proxy import cli_writes
from proxy.admin import app
from proxy.cli import main
from proxy.writes import desk as desk_module
from proxy.writes.orders import ClosedDesk, Document, WritesOrder
from tests.admin.operator_of_writes import Operator, listening
from tests.writes.desked import REFUSES, DeskedJournal, desked

Command = Callable[..., Awaitable[list[str]]]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[DeskedJournal]:
    async with desked(tmp_path / "journal") as made:
        yield made


@pytest.fixture
async def operator(here: DeskedJournal) -> AsyncIterator[Operator]:
    async with listening(here.desk) as made:
        yield made


@pytest.fixture
def command(operator: Operator, capsys: pytest.CaptureFixture[str]) -> Command:
    """The lines that a command prints; it does not fail."""

    async def run(*arguments: str) -> list[str]:
        status = await asyncio.to_thread(main, ["writes", *arguments, "--admin", operator.address])
        found = capsys.readouterr()
        assert (status, found.err) == (0, "")
        return found.out.splitlines()

    return run


async def refused(operator: Operator, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that fails says."""
    status = await asyncio.to_thread(main, ["writes", *arguments, "--admin", operator.address])
    found = capsys.readouterr()
    assert (status, found.out) == (1, "")
    return found.err


async def test_a_key_is_paused_and_looked_at(here: DeskedJournal, command: Command) -> None:
    assert await command("list") == ["no writes"]
    assert await command("paused") == ["no paused keys"]
    assert await command("pause", "/a b", "--reason", "because") == ["paused /a b; 0 queued"]
    for number in range(2):
        await here.accept("/a b", write_id=f"w{number}")
    assert await command("paused") == ["KEY   QUEUED  REASON", "/a b  2       paused: because"]
    head, first, second = await command("list", "--key", "/a b")
    assert head.split() == ["ID", "STATE", "TRIES", "AGE", "AHEAD", "REQUEST", "KEYS"]
    assert first.split() == ["w0", "queued", "0", "0s", "0", "PUT", "/posts/1", "/a", "b"]
    assert second.startswith("w1")
    assert (await command("list", "--limit", "1"))[2:] == ["there may be more: raise --limit"]


async def test_a_list_that_is_not_whole_yet_says_so(here: DeskedJournal, command: Command) -> None:
    here.recovering = True
    empty, told = await command("list")
    assert (empty, told.startswith("some that were left from before are not at their lanes yet")) == (
        "no writes",
        True,
    )


async def test_a_key_goes_on_without_its_first_write(here: DeskedJournal, command: Command) -> None:
    await command("pause", "/a b")
    for number in range(2):
        await here.accept("/a b", write_id=f"w{number}")
    assert await command("skip", "/a b") == ["skipped w0 of /a b, which becomes a dead letter; 1 queued"]
    assert await command("resume", "/a b") == ["resumed /a b; 1 queued"]
    await here.until_ended("w1")
    assert await command("resume", "/a b") == ["/a b was not paused; 0 queued"]
    listed = await command("list", "--state", "committed", "--json")
    assert [write["id"] for write in json.loads("\n".join(listed))["writes"]] == ["w1"]


async def test_a_write_is_shown_and_cancelled(here: DeskedJournal, command: Command) -> None:
    await command("pause", "a")
    await here.accept("a", write_id="w/1?")
    lines = await command("show", "w/1?")
    assert lines[:2] == ["write      w/1?", "state      queued"]
    assert "key        a" in lines
    assert await command("cancel", "w/1?") == ["cancelled w/1?"]
    await here.until_ended("w/1?")
    lines = await command("show", "w/1?")
    assert lines[1:3] == ["state      cancelled", "problem    cancelled: it was taken back"]


async def test_dead_letters_are_listed_replayed_and_discarded(here: DeskedJournal, command: Command) -> None:
    assert await command("dead") == ["no dead letters"]
    for number in range(2):
        await here.ended("a", write_id=f"w{number}", act=REFUSES)
    head, first, _second = await command("dead")
    assert head.split() == ["ID", "AGE", "REQUEST", "KEYS", "PROBLEM"]
    assert "credentials-refused (401): " in first
    assert "dead letter  parked: replay or discard it" in await command("show", "w0")
    assert await command("replay", "w0") == ["replayed w0 as again001-000, behind what waits"]
    assert await command("discard", "w1") == ["discarded w1"]
    assert await command("dead") == ["no dead letters"]


async def test_long_lists_are_asked_for_page_by_page(
    here: DeskedJournal, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_writes, "_PAGE", 3)
    await command("pause", "a")
    for number in range(8):
        await here.accept("a", write_id=f"w{number}")
    assert len(await command("list")) == 9
    assert len(await command("list", "--limit", "7")) == 9
    listed = json.loads("\n".join(await command("list", "--limit", "7", "--json")))
    assert ([write["id"] for write in listed["writes"]][-1], listed["next"]) == ("w6", "w6")


async def test_events_are_lines_of_json_from_the_place_that_is_named(
    here: DeskedJournal, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "GATHER_S", 0.02)
    for number in range(3):
        await here.ended("a", write_id=f"w{number}")
    events = [json.loads(line) for line in await command("events", "--after", "all", "--limit", "3")]
    assert [event["id"] for event in events] == ["w0", "w1", "w2"]
    place = f"{events[1]['shard']}:{events[1]['position']}"
    (line,) = await command("events", "--after", place, "--wait", "0.05")
    assert json.loads(line)["id"] == "w2"


async def test_events_are_followed_until_nothing_came_for_a_while(
    here: DeskedJournal, command: Command
) -> None:
    following = asyncio.ensure_future(command("events", "--limit", "2"))
    await here.until(lambda: here.journal.events.followers == 1)
    await here.ended("a", write_id="w1")
    await here.until(lambda: here.journal.events.followers == 0)
    await here.until(lambda: here.journal.events.followers == 1)
    await here.ended("a", write_id="w2")
    assert [json.loads(line)["id"] for line in await following] == ["w1", "w2"]


class Busy:
    """A desk that is refused now and then, as where its worker is replaced."""

    def __init__(self, desk: DeskedJournal, refusals: set[int]) -> None:
        self._desk = desk
        self._refusals = refusals
        self.asked = 0

    async def carry_out(self, order: WritesOrder) -> Document:
        self.asked += 1
        desk = ClosedDesk(elsewhere=True) if self.asked in self._refusals else self._desk.desk
        return await desk.carry_out(order)


async def test_a_reader_of_events_asks_again_when_it_is_refused_in_between(
    here: DeskedJournal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_writes, "_ASK_AGAIN_S", 0.0)
    monkeypatch.setattr(desk_module, "GATHER_S", 0.01)
    for number in range(3):
        await here.ended("a", write_id=f"w{number}")
    monkeypatch.setattr(cli_writes, "_PAGE", 1)
    busy = Busy(here, {2, 3})
    async with listening(busy) as operator:
        arguments = ["writes", "events", "--after", "all", "--limit", "3", "--admin", operator.address]
        assert await asyncio.to_thread(main, arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [json.loads(line)["id"] for line in lines] == ["w0", "w1", "w2"]
        assert busy.asked >= 5
        monkeypatch.setattr(cli_writes, "_PATIENCE_S", -1.0)
        busy.asked = 1
        busy._refusals = {3}
        assert await asyncio.to_thread(main, arguments) == 1
        found = capsys.readouterr()
    assert [json.loads(line)["id"] for line in found.out.splitlines()] == ["w0"]
    assert "refused (503): another worker has the writes; go on with --after 0:" in found.err


async def test_a_reader_of_events_outlives_a_restart(
    here: DeskedJournal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_writes, "_ASK_AGAIN_S", 0.01)
    monkeypatch.setattr(app, "_STOP_TIMEOUT_S", 0.01)
    async with listening(here.desk) as operator:
        address = operator.address
        arguments = ["writes", "events", "--limit", "2", "--admin", address]
        following = asyncio.ensure_future(asyncio.to_thread(main, arguments))
        await here.until(lambda: here.journal.events.followers == 1)
        await here.ended("a", write_id="w1")
        await here.until(lambda: here.journal.events.followers == 0)
        await here.until(lambda: here.journal.events.followers == 1)  # it stands when the listener goes
    await here.until(lambda: here.journal.events.followers == 0)
    await here.ended("a", write_id="w2")
    async with listening(here.desk, address=address):
        assert await following == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["w1", "w2"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "w9"), "refused (404): no write is called 'w9'"),
        (("cancel", "w9"), "refused (404): no write is called 'w9'"),
        (("skip", "a"), "refused (404): no write of 'a' is here"),
        (("list", "--state", "waiting"), "refused (400): state is 'waiting'"),
        (("list", "--key", "a\udc80"), "octets that are no UTF-8"),
        (("pause", "a\udc80"), "half a surrogate pair"),
        (("events", "--after", "5"), "write SHARD:POSITION"),
    ],
    ids=lambda value: " ".join(value)[:30],
)
async def test_a_refusal_is_told_with_its_reason(
    operator: Operator, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert told in await refused(operator, capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "required: COMMAND"),
        (("lst",), "did you mean list?"),
        (("show",), "required: ID"),
        (("list", "--limit", "0"), "'0' is no number from 1 on"),
        (("events", "--wait", "nan"), "'nan' is no number of seconds above 0"),
        (("list", "--sate", "dead"), "did you mean --state?"),
    ],
    ids=lambda value: " ".join(value)[:30],
)
def test_wrong_use_is_told(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["writes", *arguments])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
