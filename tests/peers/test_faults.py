"""Workers that die, stand still or are arranged otherwise: at most one fetch more, and nobody hangs."""

from __future__ import annotations

import pytest

from proxy.config.settings import SetCookieRule
from tests.peers.machine import Machine


async def test_without_an_owner_the_next_in_order_fetches_for_all(machine: Machine) -> None:
    machine.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    owner, second, third = machine.order("/a")
    await machine.all_started()
    await machine.kill(owner)
    for slot in (third, second):
        await machine.at(slot).send("GET /a").expect(200, b"A")
    assert machine.origin.asked() == 1


async def test_an_owner_that_dies_with_waiters_costs_one_more_fetch(machine: Machine) -> None:
    rule = machine.origin.on("GET /a").by_hand()
    owner, *others = machine.order("/a")
    herds = [machine.many_at(slot, 5).send("GET /a") for slot in others]
    await machine.until(lambda: machine.seats == 12)
    first = await rule.next()
    await machine.kill(owner)
    second = await rule.next()
    second.reply(200, b"A", cache_control="max-age=60")
    for herd in herds:
        await herd.expect(200, b"A")
    assert machine.origin.asked() == 2
    await first.given_up()


async def test_an_owner_that_dies_in_the_middle_of_a_body_cuts_it(two: Machine) -> None:
    rule = two.origin.on("GET /a").by_hand()
    owner, other = two.order("/a")
    client = two.at(other).send("GET /a")
    asked = await rule.next()
    asked.head(200, length=10, cache_control="max-age=60")
    asked.data(b"half")
    await client.head()
    assert await client.body_octets(4) == b"half"
    await two.kill(owner)
    await (await client.wire()).closed()
    await asked.given_up()
    await two.until(lambda: two.flights == 0)
    assert two.worker(other).statistics().proxy.memory.entries == 0


async def test_an_owner_that_comes_back_is_asked_again(two: Machine) -> None:
    two.owner_timeout_s = 0.2
    two.origin.on("GET /a").reply(200, b"A", cache_control="max-age=1")
    owner, other = two.order("/a")
    await two.all_started()
    await two.kill(owner)
    await two.at(other).send("GET /a").expect(200, b"A")
    peers = two.worker(other).statistics().peers
    assert peers is not None
    assert peers.unreachable == 1
    await two.start(owner)
    await two.until(lambda: not _unreachable(two, other))
    two.clock.advance(2)
    await two.at(other).send("GET /a").expect(200, b"A")
    assert two.questions() == {"lost": 1, "miss": 1}


async def test_an_owner_that_stands_still_is_waited_for_once(machine: Machine) -> None:
    machine.owner_timeout_s = 0.1
    owner, *others = machine.order("/a")
    machine.leave_out(owner)
    await machine.stand_still(owner)
    machine.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    for slot in others:
        await machine.many_at(slot, 5).send("GET /a").expect(200, b"A")
    assert machine.origin.asked() == 1
    asked = machine.questions()["lost"]
    other_target = machine.owned_by(owner, name="/b")
    machine.origin.on(f"GET {other_target}").reply(200, b"B", cache_control="max-age=60")
    for slot in others:
        await machine.at(slot).send(f"GET {other_target}").expect(200, b"B")
    assert machine.questions()["lost"] == asked
    assert machine.origin.asked(f"GET {other_target}") == 1


async def test_a_worker_that_wakes_is_asked_again(two: Machine) -> None:
    two.owner_timeout_s = 0.1
    owner, other = two.order("/a")
    await two.stand_still(owner)
    two.origin.on("GET /a").reply(200, b"A", cache_control="max-age=1")
    await two.start(other)
    await two.at(other).send("GET /a").expect(200, b"A")
    assert _unreachable(two, other) == 1
    await two.fill(owner)
    await two.until(lambda: not _unreachable(two, other))
    two.clock.advance(2)
    await two.at(other).send("GET /a").expect(200, b"A")
    assert two.questions() == {"lost": 1, "miss": 1}


async def test_a_slow_origin_is_no_reason_to_leave_the_owner(two: Machine) -> None:
    two.owner_timeout_s = 0.15
    rule = two.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    client = two.at(two.order("/a")[1]).send("GET /a")
    door = two.neighbourhood(two.order("/a")[0]).door
    await two.until(lambda: rule.held == 1)
    await two.until(lambda: door.looks >= 3, "the owner was looked at for longer than the limit")
    rule.release()
    await client.expect(200, b"A")
    assert two.origin.asked() == 1
    assert two.questions() == {"miss": 1}


async def test_without_its_socket_file_a_worker_is_passed_over(two: Machine) -> None:
    two.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    owner, other = two.order("/a")
    await two.all_started()
    two.place(owner).socket_path(owner).unlink()
    await two.at(other).send("GET /a").expect(200, b"A")
    assert two.questions() == {"lost": 1}
    await two.at(owner).send("GET /a").expect(200, b"A")
    assert two.origin.asked() == 2


@pytest.mark.parametrize("where", ["asker", "owner"])
async def test_a_worker_with_another_configuration_declines(two: Machine, where: str) -> None:
    two.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    owner, other = two.order("/a")
    await two.all_started()
    changed = two.worker(other if where == "asker" else owner)
    config = changed.config
    route = config.routes[0].model_copy(update={"set_cookie": SetCookieRule.IGNORE})
    changed.commit(changed.prepare(config.model_copy(update={"routes": (route,)})))
    await two.at(other).send("GET /a").expect(200, b"A")
    assert two.questions() == {"declined": 1}
    assert two.origin.asked() == 1


async def test_two_workers_that_disagree_about_the_owner_fetch_each_for_itself(
    two: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thinks that the other owns everything: neither waits for the other."""
    rule = two.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    await two.all_started()
    for slot in range(2):
        peers = two.neighbourhood(slot).peers
        monkeypatch.setattr(peers, "_order", lambda _key, own=slot: (1 - own, own))
    clients = [two.at(slot).send("GET /a") for slot in range(2)]
    await two.until(lambda: rule.held == 2)
    rule.release()
    for client in clients:
        await client.expect(200, b"A")
    assert two.questions() == {"declined": 2}
    assert two.origin.asked() == 2


async def test_a_client_that_leaves_gives_up_its_question(two: Machine) -> None:
    rule = two.origin.on("GET /a").by_hand()
    client = two.at(two.order("/a")[1]).send("GET /a")
    asked = await rule.next()
    client.leave()
    await asked.given_up()
    await two.until(lambda: two.flights == 0)


async def test_a_slow_client_of_another_worker_does_not_slow_the_owners(two: Machine) -> None:
    body = b"x" * 4_000_000
    two.origin.on("GET /a").reply(200, body, cache_control="max-age=60")
    owner, other = two.order("/a")
    slow = two.at(other).send("GET /a")
    wire = await slow.wire()
    wire.pause()
    await two.at(owner).send("GET /a").expect(200, body)
    await two.at(other).send("GET /a").expect(200, body)
    wire.resume()
    await slow.expect(200, body)
    assert two.origin.asked() == 1


def _unreachable(machine: Machine, slot: int) -> int:
    peers = machine.worker(slot).statistics().peers
    assert peers is not None, "a worker among others"
    return peers.unreachable
