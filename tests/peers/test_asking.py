"""Workers of one machine: one fetch for each key, whoever is asked for it."""

from __future__ import annotations

from tests.peers.machine import Machine


async def test_a_miss_elsewhere_is_answered_by_the_owner_and_fetched_once(machine: Machine) -> None:
    machine.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    first = machine.order("/a")
    for slot in reversed(first):
        await machine.at(slot).send("GET /a").expect(200, b"A")
    assert machine.origin.asked("GET /a") == 1
