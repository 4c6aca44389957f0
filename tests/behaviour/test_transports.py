"""The main cases over TLS and over Unix sockets, on either side."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from tests.scenario import World
from tests.scenario_workers import made


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def _server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


def _client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


RESETTABLE = ["tls-origin", "tls-listener", "tls-both", "unix-origin"]
"""Those whose clients can be sent a reset: a Unix socket knows none."""


@pytest.fixture(params=[*RESETTABLE, "unix-listener", "unix-both"])
async def transported(
    request: pytest.FixtureRequest, tmp_path: Path, authority: trustme.CA
) -> AsyncIterator[World]:
    kind, side = request.param.split("-")
    at_origin, at_listener = side in ("origin", "both"), side in ("listener", "both")
    world = made(
        tmp_path,
        origin_tls=_server_context(authority) if kind == "tls" and at_origin else None,
        client_tls=_client_context(authority) if kind == "tls" and at_listener else None,
        origin_path=str(tmp_path / "o") if kind == "unix" and at_origin else None,
    )
    await world.open()
    if kind == "tls" and at_origin:
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        world.configure(origin={"tls": {"ca_file": tmp_path / "ca.pem"}})
    if kind == "tls" and at_listener:
        issued = authority.issue_cert("localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
        world.configure(listen={"tls": {"certificate": tmp_path / "both.pem", "key": tmp_path / "both.pem"}})
    if kind == "unix" and at_listener:
        world.configure(listen={"address": f"unix:{tmp_path / 'l'}"})
    yield world
    await world.close()


async def test_a_herd_is_one_forward_request(transported: World) -> None:
    world = transported
    answer = world.origin.on("GET /a").hold().reply(200, b"A" * 100_000, cache_control="max-age=60")
    clients = world.clients(5).send("GET /a")
    await world.until(lambda: world.seats == 5 and answer.held == 1)
    answer.release()
    await clients.expect(200, b"A" * 100_000)
    hit = await world.client().send("GET /a").expect(200, b"A" * 100_000)
    assert hit.cache_status["hit"] is True
    assert world.origin.asked() == 1


async def test_what_is_not_shareable_is_released(transported: World) -> None:
    world = transported
    answer = world.origin.on("GET /a").hold()
    answer.answer(lambda asked: asked.reply(200, asked.field("x-me").encode(), cache_control="private"))
    clients = [world.client().send("GET /a", x_me=str(number)) for number in range(4)]
    await world.until(lambda: world.seats == 4 and answer.held == 1)
    answer.release()
    for number, client in enumerate(clients):
        await client.expect(200, b"%d" % number)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_cut_body_is_taken_for_whole_by_nobody(transported: World, chunked: bool) -> None:
    world = transported
    asking = world.origin.on("GET /a").by_hand()
    clients = world.clients(3).send("GET /a")
    asked = await asking.next()
    await world.until(lambda: world.seats == 3)
    asked.head(200, length=None if chunked else 10, cache_control="max-age=60")
    asked.data(b"01234")
    asked.cut()
    await clients.expect_cut()
    assert world.entries == 0


@pytest.mark.parametrize("transported", RESETTABLE, indirect=True)
async def test_a_cut_body_towards_an_http_1_0_client_is_no_clean_end(transported: World) -> None:
    world = transported
    asking = world.origin.on("GET /a").by_hand()
    client = world.client().send("GET /a", version="1.0")
    asked = await asking.next()
    asked.head(200, cache_control="max-age=60")
    asked.data(b"01234")
    asked.cut()
    await client.expect_cut()


async def test_uploads_and_downloads_pass(transported: World) -> None:
    world = transported
    body = bytes(range(256)) * 4096
    world.origin.on("PUT /a").answer(lambda asked: asked.reply(200, asked.body))
    client = world.client()
    await client.send("PUT /a", body).expect(200, body)
    await client.send("PUT /a", chunks=[body[:1000], body[1000:]]).expect(200, body)


async def test_the_scheme_and_the_client_are_told_to_the_origin(transported: World) -> None:
    world = transported
    world.origin.on("POST /a").reply(200)
    await world.client().send("POST /a", b"").expect(200)
    (asked,) = world.origin.requests()
    address = world.proxy.addresses[0]
    secure = world.proxy.config.listen[0].tls is not None
    scheme = "https" if secure else "http"
    assert asked.field("x-forwarded-proto") == scheme
    client = None if address.startswith("unix:") else "127.0.0.1"
    assert asked.field("x-forwarded-for") == client
    assert asked.field("forwarded") == f"for={client or 'unknown'};host=shop.example;proto={scheme}"


async def test_a_listener_on_ipv6_names_its_clients_with_brackets(world: World) -> None:
    world.configure(listen={"address": "[::1]:0"})
    world.origin.on("POST /a").reply(200)
    await world.client().send("POST /a", b"").expect(200)
    (asked,) = world.origin.requests()
    assert asked.field("x-forwarded-for") == "::1"
    assert asked.field("forwarded") == 'for="[::1]";host=shop.example;proto=http'


async def test_an_upgrade_passes(transported: World) -> None:
    world = transported
    asking = world.origin.on("GET /ws").by_hand()
    client = world.client().send("GET /ws", connection="Upgrade", upgrade="websocket")
    asked = await asking.next()
    asked.send(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    await client.expect(101)
    client.send_raw(b"x" * 100_000)
    assert await asked.wire.take(100_000) == b"x" * 100_000
    asked.send(b"y" * 100_000)
    assert await client.body_octets(100_000) == b"y" * 100_000
    client.leave()
    await asked.given_up()


async def test_the_leaders_client_may_leave(transported: World) -> None:
    world = transported
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    leader = world.client().send("GET /a")
    await world.until(lambda: answer.held == 1)
    waiters = world.clients(3).send("GET /a")
    await world.until(lambda: world.seats == 4)
    leader.leave()
    await world.until(lambda: world.seats == 3)
    answer.release()
    await waiters.expect(200, b"A")


async def test_keep_alive_and_refusals(transported: World) -> None:
    world = transported
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    client = world.client()
    for _ in range(3):
        await client.send("GET /a").expect(200, b"A")
    client.send_raw(b"BREW /a HTTP/1.1\r\nHost: shop.example\r\n\r\n", "BREW")
    await client.expect(501, connection="close")


async def test_an_origin_with_a_certificate_of_a_stranger_is_not_asked(
    tmp_path: Path, authority: trustme.CA, world: World
) -> None:
    stranger = made(tmp_path, origin_tls=_server_context(trustme.CA()))
    await stranger.open()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    stranger.configure(origin={"tls": {"ca_file": tmp_path / "ca.pem"}})
    await stranger.client().send("GET /a").expect(502)
    assert stranger.origin.asked() == 0
    await stranger.close()
