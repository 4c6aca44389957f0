"""Writes under attack: what clients, origins and bad luck do to them, told over raw sockets."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.behaviour.writes_kit import configured, document, home, problem
from tests.scenario import World
from tests.scenario_client import Client

HEAD = b" HTTP/1.1\r\nHost: shop.example\r\n"


def depth(world: World, key: str = "/posts/1") -> int:
    return home(world).writes.depth(key)


def here(world: World) -> int:
    return len(home(world).writes.here())


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
    journal = home(world).journal
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
    waiters = home(world).writes._waiters
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
    await world.until(lambda: home(world)._polls == 1)
    rule.release()
    assert document(await poll.expect(200))["state"] == "committed"


async def test_a_poll_does_not_get_the_rest_of_an_answer_whose_client_left(world: World) -> None:
    configured(world, kept=True, max_answer_bytes=10, idempotency={"concurrent": "attach"})
    rule = world.origin.on("PUT /posts/1").hold().reply(200, b"x" * 3_000_000)
    client = world.client().send("PUT /posts/1", body=b"1", idempotency_key="k")
    await world.until(lambda: rule.held == 1)
    (job,) = home(world).writes.here()
    poll = world.client().send(f"GET /_writes/{job.write.id}?wait=60")
    await world.until(lambda: home(world)._polls == 1)
    client.leave()
    waiters = home(world).writes._waiters
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


# what readers get after a write


async def write(world: World, what: str = "PUT /posts/1", status: int = 204) -> None:
    world.origin.on(what).reply(status)
    await world.client().send(what, body=b"new").expect(status)


async def test_all_variants_of_what_is_written_are_forgotten(world: World) -> None:
    configured(world)
    for version in (b"old", b"new"):
        for language in ("en", "de"):
            body = version + language.encode()
            rule = world.origin.on("GET /posts/1", accept_language=language)
            rule.reply(200, body, cache_control="max-age=60", vary="Accept-Language")
            for _ in range(2):
                client = world.client().send("GET /posts/1", accept_language=language)
                await client.expect(200, body)
        if version == b"old":
            await write(world)


async def test_an_answer_that_a_revalidation_confirmed_beside_a_write_is_not_believed(world: World) -> None:
    configured(world)
    control = "max-age=10, stale-while-revalidate=100"
    world.origin.on("GET /posts/1").reply(200, b"old", cache_control=control, etag='"1"')
    await world.client().send("GET /posts/1").expect(200, b"old")
    world.clock.advance(11)
    again = world.origin.on("GET /posts/1", if_none_match='"1"').hold()
    again.reply(304, cache_control=control, etag='"1"')
    await world.client().send("GET /posts/1").expect(200, b"old")
    await world.until(lambda: again.held == 1)
    await write(world)
    again.release()
    world.origin.on("GET /posts/1").reply(200, b"new", cache_control=control)
    for _ in range(3):
        await world.client().send("GET /posts/1").expect(200, b"new")
        await world.turns()


async def test_no_error_of_the_origin_brings_back_what_was_before_a_write(world: World) -> None:
    configured(world)
    control = "max-age=10, stale-if-error=1000, stale-while-revalidate=1000"
    world.origin.on("GET /posts/1").reply(200, b"old", cache_control=control)
    await world.client().send("GET /posts/1").expect(200, b"old")
    await write(world)
    world.origin.on("GET /posts/1").reply(500, b"broken")
    await world.client().send("GET /posts/1").expect(500)
    world.origin.refuse()
    response = await world.client().send("GET /posts/1").response()
    assert response.status >= 500


async def test_that_there_is_nothing_is_forgotten_when_something_is_written(world: World) -> None:
    configured(world)
    world.origin.on("GET /posts/1").reply(404, b"nothing", cache_control="max-age=60")
    for method, body in (("GET", b"nothing"), ("HEAD", b"")):
        await world.client().send(f"{method} /posts/1").expect(404, body)
    await write(world, status=201)
    world.origin.on("GET /posts/1").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /posts/1").expect(200, b"new")
    await world.client().send("HEAD /posts/1").expect(200, b"")


async def test_no_condition_and_no_range_is_answered_from_before_a_write(world: World) -> None:
    configured(world)
    world.origin.on("GET /posts/1").reply(200, b"0123456789", cache_control="max-age=60", etag='"1"')
    client = world.client()
    await client.send("GET /posts/1").expect(200, b"0123456789")
    await client.send("GET /posts/1", if_none_match='"1"').expect(304)
    await client.send("GET /posts/1", range="bytes=2-3").expect(206, b"23")
    await write(world)
    world.origin.on("GET /posts/1").reply(200, b"abcdefghij", cache_control="max-age=60", etag='"2"')
    await client.send("GET /posts/1", if_none_match='"1"').expect(200, b"abcdefghij")
    await client.send("GET /posts/1", range="bytes=2-3").expect(206, b"cd")
    await client.send("GET /posts/1", range="bytes=2-3", if_range='"1"').expect(200, b"abcdefghij")


async def test_slices_are_forgotten_as_a_whole(world: World) -> None:
    size = 65536
    world.configure(route={"cache": {"partial": "slices", "slice_bytes": size}, "writes": {}})

    def play(letter: bytes) -> None:
        def answer(asked: Any) -> None:
            spec = asked.field("range")
            first, _, last = spec.removeprefix("bytes=").partition("-")
            end = min(int(last), 4 * size - 1)
            asked.reply(
                206,
                letter * (end - int(first) + 1),
                content_range=f"bytes {first}-{end}/{4 * size}",
                cache_control="max-age=60",
                etag=f'"{letter.decode()}"',
            )

        world.origin.on("GET /posts/1").answer(answer)

    play(b"a")
    client = world.client()
    await client.send("GET /posts/1", range="bytes=0-9").expect(206, b"a" * 10)
    await client.send("GET /posts/1", range=f"bytes={size}-{size + 9}").expect(206, b"a" * 10)
    await write(world)
    play(b"b")
    await client.send("GET /posts/1", range=f"bytes={size}-{size + 9}").expect(206, b"b" * 10)
    await client.send("GET /posts/1", range="bytes=0-9").expect(206, b"b" * 10)


async def test_after_an_unknown_outcome_nothing_is_stored_for_as_long_as_it_may_come(world: World) -> None:
    configured(world, settle_s=0, origin_timeout_s=50)
    world.origin.on("GET /posts/1").reply(200, b"old", cache_control="max-age=600")
    await world.client().send("GET /posts/1").expect(200, b"old")
    rule = world.origin.on("POST /posts/1").by_hand()
    writer = world.client().send("POST /posts/1", body=b"new")
    (await rule.next()).reset()
    await problem(writer, 504, "unknown-outcome")
    for body in (b"old", b"new"):  # it is applied in between
        world.origin.on("GET /posts/1").reply(200, body, cache_control="max-age=600")
        await world.client().send("GET /posts/1").expect(200, body)
    assert world.origin.asked("GET /posts/1") == 3
    world.clock.advance(51)
    for _ in range(2):
        await world.client().send("GET /posts/1").expect(200, b"new")
    assert world.origin.asked("GET /posts/1") == 4


async def test_what_the_gate_knows_is_not_given_after_a_write(world: World) -> None:
    configured(world)
    client = world.client()
    for number in range(20):
        body = b"%d" % number
        world.origin.on("GET /posts/1").reply(200, body, cache_control="max-age=60")
        for _ in range(3):
            await client.send("GET /posts/1").expect(200, body)
        world.origin.on("PUT /posts/1").reply(204)
        await client.send("PUT /posts/1", body=b"x").expect(204)


# which entity


@pytest.mark.parametrize(
    "target",
    [
        "/posts/1",
        "//posts//1/",
        "/posts/./1",
        "/x/../posts/1",
        "/posts/%31",
        "/p%6fsts/1?x=2",
        "/posts/2/%2e%2e/1",
    ],
)
async def test_no_spelling_of_a_path_has_a_lane_of_its_own(world: World, target: str) -> None:
    configured(world, entities=[{"path": "/posts/{id}"}], unmatched="refuse")
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    first = world.client().send("PUT /posts/1", body=b"1")
    await world.until(lambda: rule.held == 1)
    other = world.client().send(f"PUT {target}", body=b"2")
    await world.until(lambda: depth(world) == 2)
    world.origin.on(f"PUT {target}").reply(204)
    assert world.origin.asked() == 1
    rule.release()
    await first.expect(204)
    await other.expect(204)


async def test_an_absolute_form_names_the_entity_of_its_path(world: World) -> None:
    configured(world)
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    first = world.client().send("PUT /posts/1", body=b"1")
    await world.until(lambda: rule.held == 1)
    other = world.client().send("PUT http://shop.example/posts/1", body=b"2")
    await world.until(lambda: depth(world) == 2)
    await world.client().send("PUT http://other.example/posts/1", body=b"2").expect(400)
    rule.release()
    await first.expect(204)
    await other.expect(204)
    assert world.origin.peak("PUT /posts/1") == 1


async def test_letters_that_mean_something_to_patterns_mean_themselves(world: World) -> None:
    configured(world, entities=[{"path": "/a.b+(c)/{id}"}], unmatched="refuse")
    world.origin.on("PUT /a.b+(c)/1").reply(204)
    await world.client().send("PUT /a.b+(c)/1", body=b"1").expect(204)
    await world.client().send("PUT /axb+(c)/1", body=b"1").expect(400)
    await world.client().send("PUT /a.bb(c)/1", body=b"1").expect(400)


@pytest.mark.parametrize(
    "query",
    ["id=1&id=2", "id=1&%69d=2", "id=1;id=2", "ID=1", "id=", "id", "", "id[]=1", "id=1&id"],
)
async def test_a_query_that_origins_read_differently_is_refused_or_one_value(
    world: World, query: str
) -> None:
    configured(world, entities=[{"path": "/carts", "keys": ["cart:{query:id}"]}])
    seen = world.client().send(f"POST /carts?{query}", body=b"1")
    await problem(seen, 400, "entity-missing")


async def test_a_body_made_to_be_slow_holds_the_loop_for_a_moment_only(world: World) -> None:
    configured(world, entities=[{"path": "/posts", "keys": ["p:{json:id}"]}])
    bombs = (
        b"[" * 500_000,
        b'{"id":' * 100_000,
        b'{"id": ' + b"9" * 500_000 + b"}",
        b'{"id": 1e' + b"9" * 500_000 + b"}",
        b'{"' + b"\\u0000" * 80_000 + b'": 1}',
        b"{" + b",".join(b'"%d":1' % number for number in range(60_000)) + b"}",
        b'{"id": "' + b"\\ud800" * 80_000 + b'"}',
    )
    loop = asyncio.get_running_loop()
    client = world.client()
    for bomb in bombs:
        began = loop.time()
        client.send("POST /posts", body=bomb, content_type="application/json")
        await problem(client, 400, "entity-missing")
        assert loop.time() - began < 2.0
    assert world.origin.asked() == 0


# status resources


@pytest.mark.parametrize(
    "wait", ["nan", "inf", "-1", "1e999", "", "x", "0", "1&" + "&".join(f"a{n}=1" for n in range(30))]
)
async def test_a_wait_that_means_nothing_is_none(world: World, wait: str) -> None:
    configured(world, kept=True, mode="async")
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    place = (await world.client().send("PUT /posts/1", body=b"1").expect(202)).field("location")
    await world.until(lambda: rule.held == 1)
    found = document(await world.client().send(f"GET {place}?wait={wait}").expect(200))
    assert found["state"] == "started"
    rule.release()
    await world.client().send(f"GET {place}?wait=20").expect(200)


@pytest.mark.parametrize(
    "path",
    [
        "/_writes/%00",
        "/_writes/..",
        "/_writes/%2e%2e/posts/1",
        "/_writes/" + "a" * 3000,
        "/_writes//",
        "/_writes/' OR 1=1",
    ],
)
async def test_a_path_below_the_status_resources_is_never_the_origins(world: World, path: str) -> None:
    configured(world, kept=True)
    response = await world.client().send(f"GET {path}").response()
    assert response.status in (400, 404)
    assert world.origin.asked() == 0


async def test_polls_beyond_their_number_are_answered_at_once(world: World) -> None:
    configured(world, kept=True, mode="async")
    world.configure(writes={"max_waits": 3})
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    place = (await world.client().send("PUT /posts/1", body=b"1").expect(202)).field("location")
    await world.until(lambda: rule.held == 1)
    polls = world.clients(3).send(f"GET {place}?wait=60")
    await world.until(lambda: home(world)._polls == 3)
    assert document(await world.client().send(f"GET {place}?wait=60").expect(200))["state"] == "started"
    polls[0].leave()
    await world.until(lambda: home(world)._polls == 2)
    rule.release()
    for poll in (polls[1], polls[2]):
        assert document(await poll.expect(200))["state"] == "committed"


async def test_a_principal_cannot_be_taken_by_saying_it_twice(world: World) -> None:
    configured(world, kept=True, mode="async", principal={"header": "X-User"})
    world.origin.on("PUT /posts/1").reply(204)
    client = world.client().send("PUT /posts/1", body=b"1", x_user="ann")
    place = (await client.expect(202)).field("location")
    for fields in (
        [(b"X-User", b"bob"), (b"X-User", b"ann")],
        [(b"X-User", b"ann"), (b"X-User", b"ann")],
        [(b"X-User", b"ann, bob")],
        [(b"X-User", b"ann"), (b"Connection", b"X-User")],
        [(b"X-User", b"ANN")],
        [(b"X_User", b"ann")],
    ):
        for target in (f"{place}", f"{place}/response"):
            response = await world.client().send(f"GET {target}", fields=fields).response()
            assert response.status in (400, 403), fields
    await world.client().send(f"GET {place}?wait=20", x_user="ann").expect(200)


async def test_a_write_whose_route_is_gone_is_shown_to_nobody_where_it_had_a_principal(world: World) -> None:
    configured(world, kept=True, mode="async", principal={"header": "X-User"})
    world.origin.on("PUT /posts/1").reply(200, b"secret")
    client = world.client().send("PUT /posts/1", body=b"1", x_user="ann")
    place = (await client.expect(202)).field("location")
    await world.client().send(f"GET {place}?wait=20", x_user="ann").expect(200)
    server = world.proxy
    route = server.config.routes[0].model_copy(update={"path": "/other"})
    server.commit(server.prepare(server.config.model_copy(update={"routes": (route,)})))
    for target in (place, f"{place}/response"):
        await problem(world.client().send(f"GET {target}", x_user="ann"), 403, "forbidden")
