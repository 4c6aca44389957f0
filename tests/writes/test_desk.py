"""The operator's desk over a journal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import QueueUnavailable, RefusedError, RouteNotFound
from proxy.writes import desk as desk_module
from proxy.writes.orders import (
    NOT_ENDED,
    CancelWrite,
    DiscardLetter,
    ListDeadLetters,
    ListPausedKeys,
    ListWrites,
    NoSuchWrite,
    NotNow,
    PauseKey,
    ReadEvents,
    ReplayWrite,
    ResumeKey,
    ShowWrite,
    SkipHead,
)
from proxy.writes.policy import AfterDead
from proxy.writes.states import FINAL, State
from proxy.writes.write import Mode
from tests.writes.desked import HANGS, POLICY, REFUSES, DeskedJournal, desked, desked_in_memory
from tests.writes.model_origin import Act


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[DeskedJournal]:
    async with desked(tmp_path / "journal") as made:
        yield made


def ids(answer: Any) -> list[str]:
    return [write["id"] for write in answer["writes"]]


QUEUED = ListWrites(tuple(NOT_ENDED))
ENDED = ListWrites(tuple(FINAL))
ALL = ListWrites(tuple(State))


# telling


async def test_what_waits_is_told_with_its_place(here: DeskedJournal) -> None:
    await here.order(PauseKey("a"))
    await here.accept("a", write_id="w2", target=b"/\xe9?b")
    await here.accept("a", "b", write_id="w1")
    first, second = (await here.order(QUEUED))["writes"]
    assert (first["id"], first["state"], first["keys"], first["ahead"]) == ("w1", "queued", ["a", "b"], 1)
    assert (second["id"], second["ahead"], second["phase"]) == ("w2", 0, "waiting")
    assert second["target"] == "/\\xe9?b"
    assert ids(await here.order(replace(QUEUED, key="b"))) == ["w1"]
    json.dumps([first, second])


async def test_a_write_that_waits_for_its_next_attempt_is_told_so(here: DeskedJournal) -> None:
    here.origin.acts.append(Act(503, delay_s=0.0, retry_after=b"50", applies=False))
    await here.accept("a", write_id="w1")
    await here.until(lambda: here.writes.statistics().resting == 1)
    (write,) = (await here.order(replace(QUEUED, states=(State.RETRY_WAIT,))))["writes"]
    assert (write["state"], write["phase"], write["attempts"]) == ("retry-wait", "resting", 1)
    assert 45 < write["rests_s"] <= 50
    assert (await here.order(replace(QUEUED, states=(State.QUEUED, State.STARTED))))["writes"] == []


async def test_pages_go_over_what_waits_and_what_ended(here: DeskedJournal) -> None:
    for number in range(0, 6, 2):
        assert await here.ended("a", write_id=f"w{number}") is State.COMMITTED
    await here.order(PauseKey("b"))
    for number in range(1, 6, 2):
        await here.accept("b", write_id=f"w{number}")
    found, after = [], ""
    while True:
        page = await here.order(replace(ALL, after=after, limit=4))
        found += ids(page)
        if page["next"] is None:
            break
        after = page["next"]
    assert found == [f"w{number}" for number in range(6)]
    assert ids(await here.order(ENDED)) == ["w0", "w2", "w4"]
    assert ids(await here.order(QUEUED)) == ["w1", "w3", "w5"]


async def test_a_list_that_lacks_what_is_still_recovered_says_so(here: DeskedJournal) -> None:
    assert not (await here.order(QUEUED))["recovering"]
    here.recovering = True
    assert await here.order(QUEUED) == {"writes": [], "next": None, "recovering": True}


async def test_one_write_is_shown_before_and_after_its_end(here: DeskedJournal) -> None:
    await here.order(PauseKey("a"))
    await here.accept("a", write_id="w1")
    shown = await here.order(ShowWrite("w1"))
    assert (shown["state"], shown["finished_at"], shown["ahead"]) == ("queued", None, 0)
    await here.order(ResumeKey("a"))
    await here.until_ended("w1")
    shown = await here.order(ShowWrite("w1"))
    assert (shown["state"], shown["status"], shown["attempts"]) == ("committed", 200, 1)
    assert shown["finished_at"].endswith("Z")
    assert "dead_letter" not in shown
    with pytest.raises(NoSuchWrite, match="no write is called 'w2'"):
        await here.order(ShowWrite("w2"))


async def test_neither_principal_nor_fields_are_shown(here: DeskedJournal) -> None:
    await here.order(PauseKey("a"))
    await here.accept("a", write_id="w1", principal="SECRET", body=b"SECRET", client_key=b"SECRET")
    await here.ended("b", write_id="w2", act=REFUSES)
    for order in (ALL, ShowWrite("w1"), ListDeadLetters(), ReadEvents({})):
        assert "SECRET" not in json.dumps(await here.order(order))


# keys


async def test_a_paused_key_is_listed_with_the_reason_and_goes_on_when_resumed(here: DeskedJournal) -> None:
    assert (await here.order(PauseKey("b")))["paused"]
    assert (await here.order(PauseKey("a", "the table is locked")))["queued"] == 0
    await here.accept("a", write_id="w1")
    first, second = (await here.order(ListPausedKeys()))["keys"]
    assert first == {
        "key": "a",
        "queued": 1,
        "problem": {"type": "paused", "detail": "the table is locked", "status": None},
    }
    assert second["problem"]["detail"] == "an operator paused it"
    page = await here.order(ListPausedKeys(limit=1))
    assert ([key["key"] for key in page["keys"]], page["next"]) == (["a"], "a")
    assert [key["key"] for key in (await here.order(ListPausedKeys(after="a")))["keys"]] == ["b"]
    assert (await here.order(ResumeKey("a")))["was_paused"]
    await here.until_ended("w1")
    assert not (await here.order(ResumeKey("a")))["was_paused"]


async def test_a_key_that_could_not_be_written_down_as_paused_is_listed_all_the_same(
    here: DeskedJournal,
) -> None:
    here.journal.health.failed(OSError(5, "the disk"))
    with pytest.raises(QueueUnavailable):
        await here.order(PauseKey("a"))
    (key,) = (await here.order(ListPausedKeys()))["keys"]
    assert (key["key"], key["problem"]) == ("a", None)


async def test_a_dead_letter_that_halts_its_key_is_told_as_the_reason(here: DeskedJournal) -> None:
    here.policies["*/"] = replace(POLICY, after_dead=AfterDead.HALT)
    assert await here.ended("a", write_id="w1", act=REFUSES) is State.DEAD
    await here.accept("a", write_id="w2")
    (key,) = (await here.order(ListPausedKeys()))["keys"]
    assert (key["key"], key["queued"], key["problem"]["type"]) == ("a", 1, "credentials-refused")


async def test_the_head_of_a_key_is_skipped_and_becomes_a_dead_letter(here: DeskedJournal) -> None:
    await here.order(PauseKey("a"))
    await here.accept("a", write_id="w1")
    await here.accept("a", write_id="w2")
    assert await here.order(SkipHead("a")) == {"key": "a", "skipped": "w1", "queued": 1}
    await here.until_ended("w1")
    shown = await here.order(ShowWrite("w1"))
    assert (shown["state"], shown["problem"]["type"], shown["dead_letter"]) == ("dead", "skipped", True)
    assert ids(await here.order(QUEUED)) == ["w2"]
    with pytest.raises(NoSuchWrite, match="no write of 'b' is here"):
        await here.order(SkipHead("b"))


async def test_what_is_at_the_origin_is_neither_skipped_nor_cancelled(here: DeskedJournal) -> None:
    here.origin.acts.append(HANGS)
    await here.accept("a", write_id="w1")
    await here.until(lambda: bool(here.origin.served))
    with pytest.raises(NotNow, match="'a' is w1: it is at the origin"):
        await here.order(SkipHead("a"))
    with pytest.raises(NotNow, match="cannot be cancelled: it is at the origin"):
        await here.order(CancelWrite("w1"))


# writes and dead letters


async def test_a_write_that_waits_is_cancelled(here: DeskedJournal) -> None:
    await here.order(PauseKey("a"))
    await here.accept("a", write_id="w1")
    assert await here.order(CancelWrite("w1")) == {"id": "w1", "cancelled": True}
    await here.until_ended("w1")
    with pytest.raises(NotNow, match="has ended: cancelled"):
        await here.order(CancelWrite("w1"))
    with pytest.raises(NoSuchWrite):
        await here.order(CancelWrite("w2"))


async def test_a_dead_letter_is_replayed_once(here: DeskedJournal) -> None:
    await here.ended("a", write_id="w1", act=REFUSES)
    (letter,) = (await here.order(ListDeadLetters()))["dead_letters"]
    assert (letter["id"], letter["body_bytes"], letter["problem"]["status"]) == ("w1", 4, 401)
    orders = (here.order(ReplayWrite("w1")), here.order(ReplayWrite("w1")), here.order(DiscardLetter("w1")))
    replayed, again, discarded = await asyncio.gather(*orders, return_exceptions=True)
    assert replayed == {"id": "again001-000", "replays": "w1", "keys": ["a"]}
    assert isinstance(again, NotNow)
    assert isinstance(discarded, NotNow)
    await here.until_ended("again001-000")
    assert here.origin.applied == ["w1"], "under the same Idempotency-Key as before"
    with pytest.raises(NoSuchWrite, match="no dead letter is called 'w1'"):
        await here.order(ReplayWrite("w1"))
    assert (await here.order(ListDeadLetters()))["dead_letters"] == []


async def test_a_dead_letter_stays_where_nothing_can_send_it(here: DeskedJournal) -> None:
    await here.ended("a", write_id="w1", act=REFUSES)
    here.policies.clear()
    with pytest.raises(RouteNotFound, match=r"no route is called '\*/' any more; discard it"):
        await here.order(ReplayWrite("w1"))
    assert len((await here.order(ListDeadLetters()))["dead_letters"]) == 1


async def test_dead_letters_are_read_few_at_a_time(
    here: DeskedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "LETTERS_AT_ONCE", 2)
    for number in range(5):
        await here.ended("a", write_id=f"w{number}", act=REFUSES)
    for limit, count, after in ((9, 5, None), (5, 5, "w4"), (4, 4, "w3"), (3, 3, "w2"), (1, 1, "w0")):
        page = await here.order(ListDeadLetters(limit=limit))
        assert [letter["id"] for letter in page["dead_letters"]] == [f"w{n}" for n in range(count)]
        assert page["next"] == after


async def test_a_dead_letter_is_discarded(here: DeskedJournal) -> None:
    for number in range(3):
        await here.ended("a", write_id=f"w{number}", act=REFUSES)
    page = await here.order(ListDeadLetters(limit=2))
    assert ([letter["id"] for letter in page["dead_letters"]], page["next"]) == (["w0", "w1"], "w1")
    assert await here.order(DiscardLetter("w1")) == {"id": "w1", "discarded": True}
    with pytest.raises(NoSuchWrite):
        await here.order(DiscardLetter("w1"))
    left = (await here.order(ListDeadLetters()))["dead_letters"]
    assert [letter["id"] for letter in left] == ["w0", "w2"]
    assert (await here.order(ShowWrite("w1")))["state"] == "dead", "its end is known as long as others'"


# events


async def test_events_are_read_from_where_the_last_page_ended(here: DeskedJournal) -> None:
    for number in range(5):
        await here.ended("a", write_id=f"w{number}")
    found, after = [], {}
    for _ in range(3):
        page = await here.order(ReadEvents(after, limit=2))
        found += [event["id"] for event in page["events"]]
        after = {int(shard): position for shard, position in page["after"].items()}
    assert found == [f"w{number}" for number in range(5)]
    assert set(after) == {0, 1, 2, 3}
    event = (await here.order(ReadEvents({}, limit=1)))["events"][0]
    assert (event["shard"], event["state"], event["invalidated"]) == (0, "committed", ["/posts/1"])


async def test_an_order_for_events_waits_for_the_first(here: DeskedJournal) -> None:
    reading = asyncio.ensure_future(here.order(ReadEvents(wait_s=10.0)))
    await here.until(lambda: here.journal.events.followers == 1)
    await here.ended("a", write_id="w1")
    assert [event["id"] for event in (await reading)["events"]] == ["w1"]
    assert here.journal.events.followers == 0


async def test_without_events_the_page_is_empty_and_nothing_is_missed_after_it(
    here: DeskedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "GATHER_S", 0.01)
    page = await here.order(ReadEvents())
    assert page["events"] == []
    await here.ended("a", write_id="w1")
    monkeypatch.undo()
    page = await here.order(ReadEvents({int(shard): one for shard, one in page["after"].items()}, limit=1))
    assert [event["id"] for event in page["events"]] == ["w1"]


async def test_a_gap_is_told_once(here: DeskedJournal) -> None:
    await here.ended("a", write_id="w1")
    order = ReadEvents({0: 10**15}, limit=1)
    page = await here.order(order)
    (gap,) = page["events"]
    assert (gap["shard"], gap["gap"]) == (0, True)
    await here.ended("a", write_id="w2")
    after = {int(shard): position for shard, position in page["after"].items()}
    events = (await here.order(ReadEvents(after, limit=1)))["events"]
    assert [event["id"] for event in events] == ["w2"]


async def test_no_more_than_so_many_wait_for_events(
    here: DeskedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "MAX_READERS", 1)
    waiting = asyncio.ensure_future(here.order(ReadEvents(wait_s=10.0)))
    await here.until(lambda: here.journal.events.followers == 1)
    with pytest.raises(RefusedError):
        await here.order(ReadEvents())
    here.journal.events.close()
    with pytest.raises(QueueUnavailable):
        await waiting
    with pytest.raises(QueueUnavailable):
        await here.order(ReadEvents())


# without a journal


async def test_without_a_journal_there_is_what_waits_and_what_is_told_of_ends() -> None:
    async with desked_in_memory() as here:
        await here.order(PauseKey("a"))
        for number in range(3):
            await here.accept("a", write_id=f"w{number}", mode=Mode.SYNC)
        assert ids(await here.order(ALL)) == ["w0", "w1", "w2"]
        assert (await here.order(ListPausedKeys()))["keys"][0]["queued"] == 3
        reading = asyncio.ensure_future(here.order(ReadEvents(limit=3, wait_s=10.0)))
        await asyncio.sleep(0)
        assert (await here.order(SkipHead("a")))["skipped"] == "w0"
        await here.order(CancelWrite("w1"))
        await here.order(ResumeKey("a"))
        states = [(event["id"], event["state"]) for event in (await reading)["events"]]
        assert states == [("w0", "dead"), ("w1", "cancelled"), ("w2", "committed")]
        assert (await here.order(ListDeadLetters()))["dead_letters"] == []
        with pytest.raises(NoSuchWrite):
            await here.order(ShowWrite("w2"))
        with pytest.raises(NoSuchWrite):
            await here.order(ReplayWrite("w0"))
        assert ids(await here.order(ALL)) == []
