"""The writes of several workers, which one of them has, as clients of the others see them."""

from __future__ import annotations

import json
from typing import Any

from tests.peers.machine import Machine
from tests.scenario_client import Response


def configured(machine: Machine, *, journal: bool = False, **writes: Any) -> Machine:
    machine.configure(route={"writes": writes})
    if journal:
        machine.configure(writes={"journal": {"directory": str(machine.directory / "journal")}})
    return machine


def document(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.body)
    return found


async def test_writes_of_one_entity_at_all_workers_are_applied_one_by_one_in_their_order(
    machine: Machine,
) -> None:
    configured(machine)
    rule = machine.origin.on("PUT /posts/1").hold().reply(204)
    writers = []
    for number in range(6):
        writers.append(machine.at(number % 3).send("PUT /posts/1", body=b"%d" % number))
        await machine.until(lambda: queued(machine) == len(writers))
    assert rule.held == 1
    rule.release()
    for writer in writers:
        await writer.expect(204)
    assert [await asked.read_body() for asked in machine.origin.requests()] == [b"%d" % n for n in range(6)]
    assert machine.outcomes() == {"written": 6}


def queued(machine: Machine) -> int:
    home = machine.worker(0).writes
    assert home is not None
    return home.writes.statistics().queued


async def test_the_origin_and_the_client_see_no_second_proxy(machine: Machine) -> None:
    configured(machine)
    machine.origin.on("PUT /posts/1").reply(200, b"ok", etag='"1"', date="Tue, 15 Nov 1994 08:12:31 GMT")
    answers = [
        await machine.at(slot).send("PUT /posts/1", body=b"x").expect(200, b"ok") for slot in range(3)
    ]
    assert len({(answer.fields, answer.body) for answer in answers}) == 1, answers
    asked = machine.origin.requests()
    assert (
        len({tuple(pair for pair in one.fields if pair[0].lower() != b"idempotency-key") for one in asked})
        == 1
    )


async def test_a_client_that_leaves_cancels_its_write_at_the_worker_that_has_it(machine: Machine) -> None:
    configured(machine, client_gone="cancel")
    rule = machine.origin.on("PUT /posts/1").hold().reply(204)
    first = machine.at(0).send("PUT /posts/1", body=b"1")
    await machine.until(lambda: rule.held == 1)
    second = machine.at(1).send("PUT /posts/1", body=b"2")
    await machine.until(lambda: queued(machine) == 2)
    second.leave()
    await machine.until(lambda: queued(machine) == 1)
    rule.release()
    await first.expect(204)
    assert machine.origin.asked("PUT /posts/1") == 1
