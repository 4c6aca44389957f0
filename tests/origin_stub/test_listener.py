from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest
import trustme

import origin_stub


async def test_it_refuses_and_listens_again_on_the_same_port(
    stub: origin_stub.Stub, session: aiohttp.ClientSession
) -> None:
    url = stub.url
    async with session.get("/a") as answer:
        await answer.read()
    await stub.refuse()
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get("/a")
    await stub.listen_again()
    assert stub.url == url
    async with session.get("/a") as answer:
        assert answer.status == 200


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "stub"
    async with origin_stub.running(listen=f"unix:{path}") as stub:
        assert stub.url == f"unix:{path}"
        connector = aiohttp.UnixConnector(str(path))
        async with aiohttp.ClientSession("http://a", connector=connector) as session:
            async with session.get("/a") as answer:
                assert answer.status == 200
            async with session.get("/a?size=100&cut=1:reset") as answer:
                with pytest.raises(aiohttp.ClientError):
                    await answer.read()


async def test_tls() -> None:
    authority = trustme.CA()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(theirs)
    async with origin_stub.running(ssl_context=ours) as stub:
        assert stub.url.startswith("https://")
        connector = aiohttp.TCPConnector(ssl=theirs)
        async with (
            aiohttp.ClientSession(stub.url, connector=connector) as session,
            session.get("/a") as answer,
        ):
            assert answer.status == 200
