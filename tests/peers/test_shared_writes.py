"""The writes of several workers, which one of them has, as clients of the others see them."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from typing import Any

import pytest

from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.http.rendering import render_fields
from proxy.peers import shared_writes
from proxy.peers.relay_field import MOVED, Relayed, Told, relayed_fields, told_field
from proxy.policy.forwarding import ClientAddress
from proxy.server.server import Server
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
    answers = [await machine.at(slot).send("PUT /posts/1", body=b"x").expect(200, b"ok") for slot in range(3)]
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


# what a client sees is what one worker would tell it


async def test_a_write_is_promised_watched_and_taken_back_at_any_worker(machine: Machine) -> None:
    configured(machine, journal=True)
    rule = machine.origin.on("PUT /posts/1").hold().reply(204)
    accepted = []
    for slot in (1, 2):
        client = machine.at(slot).send("PUT /posts/1", body=b"%d" % slot, prefer="respond-async")
        accepted.append(await client.expect(202, preference_applied="respond-async", retry_after="1"))
    await machine.until(lambda: rule.held == 1)
    places = [answer.field("location") for answer in accepted]
    for slot in range(3):
        assert document(await machine.at(slot).send(f"GET {places[0]}").expect(200))["state"] == "started"
        head = await machine.at(slot).send(f"HEAD {places[0]}").expect(200, b"")
        assert int(head.field("content-length") or "0") > 10
    assert document(await machine.at(0).send(f"DELETE {places[1]}").expect(200))["state"] == "cancelled"
    waiting = machine.at(2).send(f"GET {places[0]}?wait=20")
    rule.release()
    assert document(await waiting.expect(200))["state"] == "committed"
    assert machine.outcomes() == {"written": 2, "answered": 8}


async def test_a_key_is_known_at_every_worker(machine: Machine) -> None:
    configured(machine, journal=True)
    machine.origin.on("POST /posts").reply(201, b"made")
    for slot in (1, 2, 0):
        client = machine.at(slot).send("POST /posts", body=b"x", idempotency_key='"one"')
        await client.expect(201, b"made", idempotent_replayed="true" if slot != 1 else None)
    await machine.at(2).send("POST /posts", body=b"y", idempotency_key='"one"').expect(422)
    assert machine.origin.asked() == 1


async def test_a_body_is_asked_for_by_the_worker_that_has_the_writes(machine: Machine) -> None:
    configured(machine)
    machine.origin.on("PUT /posts/1").reply(204)
    client = machine.at(1).send_raw(
        b"PUT /posts/1 HTTP/1.1\r\nHost: shop.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        "PUT",
    )
    wire = await client.wire()
    assert (await wire.head()).startswith(b"HTTP/1.1 100")
    wire.send(b"body")
    await client.expect(204)
    assert await machine.origin.requests()[0].read_body() == b"body"


async def test_a_body_in_chunks_arrives_whole(machine: Machine) -> None:
    configured(machine)
    machine.origin.on("PUT /posts/1").reply(204)
    client = machine.at(2).send_raw(
        b"PUT /posts/1 HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "PUT",
    )
    wire = await client.wire()
    assert machine.origin.asked() == 0
    wire.send(b"2\r\nde\r\n0\r\n\r\n")
    await client.expect(204)
    assert await machine.origin.requests()[0].read_body() == b"abcde"


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_refused_with_a_problem(machine: Machine, chunked: bool) -> None:
    configured(machine, max_body_bytes=10)
    framing = (
        b"Transfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n"
        if chunked
        else b"Content-Length: 11\r\n\r\n"
    )
    client = machine.at(1).send_raw(b"PUT /posts/1 HTTP/1.1\r\nHost: shop.example\r\n" + framing, "PUT")
    await client.wire()
    answer = await client.expect(413, connection="close")
    assert document(answer)["type"].endswith(":too-large")
    assert machine.outcomes() == {"refused": 1}


async def test_what_is_refused_there_is_counted_as_refused_here(machine: Machine) -> None:
    configured(machine, max_lane=1, max_sync_lane=1)
    rule = machine.origin.on("PUT /posts/1").hold().reply(204)
    first = machine.at(1).send("PUT /posts/1", body=b"1")
    await machine.until(lambda: rule.held == 1)
    answer = await machine.at(2).send("PUT /posts/1", body=b"2").expect(429)
    assert document(answer)["type"].endswith(":lane-full")
    rule.release()
    await first.expect(204)
    assert machine.outcomes() == {"written": 1, "refused": 1}
    assert machine.worker(0).proxy.statistics().exchanges.requests == 0


async def test_an_old_client_is_answered_in_its_version(machine: Machine) -> None:
    configured(machine)
    machine.origin.on("PUT /posts/1").reply(200, b"ok")
    octets = b"PUT /posts/1 HTTP/1.0\r\nHost: shop.example\r\nContent-Length: 1\r\n\r\nx"
    client = machine.at(1).send_raw(octets, "PUT")
    await client.expect(200, b"ok", connection="close", transfer_encoding=None)


async def test_a_principal_is_known_by_what_its_own_request_says(machine: Machine) -> None:
    configured(machine, journal=True, principal={"header": "X-User"})
    machine.origin.on("PUT /posts/1").reply(204)
    asked = machine.at(1).send("PUT /posts/1", body=b"1", prefer="respond-async", x_user="ann")
    place = (await asked.expect(202)).field("location")
    await machine.at(2).send(f"GET {place}", x_user="bob").expect(403)
    await machine.at(2).send(f"GET {place}?wait=9", x_user="ann").expect(200)


async def test_a_large_answer_is_streamed_and_a_cut_one_is_cut(machine: Machine) -> None:
    configured(machine, max_answer_bytes=1000)
    whole, cut = b"w" * 300_000, b"c" * 300_000
    machine.origin.on("PUT /posts/1").reply(200, whole)
    by_hand = machine.origin.on("POST /posts/2").by_hand()
    await machine.at(1).send("PUT /posts/1", body=b"x").expect(200, whole)
    client = machine.at(1).send("POST /posts/2", body=b"x")
    asked = await by_hand.next()
    asked.head(200, length=len(cut) + 1)
    asked.data(cut)
    asked.cut()
    await client.expect_cut()


async def test_reads_are_no_business_of_the_worker_that_has_the_writes(machine: Machine) -> None:
    configured(machine)
    machine.origin.on("GET /posts/1").reply(200, b"1", cache_control="no-store")
    await machine.at(1).send("GET /posts/1").expect(200, b"1")
    assert queued(machine) == 0
    assert machine.outcomes() == {"miss": 1} or machine.outcomes() == {"passed": 1}


async def test_a_client_cannot_speak_for_a_worker(machine: Machine) -> None:
    configured(machine)
    machine.origin.on("PUT /posts/1").reply(204)
    stranger = ClientAddress("203.0.113.9", "https", trusted=True)
    forged = relayed_fields(Relayed(RequestHead("PUT", b"/", Fields(), authority=b"evil"), stranger))
    head = b"PUT /posts/1 HTTP/1.1\r\nHost: shop.example\r\n" + render_fields(forged)
    for slot in (0, 1):
        await machine.at(slot).send_raw(head + b"Content-Length: 1\r\n\r\nx", "PUT").expect(204)
    for asked in machine.origin.requests():
        assert asked.field("x-forwarded-for") == "127.0.0.1"
        assert asked.field("host") == "shop.example"


# where nobody has the writes


async def test_what_was_not_given_over_waits_for_the_next_one(machine: Machine) -> None:
    configured(machine)
    machine.origin.on("PUT /posts/1").reply(204)
    machine.leave_out(0)
    await machine.start(1)
    client = machine.at(1).send("PUT /posts/1", body=b"x")
    await client.wire()
    await machine.turns(50)
    await machine.fill(0)
    await client.expect(204)


async def test_what_the_one_there_did_not_take_in_is_brought_anew_with_its_body(machine: Machine) -> None:
    configured(machine)
    machine.leave_out(0)
    answers = [(b"503 Moved", Told(MOVED)), (b"204 Done", Told("written"))]
    bodies = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await reader.read(1):
            writer.close()  # only a look whether anybody is there
            return
        await reader.readuntil(b"\r\n\r\n")
        bodies.append(await reader.readexactly(4))
        status, told = answers.pop(0)
        lines = b"Connection: close\r\n" + render_fields((told_field(told),))
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + lines + b"\r\n")
        writer.close()

    async with await asyncio.start_unix_server(serve, machine.place(0).writes_path):
        await machine.at(1).send("PUT /posts/1", body=b"body").expect(204)
    assert bodies == [b"body", b"body"]


async def test_one_that_waits_in_vain_is_refused_and_may_come_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_writes, "RESTART_S", 0.05)
    configured(machine)
    machine.configure(writes={"shutdown_timeout_s": 0})
    machine.leave_out(0)
    await machine.start(1)
    answer = await machine.at(1).send("PUT /posts/1", body=b"x").expect(503, retry_after="1")
    assert document(answer)["type"].endswith(":queue-unavailable")
    await machine.at(1).send("GET /_writes/x").expect(503, retry_after="1")
    assert machine.outcomes() == {"refused": 2}


@pytest.mark.parametrize(("method", "safe"), [("PUT", True), ("POST", False)])
async def test_one_that_was_given_over_to_a_worker_that_died_is_unknown(
    machine: Machine, method: str, safe: bool
) -> None:
    configured(machine)
    rule = machine.origin.on(f"{method} /posts/1").by_hand()
    client = machine.at(1).send(f"{method} /posts/1", body=b"x")
    asked = await rule.next()
    killing = asyncio.get_running_loop().create_task(machine.kill(0))
    answer = await client.expect(504)
    assert document(answer)["type"].endswith(":unknown-outcome")
    assert document(answer)["retry_safe"] is safe
    asked.reply(204)
    await killing
    assert machine.outcomes()["written"] == 1


async def test_a_body_that_was_on_its_way_is_sent_to_the_next_one(machine: Machine) -> None:
    configured(machine)
    machine.origin.on("PUT /posts/1").reply(204)
    client = machine.at(1).send_raw(
        b"PUT /posts/1 HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\n\r\nbo", "PUT"
    )
    wire = await client.wire()
    await machine.until(lambda: relayed_now(machine) == 1)
    await machine.kill(0)
    wire.send(b"dy")
    await machine.start(0)
    await client.expect(204)
    assert await machine.origin.requests()[0].read_body() == b"body"


def relayed_now(machine: Machine) -> int:
    """Exchanges of others at the worker that has the writes."""
    shared = machine.worker(0).shared_writes
    assert shared is not None
    assert shared.door is not None
    return shared.door.listener._serving


# another process gets them


async def test_they_move_with_all_that_was_promised_and_nobody_fails(machine: Machine) -> None:
    configured(machine, journal=True)
    rule = machine.origin.on("PUT /posts/1").hold().reply(204)
    promised = await machine.at(1).send("PUT /posts/1", body=b"1", prefer="respond-async").expect(202)
    await machine.until(lambda: rule.held == 1)
    old = machine.worker(0)
    kept = machine.at(0)
    giving = asyncio.get_running_loop().create_task(old.give_writes())
    await machine.until(lambda: not old.writes.is_here if old.writes else False)
    meanwhile = [machine.at(2).send("PUT /posts/1", body=b"2"), kept.send("PUT /posts/1", body=b"3")]
    for client in meanwhile:
        await client.wire()
    await machine.turns(20)
    assert rule.held == 1
    rule.release()
    assert await giving
    successor = Server(old.config, clock=machine.clock, place=replace(machine.place(0), generation=1))
    await successor.start()
    for client in meanwhile:
        await client.expect(204)
    place = promised.field("location")
    assert document(await machine.at(0).send(f"GET {place}").expect(200))["state"] == "committed"
    bodies = [await asked.read_body() for asked in machine.origin.requests()]
    assert bodies[0] == b"1"
    assert sorted(bodies) == [b"1", b"2", b"3"]
    await successor.close()


async def test_who_came_to_the_door_and_was_not_let_in_yet_is_told_that_they_moved(machine: Machine) -> None:
    configured(machine)
    machine.origin.on("PUT /posts/1").reply(204)
    await machine.all_started()
    old = machine.worker(0)
    client = machine.at(1).send("PUT /posts/1", body=b"x")
    await client.wire()
    path = machine.place(0).writes_path
    with socket.socket(socket.AF_UNIX) as queued_there:
        queued_there.connect(str(path))  # the kernel has it: the loop has not turned since
        stranger = ClientAddress("192.0.2.1", "http")
        head = RequestHead(
            "PUT", b"/posts/1", Fields(((b"Host", b"shop.example"),)), authority=b"shop.example"
        )
        lines = render_fields(relayed_fields(Relayed(head, stranger)))
        queued_there.send(b"PUT /posts/1 HTTP/1.1\r\nHost: x\r\n" + lines + b"Content-Length: 1\r\n\r\ny")
        giving = asyncio.get_running_loop().create_task(old.give_writes())
        await giving
        successor = Server(old.config, clock=machine.clock, place=replace(machine.place(0), generation=1))
        await successor.start()
        await client.expect(204)
        queued_there.setblocking(False)
        answer = await asyncio.get_running_loop().sock_recv(queued_there, 1000)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b'"outcome":"moved"' in answer
    await successor.close()


async def test_who_waits_inside_gets_the_answer_before_they_move(machine: Machine) -> None:
    configured(machine)
    rule = machine.origin.on("PUT /posts/1").hold().reply(204)
    writers = [machine.at(slot).send("PUT /posts/1", body=b"x") for slot in range(3)]
    await machine.until(lambda: queued(machine) == 3)
    giving = asyncio.get_running_loop().create_task(machine.worker(0).give_writes())
    for _ in range(3):
        await machine.until(lambda: rule.held == 1)
        rule.release(1)
    for writer in writers:
        await writer.expect(204)
    assert await giving


async def test_a_worker_without_clients_ends_when_those_of_others_have_their_answers(
    machine: Machine,
) -> None:
    configured(machine)
    rule = machine.origin.on("PUT /posts/1").hold().reply(204)
    writer = machine.at(1).send("PUT /posts/1", body=b"x")
    await machine.until(lambda: rule.held == 1)
    leaving = asyncio.get_running_loop().create_task(machine.worker(0).hand_over())
    await machine.turns(50)
    assert not leaving.done()
    rule.release()
    await writer.expect(204)
    assert await leaving == 0


async def test_who_waits_for_too_long_is_told_what_is_known(machine: Machine) -> None:
    configured(machine)
    machine.configure(writes={"shutdown_timeout_s": 0})
    rule = machine.origin.on("POST /posts/1").by_hand()
    running = machine.at(1).send("POST /posts/1", body=b"1")
    asked = await rule.next()
    behind = machine.at(2).send("POST /posts/1", body=b"2")
    await machine.until(lambda: queued(machine) == 2)
    assert not await machine.worker(0).give_writes()
    assert document(await running.expect(504))["type"].endswith(":unknown-outcome")
    assert document(await behind.expect(503))["type"].endswith(":queue-unavailable")
    await asked.given_up()


async def test_who_waits_for_news_is_told_what_is_known_when_they_move(machine: Machine) -> None:
    configured(machine, journal=True)
    rule = machine.origin.on("PUT /posts/1").hold().reply(204)
    asked = machine.at(1).send("PUT /posts/1", body=b"1", prefer="respond-async, wait=30")
    await machine.until(lambda: rule.held == 1)
    giving = asyncio.get_running_loop().create_task(machine.worker(0).give_writes())
    await asked.expect(202)
    rule.release()
    assert await giving
