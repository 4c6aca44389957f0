"""Writes under attack: what clients, origins and bad luck do to them, told over raw sockets."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from tests.scenario import World
from tests.scenario_client import Client, Response

HEAD = b" HTTP/1.1\r\nHost: shop.example\r\n"


def configured(world: World, *, kept: bool = False, **writes: Any) -> World:
    """One route that queues writes; `kept`: with a journal."""
    world.configure(route={"writes": writes})
    if kept:
        world.configure(writes={"journal": {"directory": str(world.directory / "journal")}})
    return world


def document(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.body)
    return found


async def problem(client: Client, status: int, kind: str) -> dict[str, Any]:
    response = await client.expect(status, content_type="application/problem+json", cache_control="no-store")
    found = document(response)
    assert found["type"].endswith(f":{kind}"), found
    return found


def depth(world: World, key: str = "/posts/1") -> int:
    return world.proxy.proxy.writes.writes.depth(key)


def here(world: World) -> int:
    return len(world.proxy.proxy.writes.writes.here())


# on one connection


async def test_pipelined_writes_are_applied_and_answered_in_their_order(world: World) -> None:
    configured(world)
    world.origin.on("PUT /posts/1").answer(lambda asked: asked.reply(200, b"<%b>" % asked.body))
    octets = b"".join(b"PUT /posts/1" + HEAD + b"Content-Length: 1\r\n\r\n%d" % n for n in range(9))
    client = world.client().send_raw(octets, *["PUT"] * 9)
    for number in range(9):
        await client.expect(200, b"<%d>" % number)
    assert world.origin.peak("PUT /posts/1") == 1


async def test_a_read_pipelined_behind_a_write_sees_what_it_wrote(world: World) -> None:
    configured(world)
    world.origin.on("GET /posts/1").reply(200, b"old", cache_control="max-age=60")
    client = world.client()
    for _ in range(3):  # the gate knows this head
        await client.send("GET /posts/1").expect(200, b"old")
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    client.send("PUT /posts/1", body=b"new").send("GET /posts/1")
    await world.until(lambda: rule.held == 1)
    world.origin.on("GET /posts/1").reply(200, b"new", cache_control="max-age=60")
    rule.release()
    await client.expect(204)
    await client.expect(200, b"new")


async def test_a_body_in_chunks_with_trailers_is_one_body(world: World) -> None:
    configured(world)
    world.origin.on("POST /posts").reply(201)
    octets = (
        b"POST /posts"
        + HEAD
        + b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n"
    )
    client = world.client().send_raw(octets, "POST")
    await client.expect(201)
    asked = world.origin.requests()[0]
    assert await asked.read_body() == b"abcde"
    assert asked.field("content-length") == "5"
    assert asked.field("x-sum") is None
    assert asked.field("trailer") is None


async def test_an_empty_body_is_told_to_be_one(world: World) -> None:
    configured(world)
    world.origin.on("POST /posts").reply(201)
    await world.client().send("POST /posts", body=b"").expect(201)
    await world.client().send_raw(b"POST /posts" + HEAD + b"\r\n", "POST").expect(201)
    assert [asked.field("content-length") for asked in world.origin.requests()] == ["0", "0"]


@pytest.mark.parametrize("keep", [False, True])
async def test_a_client_of_http_1_0_is_answered_in_its_way(world: World, keep: bool) -> None:
    configured(world, max_answer_bytes=4)
    world.origin.on("POST /posts").reply(200, chunks=[b"longer than", b" what is kept"])
    fields = {"connection": "keep-alive"} if keep else {}
    client = world.client().send("POST /posts", body=b"1", version="1.0", **fields)
    await client.expect(200, b"longer than what is kept", transfer_encoding=None)
    await client.closed()


async def test_a_client_of_http_1_0_is_reset_where_the_answer_was_cut(world: World) -> None:
    configured(world, max_answer_bytes=4)

    def cut(asked: Any) -> None:
        asked.head(200, length=100)
        asked.data(b"beginning")
        asked.cut()

    world.origin.on("POST /posts").answer(cut)
    client = world.client().send("POST /posts", body=b"1", version="1.0")
    await client.expect_cut()


@pytest.mark.parametrize(
    ("version", "framing"),
    [
        (b"1.0", b"Content-Length: 10\r\n\r\nhalf"),
        (b"1.1", b"Content-Length: 10\r\n\r\nhalf"),
        (b"1.1", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
    ],
)
async def test_a_body_that_breaks_off_is_never_queued(world: World, framing: bytes, version: bytes) -> None:
    configured(world)
    head = b"PUT /posts/1 HTTP/" + version + b"\r\nHost: a\r\n"
    client = world.client().send_raw(head + framing, "PUT")
    await client.wire()
    await world.turns()
    client.leave()
    await world.until(lambda: world.outcomes())
    assert (world.origin.asked(), here(world)) == (0, 0)
    assert world.outcomes() == {"gone": 1}


async def test_a_body_that_is_framed_wrong_is_never_queued(world: World) -> None:
    configured(world)
    octets = b"PUT /posts/1" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n"
    client = world.client().send_raw(octets, "PUT")
    await client.expect(400)
    await client.closed()
    assert (world.origin.asked(), here(world)) == (0, 0)
    assert world.outcomes() == {"refused": 1}


# Expect: 100-continue


async def test_who_waits_for_100_gets_it_and_then_the_answer(world: World) -> None:
    configured(world)
    world.origin.on("PUT /posts/1").reply(204)
    client = world.client().send_raw(
        b"PUT /posts/1" + HEAD + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n", "PUT"
    )
    wire = await client.wire()
    await world.until(lambda: b"100 Continue" in wire.received)
    wire.send(b"body")
    response = await client.expect(204)
    assert [status for status, _ in response.informational] == [100]
    assert world.origin.requests()[0].field("expect") is None


@pytest.mark.parametrize(("target", "status"), [("/other", 400), ("/posts/1", 413)])
async def test_who_waits_for_100_is_refused_before_the_body_where_the_head_tells(
    world: World, target: str, status: int
) -> None:
    configured(world, entities=[{"path": "/posts/{id}"}], unmatched="refuse", max_body_bytes=10)
    octets = f"PUT {target}".encode() + HEAD + b"Content-Length: 11\r\nExpect: 100-continue\r\n\r\n"
    client = world.client().send_raw(octets, "PUT")
    response = await client.expect(status, content_type="application/problem+json", connection="close")
    assert response.informational == ()
    await client.closed()
    assert world.origin.asked() == 0


async def test_another_expectation_is_refused(world: World) -> None:
    configured(world)
    client = world.client().send("PUT /posts/1", body=b"x", expect="the-unexpected")
    await client.expect(417)
    assert (world.origin.asked(), here(world)) == (0, 0)


# after a refusal


async def test_a_connection_goes_on_after_a_refusal_that_read_the_whole_request(world: World) -> None:
    configured(
        world,
        kept=True,
        entities=[{"path": "/posts", "keys": ["/posts/{json:id}"]}],
        idempotency={"required": True},
        max_lane=1,
    )
    rule = world.origin.on("POST /posts").hold().reply(201)
    first = world.client().send(
        "POST /posts", body=b'{"id": 1}', content_type="application/json", idempotency_key="a"
    )
    await world.until(lambda: rule.held == 1)
    client = world.client()

    def send(body: bytes, **fields: str) -> Client:
        return client.send("POST /posts", body=body, content_type="application/json", **fields)

    await problem(send(b'{"id": 1}'), 400, "idempotency-key-missing")
    await problem(send(b'{"id": 1}', idempotency_key='"'), 400, "idempotency-key-malformed")
    await problem(send(b"{}", idempotency_key="b"), 400, "entity-missing")
    await problem(send(b'{"id": 1}', idempotency_key="b"), 429, "lane-full")
    await problem(send(b'{"id": 1}', idempotency_key="a"), 409, "idempotency-in-progress")
    await problem(send(b'{"id": 2}', idempotency_key="a"), 422, "idempotency-mismatch")
    rule.release()
    await first.expect(201)
    await send(b'{"id": 1}', idempotency_key="b").expect(201)


# answers of every kind


@pytest.mark.parametrize("status", [204, 304, 205])
async def test_answers_without_a_body(world: World, status: int) -> None:
    configured(world, kept=True)
    world.origin.on("PUT /posts/1").reply(status, etag='"1"')
    client = world.client()
    for _ in range(2):
        response = await client.send("PUT /posts/1", body=b"1", idempotency_key="k").expect(
            status, b"", etag='"1"'
        )
        assert response.field("content-length") == ("0" if status == 205 else None)
    assert world.origin.asked() == 1


async def test_an_answer_that_ends_with_its_connection(world: World) -> None:
    configured(world)

    def answer(asked: Any) -> None:
        asked.head(200, until_close=True)
        asked.data(b"all there is")
        asked.cut()

    world.origin.on("PUT /posts/1").answer(answer)
    client = world.client().send("PUT /posts/1", body=b"1")
    await client.expect(200, b"all there is")


async def test_informational_answers_before_the_final_one_do_no_harm(world: World) -> None:
    configured(world)
    world.origin.on("PUT /posts/1").early(100).early(103, link="</a.css>").reply(200, b"done")
    await world.client().send("PUT /posts/1", body=b"1").expect(200, b"done")


async def test_an_origin_that_changes_protocols_unasked_is_not_believed(world: World) -> None:
    configured(world, settle_s=0)
    world.origin.on("POST /posts").raw(
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", then="keep"
    )
    await problem(world.client().send("POST /posts", body=b"1"), 504, "unknown-outcome")


async def test_an_origin_that_answers_before_it_has_read_the_body(world: World) -> None:
    configured(world)
    rule = world.origin.on("POST /posts").by_hand()
    client = world.client().send("POST /posts", body=b"x" * 900_000)
    asked = await rule.next()
    asked.head(413, length=4, connection="close")
    asked.data(b"much")
    await client.expect(413, b"much")
    asked.cut()


async def test_an_upgrade_of_a_write_is_not_passed_on(world: World) -> None:
    configured(world)
    world.origin.on("POST /posts").reply(201)
    client = world.client().send("POST /posts", body=b"1", upgrade="websocket", connection="upgrade")
    await client.expect(201)
    asked = world.origin.requests()[0]
    assert asked.field("upgrade") is None
    assert await asked.read_body() == b"1"


async def test_what_is_given_again_has_each_field_once(world: World) -> None:
    configured(world, kept=True)
    fields = [(b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2"), (b"Connection", b"X-Hop"), (b"X-Hop", b"1")]
    world.origin.on("POST /posts").reply(
        201, b"made", fields=fields, date="Fri, 15 Jan 2027 08:00:00 GMT", age="7", via="1.1 far"
    )
    first = await world.client().send("POST /posts", body=b"1", idempotency_key="k").expect(201, b"made")
    again = await world.client().send("POST /posts", body=b"1", idempotency_key="k").expect(201, b"made")
    replayed = [pair for pair in again.fields if pair[0].lower() != b"idempotent-replayed"]
    assert sorted(replayed) == sorted(first.fields)
    assert len(again.fields.get_all(b"date")) == 1
    assert len(again.fields.get_all(b"set-cookie")) == 2
    assert again.field("x-hop") is None


# clients that leave


async def test_a_client_that_leaves_while_its_key_is_looked_up_leaves_the_key_free(world: World) -> None:
    configured(world, kept=True)
    world.origin.on("POST /posts").reply(201, b"made")
    await world.started()
    journal = world.proxy.proxy.writes.journal
    assert journal is not None
    let_go = threading.Event()
    busy = asyncio.ensure_future(journal.read(lambda _: let_go.wait(5)))
    await world.turns(3)
    client = world.client().send("POST /posts", body=b"new", idempotency_key="k")
    await client.wire()
    await world.until(lambda: journal._writer._jobs.qsize() == 1, "it asks for the key")
    client.leave(reset=True)
    await world.until(lambda: world.outcomes())
    let_go.set()
    await busy
    response = await world.client().send("POST /posts", body=b"new", idempotency_key="k").expect(201, b"made")
    assert response.field("idempotent-replayed") is None
    assert world.outcomes() == {"gone": 1, "written": 1}


async def test_who_attached_and_leaves_does_not_take_the_write_back(world: World) -> None:
    configured(world, kept=True, client_gone="cancel", idempotency={"concurrent": "attach"})
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    blocking = world.client().send("PUT /posts/1", body=b"0")
    await world.until(lambda: rule.held == 1)
    first = world.client().send("PUT /posts/1", body=b"1", idempotency_key="k")
    await world.until(lambda: depth(world) == 2)
    second = world.client().send("PUT /posts/1", body=b"1", idempotency_key="k")
    await second.wire()
    waiters = world.proxy.proxy.writes.writes._waiters
    await world.until(lambda: any(len(them) == 2 for them in waiters._waiting.values()))
    second.leave()
    await world.until(lambda: world.outcomes().get("written"))
    assert depth(world) == 2
    rule.release()
    await blocking.expect(204)
    await first.expect(204)


async def test_nobody_holds_the_rest_of_a_large_answer_who_does_not_read_it(world: World) -> None:
    configured(world, kept=True, mode="async", max_answer_bytes=10)
    rule = world.origin.on("PUT /posts/1").hold().reply(200, b"x" * 3_000_000)
    sync = world.client().send("PUT /posts/1", body=b"1", prefer="respond-async")
    place = (await sync.expect(202)).field("location")
    poll = world.client().send(f"GET {place}?wait=60")
    await world.until(lambda: rule.held == 1)
    await world.until(lambda: world.proxy.proxy.writes._polls == 1)
    rule.release()
    assert document(await poll.expect(200))["state"] == "committed"


async def test_a_poll_does_not_get_the_rest_of_an_answer_whose_client_left(world: World) -> None:
    configured(world, kept=True, max_answer_bytes=10, idempotency={"concurrent": "attach"})
    rule = world.origin.on("PUT /posts/1").hold().reply(200, b"x" * 3_000_000)
    client = world.client().send("PUT /posts/1", body=b"1", idempotency_key="k")
    await world.until(lambda: rule.held == 1)
    (job,) = world.proxy.proxy.writes.writes.here()
    poll = world.client().send(f"GET /_writes/{job.write.id}?wait=60")
    await world.until(lambda: world.proxy.proxy.writes._polls == 1)
    client.leave()
    waiters = world.proxy.proxy.writes.writes._waiters
    await world.until(lambda: len(waiters._waiting[job.write.id]) == 1)
    rule.release()
    assert document(await poll.expect(200))["state"] == "committed"
    # the end of the scenario sees that no request is left at the origin


# keys


async def test_one_key_in_the_same_step_is_one_write(world: World) -> None:
    configured(world, kept=True)
    rule = world.origin.on("POST /posts").hold().reply(201, b"made")
    await world.started()
    clients = world.clients(10).send("POST /posts", body=b"new", idempotency_key="k")
    await world.until(lambda: rule.held == 1)
    answers = asyncio.gather(*(client.response() for client in clients))
    await world.until(lambda: world.outcomes().get("written") == 9)
    rule.release()
    statuses = sorted(response.status for response in await answers)
    assert statuses == [201] + [409] * 9
    assert world.origin.asked() == 1


async def test_who_attaches_to_a_write_that_was_refused_is_not_promised_anything(world: World) -> None:
    configured(world, kept=True, max_lane=1, idempotency={"concurrent": "attach"})
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    blocking = world.client().send("PUT /posts/1", body=b"0")
    await world.until(lambda: rule.held == 1)
    clients = world.clients(4).send("PUT /posts/1", body=b"1", idempotency_key="k")
    for response in await clients.responses():
        assert response.status in (429, 503)
    rule.release()
    await blocking.expect(204)
    await world.client().send("PUT /posts/1", body=b"1", idempotency_key="k").expect(204)


async def test_two_keys_are_no_key(world: World) -> None:
    configured(world, kept=True)
    client = world.client().send(
        "POST /posts", body=b"1", fields=[(b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"a")]
    )
    await problem(client, 400, "idempotency-key-malformed")


async def test_a_mismatch_does_not_tell_whose_write_has_the_key(world: World) -> None:
    configured(world, kept=True)
    world.origin.on("POST /posts").reply(201, b"made", set_cookie="session=secret")
    await world.client().send("POST /posts", body=b"mine", idempotency_key="order-1").expect(201)
    found = await problem(
        world.client().send("POST /posts", body=b"guess", idempotency_key="order-1"),
        422,
        "idempotency-mismatch",
    )
    assert "write" not in found


async def test_an_end_that_is_not_kept_any_more_is_not_told_as_a_success(world: World) -> None:
    configured(world, kept=True, max_answer_bytes=4)
    world.origin.on("POST /posts").reply(422, b"it is not so")
    for again in (False, True):
        client = world.client().send("POST /posts", body=b"mine", idempotency_key="k")
        response = await client.expect(422)
        assert (response.field("idempotent-replayed") == "true") is again


async def test_a_key_whose_write_expired_is_free(world: World) -> None:
    configured(world, kept=True, sync_expires_s=5)
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    blocking = world.client().send("PUT /posts/1", body=b"0")
    await world.until(lambda: rule.held == 1)
    client = world.client().send("PUT /posts/1", body=b"1", idempotency_key="k")
    await world.until(lambda: depth(world) == 2)
    world.clock.advance(6)
    rule.release()
    await blocking.expect(204)
    await problem(client, 503, "expired")
    response = await world.client().send("PUT /posts/1", body=b"1", idempotency_key="k").expect(204)
    assert response.field("idempotent-replayed") is None


async def test_a_token_that_ran_out_before_is_for_the_origin_to_refuse(world: World) -> None:
    configured(world)
    world.origin.on("PUT /posts/1").reply(401, www_authenticate="Bearer")
    # {"alg":"none"}.{"exp":1}.
    token = "Bearer eyJhbGciOiJub25lIn0.eyJleHAiOjF9."
    await world.client().send("PUT /posts/1", body=b"1", authorization=token).expect(401)


# reads beside writes


async def test_a_flight_that_began_beside_a_write_is_not_joined_after_it(world: World) -> None:
    configured(world)
    put = world.origin.on("PUT /posts/1").hold().reply(204)
    writer = world.client().send("PUT /posts/1", body=b"new")
    await world.until(lambda: put.held == 1)
    old = world.origin.on("GET /posts/1").hold().reply(200, b"old", cache_control="max-age=60")
    early = world.client().send("GET /posts/1")
    await world.until(lambda: old.held == 1)
    put.release()
    await writer.expect(204)
    world.origin.on("GET /posts/1").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /posts/1").expect(200, b"new")
    old.release()
    await early.expect(200, b"old")
    await world.client().send("GET /posts/1").expect(200, b"new")


async def test_a_slow_upload_over_a_reload_that_takes_its_route_away(world: World) -> None:
    configured(world)
    slow = world.client().send_raw(b"PUT /posts/1" + HEAD + b"Content-Length: 4\r\n\r\nsl", "PUT")
    await slow.wire()
    server = await world.started()
    await world.turns()
    route = server.config.routes[0].model_copy(update={"path": "/posts"})
    server.commit(server.prepare(server.config.model_copy(update={"routes": (route,)})))
    (await slow.wire()).send(b"ow")
    await problem(slow, 503, "queue-unavailable")
    assert world.origin.asked() == 0


async def test_a_large_answer_is_whole_for_who_waits_a_while_for_it(world: World) -> None:
    configured(world, kept=True, max_answer_bytes=10)
    body = bytes(range(256)) * 10_000
    world.origin.on("POST /posts").reply(201, body)
    client = world.client().send("POST /posts", body=b"new", prefer="respond-async, wait=10")
    await client.expect(201, body)
