"""What can go wrong with writes, row by row: each failure, what becomes of the write, and what is told.

A kill is told as what it leaves: the journal as it is at that moment is copied, and the next process begins
on the copy. `tests/writes/embedded/test_power_cut.py` and `python -m loadtest.writes crash` have real ones.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import ConfigError
from proxy.server.server import Server
from proxy.writes.embedded.database import Database
from proxy.writes.embedded.journal import Journal
from proxy.writes.problem import Problem, ProblemType
from tests.behaviour import writes_kit
from tests.behaviour.writes_kit import document, ended, home, problem
from tests.scenario import World
from tests.writes.embedded.faults import FailingConnection, io_error

ROOT = Path(__file__).parents[2]
PAUSED = Problem(ProblemType.PAUSED, "for a test")


def configured(
    world: World, *, kept: bool = True, journal: dict[str, Any] | None = None, **writes: Any
) -> World:
    """One route that queues writes, with a journal; nobody waits for what is at the origin in the end."""
    world.configure(route={"writes": writes}, writes={"shutdown_timeout_s": 0})
    if kept:
        directory = str(world.directory / "journal")
        world.configure(writes={"journal": {"directory": directory, "min_free_bytes": 0, **(journal or {})}})
    return world


def journal_of(world: World) -> Journal:
    journal = home(world).journal
    assert journal is not None
    return journal


async def accepted(world: World, what: str, body: bytes, **fields: str) -> str:
    """The place of a write whose client did not wait."""
    return await writes_kit.accepted(world, what, body, prefer="respond-async", **fields)


async def killed(world: World) -> None:
    """The process is killed now, and the next one finds what is in the journal at this moment."""
    section = world._settings["writes"]["journal"]
    assert isinstance(section, dict)
    there = Path(str(section["directory"]))
    section["directory"] = str(there.with_name(there.name + "-again"))
    shutil.copytree(there, section["directory"])
    await world.restart()


def the_log_may_complain(world: World) -> None:
    """A disk that fails is an error in the log, and here no news."""
    world._log.setLevel(logging.CRITICAL + 1)


async def bodies(world: World, what: str | None = None) -> list[bytes]:
    return [await asked.read_body() for asked in world.origin.requests(what)]


# the process


async def test_killed_before_a_write_was_kept_nothing_was_promised_and_nothing_is_sent(world: World) -> None:
    configured(world, mode="async")
    await world.started()
    journal, entered, let_go = journal_of(world), threading.Event(), threading.Event()

    def hold(_: object) -> bool:
        entered.set()
        return let_go.wait(60)

    busy = asyncio.ensure_future(journal.read(hold))
    await world.until(entered.is_set)  # else the write might be in the same batch, and kept before it
    client = world.client().send("PUT /posts/1", body=b"1")
    await world.until(lambda: len(home(world).writes.here()) == 1)
    section = Path(str(world._settings["writes"]["journal"]["directory"]))  # type: ignore[index]
    shutil.copytree(section, section.with_name("at-that-time"))
    client.leave()
    world.origin.on("PUT /posts/1").reply(204)
    let_go.set()
    await busy
    await world.until(lambda: world.origin.asked() == 1)  # the one that was not killed goes on
    world._settings["writes"]["journal"]["directory"] = str(section.with_name("at-that-time"))  # type: ignore[index]
    await world.restart()
    await world.turns(50)
    assert (world.origin.asked(), home(world).writes.here()) == (1, ())


async def test_killed_after_the_202_the_write_is_there_and_waits_until_nothing_of_before_can_come(
    world: World,
) -> None:
    configured(world)
    await world.started()
    await home(world).writes.pause("/posts/1", PAUSED)
    places = [await accepted(world, "PUT /posts/1", b"%d" % number) for number in range(3)]
    await killed(world)
    assert document(await world.client().send(f"GET {places[2]}").expect(200))["ahead"] == 2
    world.origin.on("PUT /posts/1").reply(204)
    await home(world).writes.resume("/posts/1")
    # No mark of it, and a route with writes that leave none: the key waits as long as one could take.
    assert world.origin.asked() == 0


async def test_killed_before_the_send_it_is_sent_once_and_in_its_order(world: World) -> None:
    configured(world, settle_s=0)
    await world.started()
    await home(world).writes.pause("/posts/1", PAUSED)
    places = [await accepted(world, "POST /posts/1", b"%d" % number) for number in range(3)]
    await killed(world)
    world.origin.on("POST /posts/1").reply(201)
    await home(world).writes.resume("/posts/1")
    for place in places:
        assert (await ended(world, place))["state"] == "committed"
    assert await bodies(world) == [b"0", b"1", b"2"]


async def test_killed_after_the_send_a_put_is_sent_again_under_its_key_when_the_first_is_over(
    world: World,
) -> None:
    configured(world, origin_timeout_s=0.05)
    rule = world.origin.on("PUT /posts/1").by_hand()
    place = await accepted(world, "PUT /posts/1", b"1")
    behind = await accepted(world, "PUT /posts/1", b"2")
    first = await rule.next()
    await killed(world)
    world.origin.on("PUT /posts/1").reply(204)
    await world.turns(100)
    assert world.origin.asked() == 1, "the first attempt could be at the origin still"
    first.cut()
    world.clock.advance(1)
    assert (await ended(world, place))["state"] == "committed"
    assert (await ended(world, behind))["state"] == "committed"
    assert await bodies(world) == [b"1", b"1", b"2"]
    keys = [asked.field("idempotency-key") for asked in world.origin.requests()]
    assert keys[0] == keys[1] != keys[2]


async def test_killed_after_the_send_a_post_is_unknown_and_not_sent_again(world: World) -> None:
    configured(world, settle_s=0)
    rule = world.origin.on("POST /posts/1").by_hand()
    place = await accepted(world, "POST /posts/1", b"1")
    await rule.next()
    await killed(world)
    found = await ended(world, place)
    assert (found["state"], found["problem"]["type"]) == ("unknown", "unknown-outcome")
    assert world.origin.asked() == 1


async def test_killed_after_its_end_was_kept_it_is_not_sent_again(world: World) -> None:
    configured(world, settle_s=0)
    world.origin.on("POST /posts/1").reply(201, b"made")
    place = await accepted(world, "POST /posts/1", b"1", idempotency_key="k")
    assert (await ended(world, place))["state"] == "committed"
    await killed(world)
    await world.client().send(f"GET {place}/response").expect(201, b"made")
    client = world.client().send("POST /posts/1", body=b"1", idempotency_key="k")
    await client.expect(201, b"made", idempotent_replayed="true")
    assert world.origin.asked() == 1


async def test_what_brings_the_process_down_each_time_is_given_up_in_the_end(world: World) -> None:
    configured(world, settle_s=0, retry={"max_attempts": 3, "first_s": 0})
    rule = world.origin.on("PUT /posts/1").by_hand()
    place = await accepted(world, "PUT /posts/1", b"poison")
    behind = await accepted(world, "PUT /posts/1", b"fine")
    for _ in range(3):
        await rule.next()
        await killed(world)
    world.origin.on("PUT /posts/1").reply(204)
    found = await ended(world, place)
    assert (found["state"], found["attempts"]) == ("unknown", 3)
    assert (await ended(world, behind))["state"] == "committed"
    assert await bodies(world) == [b"poison"] * 3 + [b"fine"]


async def test_killed_a_key_leads_to_its_write_all_the_same(world: World) -> None:
    configured(world, settle_s=0, idempotency={"concurrent": "attach"})
    rule = world.origin.on("PUT /posts/1").by_hand()
    first = world.client().send("PUT /posts/1", body=b"1", idempotency_key="k")
    await rule.next()
    first.leave()
    await killed(world)
    world.origin.on("PUT /posts/1").reply(200, b"done")
    await world.client().send("PUT /posts/1", body=b"1", idempotency_key="k").expect(200, b"done")
    assert len(await bodies(world)) == 2


async def test_two_processes_do_not_use_one_journal(world: World) -> None:
    configured(world)
    await world.started()
    with pytest.raises(ConfigError, match=r"writes\.journal\.directory"):
        await Server(world._config()).start()


@pytest.mark.parametrize("fault", ["torn", "foreign", "other key", "no key", "other shards", "no directory"])
async def test_a_journal_that_is_not_as_it_was_left_is_refused_and_left_as_it_is(
    world: World, fault: str
) -> None:
    configured(world)
    await world.started()
    await home(world).writes.pause("/posts/1", PAUSED)
    await accepted(world, "PUT /posts/1", b"1")
    await world.proxy.close()
    directory = world.directory / "journal"
    database = directory / "journal.db"
    match fault:
        case "torn":
            database.write_bytes(database.read_bytes()[:-1000])
        case "foreign":
            database.write_bytes(b"not a database at all, whatever it is" * 100)
        case "other key":
            (directory / "journal.key").write_text("7" * 64)
        case "no key":
            (directory / "journal.key").unlink()
        case "other shards":
            world._settings["writes"]["journal"]["shards"] = 7  # type: ignore[index]
        case _:
            shutil.move(directory, world.directory / "moved")
            directory.write_text("in its place")
    left = database.read_bytes() if database.exists() else b""
    server = Server(world._config())
    try:
        with pytest.raises(ConfigError, match="journal"):
            await server.start()
    finally:
        await server.close()
    assert (database.read_bytes() if database.exists() else b"") == left


# the disk


async def fill(world: World, *, full: bool) -> None:
    """Let the file not grow any more, or grow again."""

    def limit(database: Database) -> None:
        (count,) = database.connection.execute("PRAGMA page_count").fetchone()
        database.connection.execute(f"PRAGMA max_page_count = {count if full else 1_000_000}")

    await journal_of(world).read(limit)


async def test_a_full_disk_refuses_promises_and_nothing_else(world: World) -> None:
    configured(world, journal={"retry_after_s": 1})
    world.origin.on("GET /posts/1").reply(200, b"read", cache_control="max-age=60")
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    running = await accepted(world, "PUT /posts/1", b"1")
    await world.until(lambda: rule.held == 1)
    the_log_may_complain(world)
    await fill(world, full=True)
    large = b"x" * 200_000
    for fields in ({"prefer": "respond-async"}, {"idempotency_key": "k"}):
        refused = world.client().send("PUT /posts/2", body=large, **fields)
        response = await refused.expect(503, content_type="application/problem+json")
        assert document(response)["type"].endswith(":queue-unavailable")
        assert int(response.field("retry-after") or 0) >= 1
    await world.client().send("GET /posts/1").expect(200, b"read")
    world.origin.on("PUT /posts/3").reply(204)
    await world.client().send("PUT /posts/3", body=large).expect(204)
    rule.release()
    assert (await ended(world, running))["state"] == "committed"
    await fill(world, full=False)
    journal_of(world).health.worked()
    world.origin.on("PUT /posts/2").reply(204)
    await world.client().send("PUT /posts/2", body=large, idempotency_key="k").expect(204)
    assert len(world.origin.requests("PUT /posts/2")) == 1


async def test_too_little_room_refuses_promises_and_nothing_else(world: World) -> None:
    configured(world, journal={"min_free_bytes": 2**62})
    the_log_may_complain(world)
    world.origin.on("PUT /posts/1").reply(204)
    await world.started()
    statuses = []
    for _ in range(3):  # the room is measured beside the first one
        response = await world.client().send("PUT /posts/1", body=b"1", prefer="respond-async").response()
        statuses.append(response.status)
    assert statuses[-1] == 503
    await world.client().send("PUT /posts/1", body=b"1").expect(204)


async def test_a_failed_sync_refuses_promises_until_a_restart_and_loses_none(world: World) -> None:
    configured(world, settle_s=0)
    await world.started()
    await home(world).writes.pause("/posts/1", PAUSED)
    place = await accepted(world, "PUT /posts/1", b"promised")

    def replace(database: Database) -> FailingConnection:
        failing = FailingConnection(database.connection)
        failing.failing = io_error
        database.connection = failing  # type: ignore[assignment]
        return failing

    failing = await journal_of(world).read(replace)
    the_log_may_complain(world)
    for _ in range(2):
        await problem(
            world.client().send("PUT /posts/2", body=b"1", prefer="respond-async"), 503, "queue-unavailable"
        )
    world.origin.on("PUT /posts/2").reply(204)
    await world.client().send("PUT /posts/2", body=b"1").expect(204)
    failing.failing = None
    await killed(world)
    world.origin.on("PUT /posts/1").reply(204)
    await home(world).writes.resume("/posts/1")
    assert (await ended(world, place))["state"] == "committed"


# the origin


async def test_an_origin_that_does_not_answer_in_time_leaves_the_outcome_unknown(world: World) -> None:
    configured(world, kept=False, origin_timeout_s=0.05, settle_s=0)
    rule = world.origin.on("POST /posts").by_hand()
    client = world.client().send("POST /posts", body=b"1")
    asked = await rule.next()
    found = await problem(client, 504, "unknown-outcome")
    assert found["retry_safe"] is False
    asked.cut()


async def test_after_an_unknown_outcome_later_writes_of_the_entity_wait_until_it_cannot_come(
    world: World,
) -> None:
    configured(world, kept=False, origin_timeout_s=0.05)
    rule = world.origin.on("POST /posts/1").by_hand()
    first = world.client().send("POST /posts/1", body=b"1")
    asked = await rule.next()
    asked.cut()
    await problem(first, 504, "unknown-outcome")
    world.origin.on("POST /posts/1").reply(201)
    second = world.client().send("POST /posts/1", body=b"2")
    await second.wire()
    await world.until(lambda: home(world).writes.depth("/posts/1") == 2)
    assert world.origin.asked() == 1
    world.clock.advance(1)
    await second.expect(201)


@pytest.mark.parametrize(("method", "attempts"), [("PUT", 3), ("DELETE", 3), ("POST", 1), ("PATCH", 1)])
async def test_an_origin_that_answers_5xx_is_tried_again_where_that_does_no_harm(
    world: World, method: str, attempts: int
) -> None:
    configured(world, kept=False, retry={"max_attempts": 3, "first_s": 0})
    world.origin.on(f"{method} /posts/1").reply(500, b"broken")
    await world.client().send(f"{method} /posts/1", body=b"1").expect(500, b"broken")
    assert world.origin.asked() == attempts


async def test_an_origin_that_is_down_for_long_has_the_queues_fill_and_the_writes_given_up(
    world: World,
) -> None:
    configured(
        world, max_lane=2, retry={"max_attempts": 10**6, "first_s": 0.01, "factor": 1, "budget_s": 1000}
    )
    await world.started()
    world.origin.refuse()
    places = [await accepted(world, "PUT /posts/1", b"%d" % number) for number in range(2)]
    await problem(world.client().send("PUT /posts/1", body=b"3"), 429, "lane-full")
    world.clock.advance(1001)
    found = await ended(world, places[0])
    assert (found["state"], found["problem"]["type"]) == ("dead", "origin-unreachable")
    await world.origin.listen()
    world.origin.on("PUT /posts/1").reply(204)

    def asked_again() -> bool:
        world.clock.advance(0.01)
        return world.origin.asked() > 0

    await world.until(asked_again)
    assert (await ended(world, places[1]))["state"] == "committed"


async def test_an_origin_that_commits_and_loses_the_answer_applies_once_if_it_knows_the_key(
    world: World,
) -> None:
    configured(world, kept=False, origin_idempotent=True, retry={"first_s": 0})
    applied: list[bytes] = []

    def apply(asked: Any) -> None:
        key = asked.fields.get(b"idempotency-key")
        if key in applied:
            asked.reply(201, b"applied before")
        else:
            applied.append(key)
            asked.reset()

    world.origin.on("POST /posts").answer(apply)
    await world.client().send("POST /posts", body=b"1").expect(201, b"applied before")
    assert len(applied) == 1


# too much, and time


async def test_a_hot_entity_is_refused_by_itself_and_others_do_not_notice(world: World) -> None:
    configured(world, kept=False, max_sync_lane=3)
    hot = world.origin.on("PUT /posts/hot").hold().reply(204)
    world.origin.on("PUT /posts/other").reply(204)
    clients = [world.client().send("PUT /posts/hot", body=b"1") for _ in range(3)]
    await world.until(lambda: home(world).writes.depth("/posts/hot") == 3)
    response = await world.client().send("PUT /posts/hot", body=b"1").expect(429)
    assert int(response.field("retry-after") or 0) >= 1
    for _ in range(3):
        await world.client().send("PUT /posts/other", body=b"1").expect(204)
    hot.release()
    for client in clients:
        await client.expect(204)


async def test_a_clock_that_jumps_ahead_expires_what_waits_and_nothing_that_was_sent(world: World) -> None:
    configured(world, async_expires_s=100)
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    running = await accepted(world, "PUT /posts/1", b"1")
    waiting = await accepted(world, "PUT /posts/1", b"2")
    await world.until(lambda: rule.held == 1)
    world.clock.advance(10_000)
    rule.release()
    assert (await ended(world, running))["state"] == "committed"
    assert (await ended(world, waiting))["state"] == "expired"
    assert world.origin.asked() == 1


def test_the_page_names_a_test_for_each_failure() -> None:
    page = (ROOT / "docs/checking-writes.md").read_text().partition("## Failures")[2]
    named = set(re.findall(r"`(test_\w+)`", page))
    written = {name for name in globals() if name.startswith("test_")} - {
        "test_the_page_names_a_test_for_each_failure"
    }
    assert named == written
