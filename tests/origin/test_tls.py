"""https origins: verified, by name, with errors that say what to set."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from proxy.config.settings import OriginTlsSettings
from proxy.errors import ConfigError, OriginUnreachable
from proxy.origin.port import Framing
from proxy.origin.tls import client_context
from tests.origin.asking import answered, ask, first_exchange, get, read_all
from tests.origin.conftest import Connect
from tests.origin.scripted import ScriptedOrigin
from tests.origin.waiting import soon


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_context(authority: trustme.CA, name: str, *, wants_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if wants_client:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_a_good_certificate_is_accepted_and_the_connection_kept(
    authority: trustme.CA, ca_file: Path, connect: Connect
) -> None:
    async with ScriptedOrigin(tls=server_context(authority, "127.0.0.1")) as origin:
        client = connect(origin.url, tls={"ca_file": ca_file})
        peer = await first_exchange(client, origin)
        assert await answered(client, peer) == b"ok"


async def test_the_name_for_verification_may_be_set(
    authority: trustme.CA, ca_file: Path, connect: Connect
) -> None:
    async with ScriptedOrigin(tls=server_context(authority, "shop.example")) as origin:
        client = connect(origin.url, tls={"ca_file": ca_file, "server_name": "shop.example"})
        await first_exchange(client, origin)


async def test_a_certificate_for_another_name_is_refused(
    authority: trustme.CA, ca_file: Path, connect: Connect
) -> None:
    async with ScriptedOrigin(tls=server_context(authority, "other.example")) as origin:
        with pytest.raises(OriginUnreachable, match=r"tls\.server_name"):
            await soon(connect(origin.url, tls={"ca_file": ca_file}).send(get()))


async def test_an_unknown_authority_is_refused(authority: trustme.CA, connect: Connect) -> None:
    async with ScriptedOrigin(tls=server_context(authority, "127.0.0.1")) as origin:
        client = connect(origin.url)
        with pytest.raises(OriginUnreachable, match=r"certificate is not trusted .* tls\.ca_file"):
            await soon(client.send(get()))
        assert client.statistics().connect_failures == 1


async def test_verification_may_be_switched_off(authority: trustme.CA, connect: Connect) -> None:
    async with ScriptedOrigin(tls=server_context(authority, "other.example")) as origin:
        await first_exchange(connect(origin.url, tls={"verify": False}), origin)


async def test_our_certificate_is_shown_where_it_is_asked_for(
    authority: trustme.CA, ca_file: Path, tmp_path: Path, connect: Connect
) -> None:
    ours = authority.issue_cert("gate.example")
    certificate, key = tmp_path / "ours.pem", tmp_path / "ours.key"
    ours.cert_chain_pems[0].write_to_path(str(certificate))
    ours.private_key_pem.write_to_path(str(key))
    async with ScriptedOrigin(tls=server_context(authority, "127.0.0.1", wants_client=True)) as origin:
        tls = {"ca_file": ca_file, "client_certificate": certificate, "client_key": key}
        await first_exchange(connect(origin.url, tls=tls), origin)


async def test_an_origin_that_speaks_no_tls_is_explained(scripted: ScriptedOrigin, connect: Connect) -> None:
    asking = ask(connect(scripted.url.replace("http:", "https:")))
    peer = await scripted.accept()
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(OriginUnreachable, match="does it speak TLS"):
        await soon(asking)


async def test_a_body_that_ends_with_its_tls_connection_comes_whole(
    authority: trustme.CA, ca_file: Path, connect: Connect
) -> None:
    async with ScriptedOrigin(tls=server_context(authority, "127.0.0.1")) as origin:
        asking = ask(connect(origin.url, tls={"ca_file": ca_file}))
        peer = await origin.accept()
        await peer.expect_head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        peer.cut()
        response = await soon(asking)
        assert response.framing is Framing.CLOSE
        assert await read_all(response) == b"all of it"


async def test_a_large_body_over_tls_keeps_back_pressure(
    authority: trustme.CA, ca_file: Path, connect: Connect
) -> None:
    async with ScriptedOrigin(tls=server_context(authority, "127.0.0.1")) as origin:
        client = connect(origin.url, tls={"ca_file": ca_file})
        asking = ask(client)
        peer = await origin.accept()
        await peer.expect_head()
        body = b"0123456789abcdef" * 131072
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert await read_all(await soon(asking)) == body
        assert await answered(client, peer) == b"ok"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unusable_ca_file_is_an_error_at_start(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"origins\.shop\.tls\.ca_file"):
        client_context(OriginTlsSettings(ca_file=path), origin="shop")


def test_an_unusable_client_certificate_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="client_certificate"):
        client_context(OriginTlsSettings(client_certificate=tmp_path / "none.pem"), origin="shop")
