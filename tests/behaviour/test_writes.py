"""Writes: queued by entity, applied one by one, and what their clients and readers see of it."""

from __future__ import annotations

import asyncio
import base64

import pytest

from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from tests.behaviour.writes_kit import configured, document, home, problem
from tests.scenario import World

BY_ID = {"entities": [{"path": "/posts/{id}/**"}]}


# order


async def test_writes_of_one_path_are_at_the_origin_one_by_one_in_their_order(world: World) -> None:
    configured(world)
    rule = world.origin.on("PUT /posts/1").hold().reply(200, b"done")
    clients = []
    for number in range(5):
        clients.append(world.client().send("PUT /posts/1", body=b"%d" % number))
        await world.until(lambda sent=number + 1: world.proxy.proxy.writes.writes.depth("/posts/1") == sent)
    for _ in range(5):
        await world.until(lambda: rule.held == 1)
        rule.release(1)
    for client in clients:
        await client.expect(200, b"done")
    assert world.origin.peak("PUT /posts/1") == 1
    assert [await asked.read_body() for asked in world.origin.requests()] == [b"%d" % n for n in range(5)]
    assert world.outcomes() == {"written": 5}


async def test_writes_of_different_entities_are_at_the_origin_at_the_same_time(world: World) -> None:
    configured(world)
    rules = [world.origin.on(f"PUT /posts/{number}").hold().reply(204) for number in range(4)]
    clients = [world.client().send(f"PUT /posts/{number}", body=b"x") for number in range(4)]
    await world.until(lambda: all(rule.held == 1 for rule in rules))
    for rule in rules:
        rule.release()
    for client in clients:
        await client.expect(204)


async def test_an_entity_is_what_the_template_names(world: World) -> None:
    configured(world, **BY_ID)
    first = world.origin.on("POST /posts/1/comments").hold().reply(201)
    second = world.origin.on("PUT /posts/1").hold().reply(200)
    other = world.origin.on("PUT /posts/2").reply(200)
    one = world.client().send("POST /posts/1/comments", body=b"a")
    await world.until(lambda: first.held == 1)
    two = world.client().send("PUT /posts/1", body=b"b")
    await world.client().send("PUT /posts/2", body=b"c").expect(200)
    assert second.held == 0
    first.release()
    await one.expect(201)
    await world.until(lambda: second.held == 1)
    second.release()
    await two.expect(200)
    assert other is not None


async def test_a_write_that_names_two_entities_waits_for_both(world: World) -> None:
    keys = ["/accounts/{json:from}", "/accounts/{json:to}"]
    configured(world, entities=[{"path": "/transfers", "keys": keys}, {"path": "/accounts/{id}"}])
    rule = world.origin.on("POST /transfers").hold().reply(201)
    held = [world.origin.on(f"PUT /accounts/{name}").hold().reply(200) for name in "ab"]
    puts = [world.client().send(f"PUT /accounts/{name}", body=b"1") for name in "ab"]
    await world.until(lambda: all(one.held == 1 for one in held))
    transfer = world.client().send(
        "POST /transfers", body=b'{"from": "a", "to": "b"}', content_type="application/json"
    )
    await world.until(lambda: world.proxy.proxy.writes.writes.depth("/accounts/b") == 2)
    held[0].release()
    await puts[0].expect(200)
    assert rule.held == 0
    held[1].release()
    await world.until(lambda: rule.held == 1)
    rule.release()
    await transfer.expect(201)
    await puts[1].expect(200)


async def test_a_slow_upload_holds_nobody_up(world: World) -> None:
    configured(world)
    rule = world.origin.on("PUT /posts/1").reply(200, b"done")
    slow = world.client().send_raw(
        b"PUT /posts/1 HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\n\r\nsl", "PUT"
    )
    await slow.wire()
    await world.client().send("PUT /posts/1", body=b"fast").expect(200, b"done")
    (await slow.wire()).send(b"ow")
    await slow.expect(200, b"done")
    assert [await asked.read_body() for asked in world.origin.requests()] == [b"fast", b"slow"]
    assert rule is not None


async def test_what_a_client_sends_behind_its_write_is_answered_behind_it(world: World) -> None:
    configured(world)
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    world.origin.on("GET /page").reply(200, b"page")
    client = world.client().send("PUT /posts/1", body=b"1").send("PUT /posts/1", body=b"2").send("GET /page")
    await world.until(lambda: rule.held == 1)
    assert world.origin.asked() == 1
    rule.release()
    await client.expect(204)
    await client.expect(204)
    await client.expect(200, b"page")
    assert [await asked.read_body() for asked in world.origin.requests("PUT /posts/1")] == [b"1", b"2"]


async def test_a_client_that_waits_for_the_end_of_its_write_has_no_task(world: World) -> None:
    configured(world)
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    clients = [world.client().send("PUT /posts/1", body=b"1") for _ in range(5)]
    await world.until(lambda: home(world).writes.depth("/posts/1") == 5)
    await world.until(lambda: rule.held == 1)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "client connection"]
    rule.release()
    for client in clients:
        await client.expect(204)


async def test_a_body_that_comes_behind_its_head_makes_no_difference(world: World) -> None:
    configured(world)
    world.origin.on("POST /posts").reply(201, b"made", location="/posts/7")
    head = b"POST /posts HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n\r\n"
    whole = await world.client().send_raw(head + b"new", "POST").expect(201, b"made", location="/posts/7")
    later = world.client().send_raw(head, "POST")
    await later.wire()
    await world.turns(20)
    later.send_raw(b"new")
    parts = await later.expect(201, b"made", location="/posts/7")
    assert [name for name, _ in whole.fields] == [name for name, _ in parts.fields]
    assert [await asked.read_body() for asked in world.origin.requests()] == [b"new", b"new"]


# what the client gets


async def test_a_client_gets_the_answer_of_the_origin(world: World) -> None:
    configured(world)
    world.origin.on("POST /posts").reply(201, b"made", location="/posts/7", x_app="yes")
    response = await world.client().send("POST /posts", body=b"new").expect(201, b"made", location="/posts/7")
    assert response.field("x-app") == "yes"
    assert response.field("via") is not None
    assert world.origin.requests()[0].field("idempotency-key") is not None


@pytest.mark.parametrize("status", [204, 303, 400, 409, 422, 500])
async def test_a_client_gets_whatever_the_origin_said(world: World, status: int) -> None:
    configured(world)
    world.origin.on("POST /posts").reply(status, b"" if status == 204 else b"said")
    await world.client().send("POST /posts", body=b"new").expect(status)
    assert world.origin.asked() == 1


async def test_an_answer_larger_than_what_is_kept_is_streamed_to_who_waits(world: World) -> None:
    configured(world, max_answer_bytes=1000)
    body = bytes(range(256)) * 1000
    world.origin.on("POST /a").reply(200, body)
    world.origin.on("POST /b").reply(200, chunks=[body[:500], body[500:]])
    await world.client().send("POST /a", body=b"x").expect(200, body)
    await world.client().send("POST /b", body=b"x").expect(200, body)


async def test_methods_that_are_not_queued_are_passed_through(world: World) -> None:
    configured(world, methods=["PUT"])
    world.origin.on("POST /posts/1").reply(200, b"passed")
    await world.client().send("POST /posts/1", body=b"x").expect(200, b"passed")
    assert world.outcomes() == {"passed": 1}


# refusals


async def test_a_full_lane_refuses_with_429_and_says_when_to_come_back(world: World) -> None:
    configured(world, max_lane=1)
    rule = world.origin.on("PUT /posts/1").hold().reply(200)
    first = world.client().send("PUT /posts/1", body=b"1")
    await world.until(lambda: rule.held == 1)
    second = world.client().send("PUT /posts/1", body=b"2")
    response = await second.expect(429, content_type="application/problem+json")
    assert document(response)["type"] == "urn:lockgate:problem:lane-full"
    assert int(response.field("retry-after") or 0) >= 1
    rule.release()
    await first.expect(200)


async def test_a_full_queue_refuses_with_503(world: World) -> None:
    configured(world, max_queued=1)
    rule = world.origin.on("PUT /posts/1").hold().reply(200)
    first = world.client().send("PUT /posts/1", body=b"1")
    await world.until(lambda: rule.held == 1)
    refused = world.client().send("PUT /posts/2", body=b"2")
    found = await refused.expect(503)
    assert int(found.field("retry-after") or 0) >= 1
    rule.release()
    await first.expect(200)


async def test_slow_uploads_together_take_no_more_memory_than_what_is_queued_may(world: World) -> None:
    configured(world)
    world.configure(writes={"max_bytes": 100_000})
    world.origin.on("PUT /posts/1").reply(200)
    head = b"PUT /posts/1 HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 90000\r\n\r\n"
    slow = world.client().send_raw(head + b"s" * 60_000, "PUT")
    await slow.wire()
    await world.until(lambda: home(world).uploads.bytes == 60_000)
    await problem(world.client().send_raw(head + b"l" * 50_000, "PUT"), 503, "queue-full")
    await world.until(lambda: home(world).uploads.bytes == 60_000)
    slow.send_raw(b"s" * 30_000)
    await slow.expect(200)
    assert [len(await asked.read_body()) for asked in world.origin.requests()] == [90_000]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_refused(world: World, chunked: bool) -> None:
    configured(world, max_body_bytes=10)
    body = b"x" * 11
    client = world.client()
    if chunked:
        head = b"PUT /a HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send_raw(head + b"b\r\n" + body + b"\r\n0\r\n\r\n", "PUT")
    else:
        client.send("PUT /a", body=body)
    await problem(client, 413, "too-large")
    assert world.origin.asked() == 0


async def test_who_is_refused_before_its_body_came_is_told_that_the_connection_ends(world: World) -> None:
    configured(world, max_body_bytes=10)
    head = b"PUT /a HTTP/1.1\r\nHost: example.org\r\nContent-Length: 11\r\n\r\n"
    await world.client().send_raw(head, "PUT").expect(413, connection="close")
    await world.client().send_raw(head + b"x" * 11, "PUT").expect(413, connection=None)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b'{"id": {"a": 1}}', "application/json"),
        (b'{"id": "1", "id": "2"}', "application/json"),
        (b'{"other": 1}', "application/json"),
    ],
)
async def test_a_write_without_its_entity_is_refused(world: World, body: bytes, content_type: str) -> None:
    configured(world, entities=[{"path": "/posts", "keys": ["/posts/{json:id}"]}])
    client = world.client().send("POST /posts", body=body, content_type=content_type)
    await problem(client, 400, "entity-missing")
    assert world.origin.asked() == 0
    assert world.outcomes() == {"refused": 1}


async def test_a_path_that_no_entity_has_is_passed_or_refused(world: World) -> None:
    routes = [
        {"origin": "shop", "path": "/passed", "writes": {"entities": [{"path": "/posts/{id}"}]}},
        {"origin": "shop", "writes": {"entities": [{"path": "/posts/{id}"}], "unmatched": "refuse"}},
    ]
    world.configure(routes=routes)
    world.origin.on("PUT /passed/x").reply(200, b"ok")
    await world.client().send("PUT /passed/x", body=b"1").expect(200, b"ok")
    client = world.client().send("PUT /other", body=b"1")
    await problem(client, 400, "entity-missing")


# the origin fails


async def test_a_post_of_which_nobody_knows_what_became_is_not_sent_again(world: World) -> None:
    configured(world, settle_s=0)
    rule = world.origin.on("POST /posts").by_hand()
    client = world.client().send("POST /posts", body=b"new")
    asked = await rule.next()
    asked.cut()
    found = await problem(client, 504, "unknown-outcome")
    assert found["retry_safe"] is False
    assert world.origin.asked() == 1


async def test_a_put_of_which_nobody_knows_what_became_is_sent_again_under_its_key(world: World) -> None:
    configured(world, settle_s=0, retry={"first_s": 0})
    rule = world.origin.on("PUT /posts/1").by_hand()
    client = world.client().send("PUT /posts/1", body=b"new")
    first = await rule.next()
    first.cut()
    second = await rule.next()
    assert await second.read_body() == b"new"
    second.reply(200, b"done")
    await client.expect(200, b"done")
    keys = {asked.field("idempotency-key") for asked in world.origin.requests()}
    assert len(keys) == 1


async def test_an_origin_that_refuses_connections_is_tried_again_and_then_told(world: World) -> None:
    configured(world, retry={"max_attempts": 3, "first_s": 0})
    await world.started()
    world.origin.refuse()
    client = world.client().send("PUT /posts/1", body=b"new")
    await problem(client, 502, "origin-unreachable")


# the cache


async def test_who_has_the_answer_of_a_write_reads_what_he_wrote(world: World) -> None:
    configured(world)
    world.origin.on("GET /posts/1").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /posts/1").expect(200, b"old")
    world.origin.on("PUT /posts/1").reply(204)
    await world.client().send("PUT /posts/1", body=b"new").expect(204)
    world.origin.on("GET /posts/1").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /posts/1").expect(200, b"new")


async def test_a_read_that_raced_a_write_leaves_nothing_old_behind(world: World) -> None:
    configured(world)
    old = world.origin.on("GET /posts/1").hold().reply(200, b"old", cache_control="max-age=60")
    reader = world.client().send("GET /posts/1")
    await world.until(lambda: old.held == 1)
    world.origin.on("PUT /posts/1").reply(204)
    await world.client().send("PUT /posts/1", body=b"new").expect(204)
    old.release()
    await reader.expect(200, b"old")
    world.origin.on("GET /posts/1").reply(200, b"new", cache_control="max-age=60")
    await world.client().send("GET /posts/1").expect(200, b"new")


async def test_a_write_invalidates_what_its_entity_names(world: World) -> None:
    entity = {"path": "/posts/{id}", "invalidates": ["/feeds/{json:author}"], "tags": ["post-{id}"]}
    configured(world, entities=[entity])
    world.origin.on("GET /feeds/ann").reply(200, b"old", cache_control="max-age=60")
    world.origin.on("GET /all").reply(200, b"old", cache_control="max-age=60", surrogate_key="post-1 x")
    for target in ("/feeds/ann", "/all"):
        await world.client().send(f"GET {target}").expect(200, b"old")
        world.origin.on(f"GET {target}").reply(200, b"new", cache_control="max-age=60")
        await world.client().send(f"GET {target}").expect(200, b"old")
    world.origin.on("PUT /posts/1").reply(204)
    client = world.client().send("PUT /posts/1", body=b'{"author": "ann"}', content_type="application/json")
    await client.expect(204)
    for target in ("/feeds/ann", "/all"):
        await world.client().send(f"GET {target}").expect(200, b"new")


async def test_what_is_stored_is_served_while_a_write_is_on_its_way(world: World) -> None:
    configured(world)
    world.origin.on("GET /posts/1").reply(200, b"old", cache_control="max-age=60")
    await world.client().send("GET /posts/1").expect(200, b"old")
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    writer = world.client().send("PUT /posts/1", body=b"new")
    await world.until(lambda: rule.held == 1)
    await world.client().send("GET /posts/1").expect(200, b"old")
    rule.release()
    await writer.expect(204)
    assert world.origin.asked("GET /posts/1") == 1


async def test_a_field_that_names_another_url_does_not_reach_the_origin(world: World) -> None:
    configured(world)
    world.origin.on("PUT /posts/1").reply(204)
    await world.client().send("PUT /posts/1", body=b"1", x_original_url="/posts/2").expect(204)
    assert world.origin.requests()[0].field("x-original-url") is None


# clients that leave


async def test_a_write_whose_client_left_is_sent_all_the_same(world: World) -> None:
    configured(world)
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    first = world.client().send("PUT /posts/1", body=b"1")
    await world.until(lambda: rule.held == 1)
    second = world.client().send("PUT /posts/1", body=b"2")
    await world.until(lambda: world.proxy.proxy.writes.writes.depth("/posts/1") == 2)
    second.leave()
    await world.until(lambda: world.outcomes().get("written") == 1)
    rule.release(1)
    await first.expect(204)
    await world.until(lambda: rule.held == 1)
    rule.release()
    await world.until(lambda: world.proxy.proxy.writes.writes.depth("/posts/1") == 0)


async def test_a_route_can_take_back_what_its_client_no_longer_waits_for(world: World) -> None:
    configured(world, client_gone="cancel")
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    first = world.client().send("PUT /posts/1", body=b"1")
    await world.until(lambda: rule.held == 1)
    second = world.client().send("PUT /posts/1", body=b"2")
    await world.until(lambda: world.proxy.proxy.writes.writes.depth("/posts/1") == 2)
    second.leave()
    await world.until(lambda: world.proxy.proxy.writes.writes.depth("/posts/1") == 1)
    rule.release()
    await first.expect(204)
    assert world.origin.asked("PUT /posts/1") == 1


# 202


async def test_who_prefers_it_is_answered_before_the_origin_is(world: World) -> None:
    configured(world, kept=True)
    rule = world.origin.on("POST /posts").hold().reply(201, b"made", location="/posts/7")
    client = world.client().send("POST /posts", body=b"new", prefer="respond-async, return=minimal")
    response = await client.expect(202, preference_applied="respond-async", cache_control="no-store")
    told = document(response)
    assert told["state"] in ("queued", "started")
    where = response.field("location")
    assert where == f"/_writes/{told['id']}"
    assert int(response.field("retry-after") or 0) >= 1
    await world.until(lambda: rule.held == 1)
    assert world.origin.requests()[0].field("prefer") == "return=minimal"
    assert document(await world.client().send(f"GET {where}").expect(200))["state"] == "started"
    await world.client().send(f"GET {where}/response").expect(404)
    rule.release()
    done = document(await world.client().send(f"GET {where}?wait=20").expect(200))
    assert (done["state"], done["status"], done["response"]) == ("committed", 201, f"{where}/response")
    answer = await world.client().send(f"GET {where}/response").expect(201, b"made", location="/posts/7")
    assert answer.field("idempotent-replayed") == "true"


async def test_who_waits_a_while_may_get_the_answer_itself(world: World) -> None:
    configured(world, kept=True)
    world.origin.on("POST /quick").reply(201, b"made")
    client = world.client().send("POST /quick", body=b"new", prefer="respond-async, wait=10")
    await client.expect(201, b"made", preference_applied=None)


async def test_without_a_journal_nothing_is_promised(world: World) -> None:
    configured(world)
    world.origin.on("POST /posts").reply(201, b"made")
    client = world.client().send("POST /posts", body=b"new", prefer="respond-async")
    await client.expect(201, b"made", preference_applied=None)


async def test_a_write_is_taken_back_while_it_is_queued(world: World) -> None:
    configured(world, kept=True, mode="async")
    rule = world.origin.on("PUT /posts/1").hold().reply(204)
    places = []
    for number in range(2):
        accepted = await world.client().send("PUT /posts/1", body=b"%d" % number).expect(202)
        places.append(accepted.field("location"))
    await world.until(lambda: rule.held == 1)
    await problem(world.client().send(f"DELETE {places[0]}"), 409, "not-cancellable")
    taken_back = document(await world.client().send(f"DELETE {places[1]}").expect(200))
    assert taken_back["state"] == "cancelled"
    rule.release()
    await world.client().send(f"GET {places[0]}?wait=20").expect(200)
    assert world.origin.asked("PUT /posts/1") == 1


async def test_what_a_status_resource_does_not_have(world: World) -> None:
    configured(world, kept=True)
    for target in ("/_writes/nothing", "/_writes/nothing/response", "/_writes", "/_writes/a/b"):
        await problem(world.client().send(f"GET {target}"), 404, "not-found")
    world.origin.on("POST /posts").reply(201)
    accepted = await world.client().send("POST /posts", body=b"new", prefer="respond-async").expect(202)
    where = accepted.field("location")
    await problem(world.client().send(f"PUT {where}", body=b"x"), 405, "method-not-allowed")
    await world.client().send(f"GET {where}?wait=20").expect(200)
    await world.client().send(f"HEAD {where}").expect(200, b"")


async def test_what_another_client_attached_to_is_not_taken_back(world: World) -> None:
    configured(world, kept=True, client_gone="cancel", idempotency={"concurrent": "attach"})
    await world.started()
    assert world.proxy.proxy.writes is not None
    writes = world.proxy.proxy.writes.writes
    world.origin.on("PUT /posts/1").reply(204)
    await writes.pause("/posts/1", Problem(ProblemType.PAUSED, "for a test"))
    clients = []
    for number in (1, 2):
        clients.append(world.client().send("PUT /posts/1", body=b"1", idempotency_key="k"))
        await world.until(
            lambda waiting=number: [writes.waiting(job.write.id) for job in writes.here()] == [waiting]
        )
    (job,) = writes.here()
    assert await writes.store.result(job.write.id) is None  # and so the second one's look is over, too
    await world.turns(2)
    for number, client in enumerate(clients):
        client.leave()
        await world.until(lambda left=1 - number: writes.waiting(job.write.id) == left)
        assert writes.state(job.write.id) is State.QUEUED
    await writes.resume("/posts/1")
    await world.until(lambda: world.origin.asked() == 1)


# how long it may take


@pytest.mark.parametrize(("field", "lives_s"), [("wait", 5), ("token", 12), ("old token", 30), (None, 30)])
async def test_a_write_lives_as_long_as_its_client_waits_and_its_credentials_hold(
    world: World, field: str | None, lives_s: int
) -> None:
    configured(world)
    await world.started()
    writes = world.proxy.proxy.writes
    assert writes is not None
    world.origin.on("PUT /posts/1").reply(204)
    await writes.writes.pause("/posts/1", Problem(ProblemType.PAUSED, "for a test"))
    expiry = int(world.clock.now()) + (12 if field == "token" else -12)
    claims = base64.urlsafe_b64encode(b'{"exp": %d}' % expiry).rstrip(b"=").decode()
    fields = {"wait": {"prefer": "wait=5"}, None: {}}.get(field, {"authorization": f"Bearer e30.{claims}.x"})
    client = world.client().send("PUT /posts/1", body=b"1", **fields)
    await world.until(lambda: len(writes.writes.here()) == 1)
    (job,) = writes.writes.here()
    assert job.write.not_after - job.write.accepted_at == pytest.approx(lives_s, abs=1.0)
    await writes.writes.resume("/posts/1")
    await client.expect(204)


# Idempotency-Key


async def test_a_request_that_comes_again_gets_the_same_answer(world: World) -> None:
    configured(world, kept=True)
    world.origin.on("POST /posts").reply(201, b"made", location="/posts/7")
    for again in (False, True):
        client = world.client().send("POST /posts", body=b"new", idempotency_key='"k1"')
        response = await client.expect(201, b"made", location="/posts/7")
        assert (response.field("idempotent-replayed") == "true") is again
    assert world.origin.asked() == 1
    assert world.origin.requests()[0].field("idempotency-key") == '"k1"'


async def test_a_failure_is_given_again_as_well(world: World) -> None:
    configured(world, kept=True)
    world.origin.on("POST /posts").reply(422, b"no")
    for _ in range(2):
        await world.client().send("POST /posts", body=b"new", idempotency_key='"k1"').expect(422, b"no")
    assert world.origin.asked() == 1


async def test_a_key_with_another_request_is_refused(world: World) -> None:
    configured(world, kept=True)
    world.origin.on("POST /posts").reply(201, b"made")
    await world.client().send("POST /posts", body=b"new", idempotency_key='"k1"').expect(201)
    client = world.client().send("POST /posts", body=b"other", idempotency_key='"k1"')
    await problem(client, 422, "idempotency-mismatch")


async def test_a_request_that_comes_again_too_early_is_told_so(world: World) -> None:
    configured(world, kept=True)
    rule = world.origin.on("POST /posts").hold().reply(201, b"made")
    first = world.client().send("POST /posts", body=b"new", idempotency_key='"k1"')
    await world.until(lambda: rule.held == 1)
    early = world.client().send("POST /posts", body=b"new", idempotency_key='"k1"')
    response = await early.response()
    assert response.status == 409
    assert document(response)["type"].endswith("idempotency-in-progress")
    where = response.field("location")
    rule.release()
    await first.expect(201, b"made")
    assert document(await world.client().send(f"GET {where}").expect(200))["state"] == "committed"


async def test_a_request_that_comes_again_too_early_may_wait_for_the_first(world: World) -> None:
    configured(world, kept=True, idempotency={"concurrent": "attach"})
    rule = world.origin.on("POST /posts").hold().reply(201, b"made")
    clients = [world.client().send("POST /posts", body=b"new", idempotency_key='"k1"')]
    await world.until(lambda: rule.held == 1)
    clients.append(world.client().send("POST /posts", body=b"new", idempotency_key='"k1"'))
    await clients[1].wire()
    rule.release()
    for client in clients:
        await client.expect(201, b"made")
    assert world.origin.asked() == 1


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (None, "idempotency-key-missing"),
        ("", "idempotency-key-malformed"),
        ('"a', "idempotency-key-malformed"),
    ],
)
async def test_a_key_that_is_wanted_must_be_there_and_readable(
    world: World, key: str | None, kind: str
) -> None:
    configured(world, kept=True, idempotency={"required": True})
    fields = {} if key is None else {"idempotency_key": key}
    await problem(world.client().send("POST /posts", body=b"new", **fields), 400, kind)
    assert world.origin.asked() == 0


async def test_a_key_is_free_again_where_the_write_was_refused(world: World) -> None:
    configured(world, kept=True, max_lane=1)
    rule = world.origin.on("PUT /posts/1").hold().reply(200, b"done")
    first = world.client().send("PUT /posts/1", body=b"1")
    await world.until(lambda: rule.held == 1)
    await world.client().send("PUT /posts/1", body=b"2", idempotency_key="k").expect(429)
    rule.release()
    await first.expect(200)
    second = world.client().send("PUT /posts/1", body=b"2", idempotency_key="k")
    response = await second.expect(200, b"done")
    assert response.field("idempotent-replayed") is None


@pytest.mark.parametrize(("status", "again"), [(408, None), (425, None), (429, None), (503, "1")])
async def test_a_key_is_free_again_where_the_origin_put_it_off_until_it_was_given_up(
    world: World, status: int, again: str | None
) -> None:
    configured(world, kept=True, retry={"max_attempts": 1})
    fields = {} if again is None else {"retry_after": again}
    world.origin.on("POST /posts").reply(status, b"later", **fields)
    await world.client().send("POST /posts", body=b"new", idempotency_key="k").expect(status, b"later")
    world.origin.on("POST /posts").reply(201, b"made")
    response = await world.client().send("POST /posts", body=b"new", idempotency_key="k").expect(201, b"made")
    assert response.field("idempotent-replayed") is None


async def test_a_key_is_kept_where_an_attempt_may_have_been_applied(world: World) -> None:
    configured(world, kept=True, retry={"max_attempts": 2, "first_s": 0})
    answers = [(500, b"broken"), (429, b"later")]
    world.origin.on("PUT /posts/1").answer(lambda asked: asked.reply(*answers[world.origin.asked() - 1]))
    for again in (None, "true"):
        client = world.client().send("PUT /posts/1", body=b"new", idempotency_key="k")
        await client.expect(429, b"later", idempotent_replayed=again)
    world.origin.on("POST /posts").reply(500, b"broken")
    for again in (None, "true"):
        client = world.client().send("POST /posts", body=b"new", idempotency_key="p")
        await client.expect(500, b"broken", idempotent_replayed=again)
    assert world.origin.asked() == 3


# whose it is


async def test_a_write_is_shown_to_its_principal_alone(world: World) -> None:
    configured(world, kept=True, mode="async", principal={"header": "X-User"})
    world.origin.on("PUT /posts/1").reply(204)
    accepted = await world.client().send("PUT /posts/1", body=b"1", x_user="ann").expect(202)
    where = accepted.field("location")
    for method in ("GET", "DELETE"):
        for fields in ({}, {"x_user": "bob"}):
            await problem(world.client().send(f"{method} {where}", **fields), 403, "forbidden")
    await world.client().send(f"GET {where}?wait=20", x_user="ann").expect(200)


async def test_the_same_key_of_another_principal_is_another(world: World) -> None:
    configured(world, kept=True, principal={"header": "X-User"})
    world.origin.on("POST /posts").reply(201, b"made")
    for user in ("ann", "bob"):
        client = world.client().send("POST /posts", body=b"new", idempotency_key="k", x_user=user)
        response = await client.expect(201, b"made")
        assert response.field("idempotent-replayed") is None
    assert world.origin.asked() == 2


async def test_the_same_key_on_another_host_is_another(world: World) -> None:
    configured(world, kept=True)
    world.origin.on("POST /posts").reply(201, b"made")
    for host in ("one.example", "two.example"):
        client = world.client().send("POST /posts", body=b"new", idempotency_key="k", host=host)
        response = await client.expect(201, b"made")
        assert response.field("idempotent-replayed") is None
    assert world.origin.asked() == 2
