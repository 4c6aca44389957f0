from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from proxy.server import listener as listener_module
from proxy.server.client_connection import State
from proxy.server.server import Server
from tests.origin.waiting import until
from tests.scenario_client import Client
from tests.scenario_wire import Cut
from tests.server.certificates import Files
from tests.server.stage import Stage, connected


async def turned_away(client: Client) -> None:
    """The connection is closed without an answer."""
    wire = await client.wire()
    await wire.closed()
    assert not wire.received
    client.leave()


# Addresses


@pytest.mark.parametrize("kind", ["ipv4", "ipv6", "unix"])
async def test_each_kind_of_address_is_served(stage: Stage, tmp_path: Path, kind: str) -> None:
    address = {"ipv4": "127.0.0.1:0", "ipv6": "[::1]:0", "unix": f"unix:{tmp_path}/socket"}[kind]
    stage.origin.on("GET /a").reply(200, b"A")
    server = await stage.started(listen=[{"address": address}])

    await stage.client(server.addresses[0]).send("GET /a").expect(200, b"A")


async def test_several_listeners_share_one_cache(stage: Stage, tmp_path: Path) -> None:
    stage.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    addresses = ("127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/socket")
    server = await stage.started(listen=[{"address": address} for address in addresses])

    for address in server.addresses:
        await stage.client(address).send("GET /a").expect(200, b"A")

    assert stage.origin.asked("GET /a") == 1
    assert server.statistics().accepted == 3


async def test_a_unix_sockets_file_is_gone_after_the_end(stage: Stage, tmp_path: Path) -> None:
    server = await stage.started(listen=[{"address": f"unix:{tmp_path}/socket"}])
    await server.close()

    assert not (tmp_path / "socket").exists()


async def test_the_address_stays_known_after_the_end(stage: Stage) -> None:
    server = await stage.started()
    addresses = server.addresses
    await server.close()

    assert server.addresses == addresses


# Limits on connections


async def test_connections_above_the_limit_are_closed_at_once(stage: Stage) -> None:
    stage.origin.on("GET /a").reply(200, b"A")
    server = await stage.started(limits={"max_connections": 2})
    first, second, third = (stage.client(server.addresses[0]) for _ in range(3))
    for admitted in (first, second):
        await admitted.send("GET /a").expect(200)

    await turned_away(third)
    assert (server.statistics().accepted, server.statistics().turned_away) == (3, 1)

    first.leave()
    await until(lambda: sum(server.statistics().connections.values()) == 1)
    await stage.client(server.addresses[0]).send("GET /a").expect(200)
    await second.send("GET /a").expect(200)


async def test_a_flood_of_connections_is_no_flood_of_log_lines(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    server = await stage.started(limits={"max_connections": 1})
    admitted = stage.client(server.addresses[0])
    await admitted.wire()
    await until(lambda: server.statistics().connections)
    for _ in range(20):
        await turned_away(stage.client(server.addresses[0]))

    assert server.statistics().turned_away == 20
    assert 1 <= caplog.text.count("connections_turned_away") < 20


async def test_one_client_may_have_so_many_connections_and_others_theirs(stage: Stage) -> None:
    stage.origin.on("GET /a").reply(200, b"A")
    server = await stage.started(limits={"max_connections_per_client": 1})
    address = server.addresses[0]
    await stage.client(address).send("GET /a").expect(200)

    await turned_away(stage.client(address))
    await stage.client(address, source="127.0.0.2").send("GET /a").expect(200)


async def test_a_unix_socket_has_no_client_address_to_limit(stage: Stage, tmp_path: Path) -> None:
    stage.origin.on("GET /a").reply(200, b"A")
    server = await stage.started(
        listen=[{"address": f"unix:{tmp_path}/socket"}], limits={"max_connections_per_client": 1}
    )
    for _ in range(2):
        await stage.client(server.addresses[0]).send("GET /a").expect(200)


async def test_connections_are_counted_by_what_they_do(stage: Stage) -> None:
    answer = stage.origin.on("GET /held").hold().reply(200, b"A")
    stage.origin.on("GET /a").reply(200, b"A")
    server = await stage.started()
    idle, busy, head = (stage.client(server.addresses[0]) for _ in range(3))
    await idle.send("GET /a").expect(200)
    busy.send("GET /held")
    head.send_raw(b"GET / HT")

    await until(lambda: server.statistics().connections == {State.IDLE: 1, State.BUSY: 1, State.HEAD: 1})
    answer.release()
    await busy.expect(200)
    head.leave()


# Trust


@pytest.mark.parametrize(
    ("trusted", "forwarded_for"),
    [
        pytest.param([], "127.0.0.1", id="a-stranger's-is-dropped"),
        pytest.param(["10.0.0.0/8", "127.0.0.0/8"], "192.0.2.7, 127.0.0.1", id="a-trusted-one's-is-extended"),
        pytest.param(["::/0"], "127.0.0.1", id="of-another-family"),
        pytest.param(["unix"], "127.0.0.1", id="unix-only"),
    ],
)
async def test_forwarded_addresses_are_believed_from_trusted_networks_only(
    stage: Stage, trusted: list[str], forwarded_for: str
) -> None:
    stage.origin.on("GET /a").reply(200)
    server = await stage.started(listen=[{"address": "127.0.0.1:0", "trusted_proxies": trusted}])

    await stage.client(server.addresses[0]).send("GET /a", x_forwarded_for="192.0.2.7").expect(200)

    assert stage.origin.requests()[0].field("X-Forwarded-For") == forwarded_for


async def test_a_unix_socket_is_trusted_where_it_is_named(stage: Stage, tmp_path: Path) -> None:
    stage.origin.on("GET /a").reply(200)
    server = await stage.started(listen=[{"address": f"unix:{tmp_path}/socket", "trusted_proxies": ["unix"]}])

    await stage.client(server.addresses[0]).send("GET /a", x_forwarded_for="192.0.2.7").expect(200)

    forwarded_for = stage.origin.requests()[0].field("X-Forwarded-For")
    assert forwarded_for is not None
    assert forwarded_for.startswith("192.0.2.7")


# TLS


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def served_over_tls(stage: Stage, files: Files, **settings: object) -> Server:
    listen = {"address": "127.0.0.1:0", "tls": files.settings().model_dump()}
    return await stage.started(listen=[listen], **settings)


async def test_https_is_served(stage: Stage, files: Files) -> None:
    stage.origin.on("GET /a").reply(200, b"A" * 300_000)
    tls = files.put(trustme.CA())
    server = await served_over_tls(stage, files)

    await stage.client(server.addresses[0], tls=tls).send("GET /a").expect(200, b"A" * 300_000)

    assert stage.origin.requests()[0].field("X-Forwarded-Proto") == "https"


async def test_a_new_certificate_is_used_for_new_connections_and_old_ones_go_on(
    stage: Stage, files: Files
) -> None:
    stage.origin.on("GET /a").reply(200, b"A")
    old = files.put(trustme.CA())
    server = await served_over_tls(stage, files)
    kept = stage.client(server.addresses[0], tls=old)
    await kept.send("GET /a").expect(200)
    new = files.put(trustme.CA())

    server.reopen()

    await stage.client(server.addresses[0], tls=new).send("GET /a").expect(200)
    await kept.send("GET /a").expect(200)
    with pytest.raises(ssl.SSLCertVerificationError):
        await connected(server.addresses[0], stage.transcript, tls=old)


async def test_a_broken_new_certificate_keeps_the_old_one(
    stage: Stage, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    stage.origin.on("GET /a").reply(200, b"A")
    tls = files.put(trustme.CA())
    server = await served_over_tls(stage, files)
    files.certificate.write_text("nonsense")

    server.reopen()

    assert "certificate_kept" in caplog.text
    await stage.client(server.addresses[0], tls=tls).send("GET /a").expect(200)


async def test_a_client_that_never_shakes_hands_is_closed(stage: Stage, files: Files) -> None:
    files.put(trustme.CA())
    server = await served_over_tls(stage, files, limits={"head_timeout_s": 0.05})

    wire = await connected(server.addresses[0], stage.transcript)

    await wire.closed()
    wire.close()


async def test_a_download_over_tls_that_is_cut_does_not_look_whole(stage: Stage, files: Files) -> None:
    answer = stage.origin.on("GET /a").by_hand()
    tls = files.put(trustme.CA())
    server = await served_over_tls(stage, files)
    client = stage.client(server.addresses[0], tls=tls).send("GET /a")
    asked = await answer.next()
    asked.head(200)
    asked.data(b"begun")
    fields = (await client.head())[2]
    wire = await client.wire()
    await until(lambda: b"begun" in wire.received)

    await server.close()

    with pytest.raises(Cut):
        await wire.body(fields, until_close=False)
    client.leave()


async def test_a_tls_client_that_ignores_our_close_does_not_hold_up_a_drain(
    stage: Stage, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "LINGER_S", 0.05)
    stage.origin.on("GET /a").reply(200, b"A")
    tls = files.put(trustme.CA())
    server = await served_over_tls(stage, files)
    client = stage.client(server.addresses[0], tls=tls)
    await client.send("GET /a").expect(200)
    (await client.wire()).pause()

    assert await server.drain() == 0
    client.leave()


async def test_each_client_is_told_of_with_the_very_request_of_another(stage: Stage) -> None:
    server = await stage.started()
    stage.origin.on("GET /a").reply(200, b"A", cache_control="private")
    sources = ["127.0.0.1", "127.0.0.2", "127.0.0.3"] * 4
    for source in sources:
        await stage.client(server.addresses[0], source=source).send("GET /a").expect(200, b"A")
    assert [request.field("X-Forwarded-For") for request in stage.origin.requests()] == sources
