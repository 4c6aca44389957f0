"""Orders about writes by the admin listener, over a desk with a journal behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.writes.orders import ClosedDesk
from tests.admin.operator_of_writes import Operator, listening
from tests.writes.desked import REFUSES, DeskedJournal, desked


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[DeskedJournal]:
    async with desked(tmp_path / "journal") as made:
        yield made


@pytest.fixture
async def operator(here: DeskedJournal) -> AsyncIterator[Operator]:
    async with listening(here.desk) as made:
        yield made


def ids(answer: Any) -> list[str]:
    return [write["id"] for write in answer["writes"]]


async def test_a_key_that_holds_anything_is_paused_listed_skipped_and_resumed(
    here: DeskedJournal, operator: Operator
) -> None:
    key = '/a/b?c=d&"é'
    paused = await operator.ask("/writes/keys", json={"key": key, "do": "pause", "reason": "why"})
    assert paused == {"key": key, "paused": True, "queued": 0}
    for number in range(3):
        await here.accept(key, write_id=f"w{number}")
    await here.accept("other", write_id="x")
    quoted = "%2Fa%2Fb%3Fc%3Dd%26%22%C3%A9"
    assert ids(await operator.ask(f"/writes?key={quoted}&state=queued&limit=2")) == ["w0", "w1"]
    (told,) = (await operator.ask("/writes/keys"))["keys"]
    assert (told["key"], told["queued"], told["problem"]["detail"]) == (key, 3, "why")
    assert (await operator.ask("/writes/keys", json={"key": key, "do": "skip"}))["skipped"] == "w0"
    resumed = await operator.ask("/writes/keys", json={"key": key, "do": "resume"})
    assert resumed["was_paused"]
    for name in ("w1", "w2", "x"):
        await here.until_ended(name)
    assert ids(await operator.ask("/writes")) == []
    assert ids(await operator.ask("/writes?state=committed&state=cancelled&after=w1")) == ["w2", "x"]
    assert ids(await operator.ask("/writes?state=all")) == ["w0", "w1", "w2", "x"]


async def test_a_write_is_shown_and_cancelled(here: DeskedJournal, operator: Operator) -> None:
    await operator.ask("/writes/keys", json={"key": "a", "do": "pause"})
    await here.accept("a", write_id="w1")
    assert (await operator.ask("/writes/w1"))["ahead"] == 0
    assert (await operator.ask("/writes/w1/cancel", json={}))["cancelled"]
    await here.until_ended("w1")
    assert "has ended: cancelled" in await operator.ask("/writes/w1/cancel", json={}, status=409)
    assert "no write is called 'w2'" in await operator.ask("/writes/w2", status=404)


async def test_dead_letters_are_listed_replayed_and_discarded(
    here: DeskedJournal, operator: Operator
) -> None:
    for number in range(3):
        await here.ended("a", write_id=f"w{number}", act=REFUSES)
    page = await operator.ask("/writes/dead?limit=2")
    assert ([letter["id"] for letter in page["dead_letters"]], page["next"]) == (["w0", "w1"], "w1")
    replayed = await operator.ask("/writes/w0/replay", json={})
    await here.until_ended(replayed["id"])
    await operator.ask("/writes/w1/discard", json={})
    assert "no dead letter" in await operator.ask("/writes/w1/discard", json={}, status=404)
    left = await operator.ask("/writes/dead?after=w0")
    assert [letter["id"] for letter in left["dead_letters"]] == ["w2"]


async def test_events_are_followed_from_any_place(here: DeskedJournal, operator: Operator) -> None:
    waiting = asyncio.ensure_future(operator.ask("/writes/events?wait=10&limit=1"))
    await here.until(lambda: here.journal.events.followers == 1)
    for number in range(3):
        await here.ended("a", write_id=f"w{number}")
    first = await waiting
    assert [event["id"] for event in first["events"]] == ["w0"]
    rest = await operator.ask(f"/writes/events?limit=2&after={first['after']}")
    assert [event["id"] for event in rest["events"]] == ["w1", "w2"]
    every = await operator.ask("/writes/events?after=all&limit=3")
    assert [event["position"] for event in every["events"]] == sorted(
        event["position"] for event in every["events"]
    )
    assert every["after"] == rest["after"]


async def test_a_place_in_the_events_of_many_shards_fits_into_a_request(operator: Operator) -> None:
    place = ",".join(f"{shard}:{2**50}" for shard in range(4096))
    assert (await operator.ask(f"/writes/events?after={place}&limit=4"))["events"][0]["gap"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/writes?state=queueed", "did you mean queued?"),
        ("/writes?states=queued", "did you mean state?"),
        ("/writes?key=a&key=b", "key is given 2 times"),
        ("/writes?limit=0", "a number from 1 to 1000"),
        ("/writes?limit=99999999999", "a number from 1 to 1000"),
        ("/writes?limit=%D9%A3", "a number from 1 to 1000"),
        ("/writes?limit=000000001001", "a number from 1 to 1000"),
        (f"/writes?limit=000000001{'0' * 5000}", "a number from 1 to 1000"),
        ("/writes?" + "a=b&" * 60, "more than 50 fields"),
        ("/writes?key=%80", "no UTF-8"),
        ("/writes/dead?key=a", "there are: after, limit"),
        ("/writes/keys?xyz=all", "there are: after, limit"),
        ("/writes/events?wait=31", "seconds from 0 to 30"),
        ("/writes/events?wait=nan", "seconds from 0 to 30"),
        ("/writes/events?after=1", "write SHARD:POSITION"),
        ("/writes/events?after=", "write SHARD:POSITION"),
        ("/writes/" + "w" * 300, "none has more than 200"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_question_that_cannot_be_meant_is_refused(operator: Operator, path: str, told: str) -> None:
    assert told in await operator.ask(path, status=400)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ([], "write an object"),
        ({"do": "pause"}, "key is None"),
        ({"key": "", "do": "pause"}, "key is ''"),
        ({"key": "a" * 4097, "do": "pause"}, "1 to 4096 characters"),
        ({"key": "a\udc80", "do": "pause"}, "half a surrogate pair"),
        ({"key": 1, "do": "pause"}, "key is 1"),
        ({"key": "a", "do": "stop"}, "write pause, resume or skip"),
        ({"key": "a"}, "do is None"),
        ({"key": "a", "do": ["pause"]}, "write pause, resume or skip"),
        ({"key": "a", "do": "skip", "reason": "b"}, "a reason goes with pause only"),
        ({"key": "a", "do": "pause", "reason": 1}, "reason is 1"),
        ({"kye": "a", "do": "pause"}, "did you mean key?"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_an_order_that_cannot_be_meant_is_refused(operator: Operator, body: object, told: str) -> None:
    assert told in await operator.ask("/writes/keys", json=body, status=400)


async def test_orders_come_as_json_and_nothing_else(here: DeskedJournal, operator: Operator) -> None:
    text = json.dumps({"key": "a", "do": "pause"})
    for path in ("/writes/keys", "/writes/w1/cancel"):
        detail = await operator.ask(path, data=text, headers={"Content-Type": "text/plain"}, status=415)
        assert "send JSON" in detail
    assert "an empty object" in await operator.ask("/writes/w1/cancel", json={"id": "w2"}, status=400)
    assert here.writes.paused_keys == frozenset()


async def test_with_a_token_nothing_is_told_or_done_without_it(here: DeskedJournal) -> None:
    token = "0123456789abcdef"
    async with listening(here.desk, token=token) as operator:
        for path in ("/writes", "/writes/w1", "/writes/dead", "/writes/keys", "/writes/events"):
            await operator.ask(path, status=401)
        for path in ("/writes/keys", "/writes/w1/replay"):
            await operator.ask(path, json={"key": "a", "do": "pause"}, status=401)
        assert here.writes.paused_keys == frozenset()
        right = {"Authorization": f"Bearer {token}"}
        await operator.ask("/writes/keys", json={"key": "a", "do": "pause"}, headers=right)
    assert here.writes.paused_keys == {"a"}


async def test_what_the_journal_cannot_do_is_told_with_the_time_to_come_again(
    here: DeskedJournal, operator: Operator
) -> None:
    here.journal.health.failed(OSError(5, "the disk"))
    assert "Not kept" in await operator.ask("/writes/keys", json={"key": "a", "do": "pause"}, status=503)


async def test_where_there_are_no_writes_that_is_told() -> None:
    async with listening(ClosedDesk(elsewhere=False)) as operator:
        assert "no route queues writes" in await operator.ask("/writes", status=404)
    async with listening(ClosedDesk(elsewhere=True)) as operator:
        assert "another worker" in await operator.ask("/writes", status=503)
