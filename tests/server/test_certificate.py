from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest
import trustme

from proxy.errors import ConfigError
from proxy.server.certificate import Certificate
from tests.origin.waiting import until
from tests.server.certificates import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def shakes_hands(certificate: Certificate, client: ssl.SSLContext, name: str | None = "localhost") -> bool:
    """Whether a client and a server with this certificate agree, without any socket."""
    if name is None:
        client.check_hostname = False
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(4):
        for side in (theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return theirs.version() is not None


@pytest.mark.parametrize("name", [pytest.param("localhost", id="by-name"), pytest.param(None, id="no-name")])
def test_handshakes_take_the_newest_certificate(files: Files, name: str | None) -> None:
    old_client = files.put(trustme.CA())
    certificate = Certificate(files.settings())
    new_client = files.put(trustme.CA())
    assert shakes_hands(certificate, old_client, name)
    assert not shakes_hands(certificate, new_client, name)

    assert certificate.reload()

    assert not shakes_hands(certificate, old_client, name)
    assert shakes_hands(certificate, new_client, name)


@pytest.mark.parametrize("broken", ["certificate", "key", "other-key", "missing"])
def test_a_certificate_that_does_not_load_leaves_the_old_one_in_use(
    files: Files, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = files.put(trustme.CA())
    certificate = Certificate(files.settings())
    match broken:
        case "certificate":
            files.certificate.write_text("nonsense")
        case "key":
            files.key.write_text("nonsense")
        case "other-key":
            files.key.write_bytes(trustme.CA().issue_cert("localhost").private_key_pem.bytes())
        case _:
            files.key.unlink()

    assert not certificate.reload()
    assert "certificate_kept" in caplog.text
    assert shakes_hands(certificate, client)


def test_a_certificate_that_does_not_load_is_an_error_at_the_start(files: Files) -> None:
    files.put(trustme.CA())
    files.key.write_text("nonsense")

    with pytest.raises(ConfigError, match=r"the certificate .*certificate\.pem with key .* does not load"):
        Certificate(files.settings())


async def test_changed_files_are_read_again(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    files.put(trustme.CA())
    certificate = Certificate(files.settings(check_interval_s=0.001))
    certificate.watch()
    client = files.put(trustme.CA())

    await until(lambda: "certificate_loaded" in caplog.text)
    certificate.stop()

    assert shakes_hands(certificate, client)


async def test_a_broken_file_is_read_again_when_it_changes(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files.put(trustme.CA())
    certificate = Certificate(files.settings(check_interval_s=0.001))
    files.certificate.write_text("nonsense")
    certificate.watch()
    await until(lambda: "certificate_kept" in caplog.text)
    client = files.put(trustme.CA())
    await until(lambda: "certificate_loaded" in caplog.text)
    certificate.stop()

    assert shakes_hands(certificate, client)


@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS-1.2", "TLS-1.3"]
)
def test_http_1_1_is_what_is_spoken_over_tls(files: Files, version: ssl.TLSVersion) -> None:
    client = files.put(trustme.CA())
    client.minimum_version = client.maximum_version = version
    client.set_alpn_protocols(["h2", "http/1.1"])
    certificate = Certificate(files.settings())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    for side in (theirs, ours, theirs, ours, theirs):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue

    assert theirs.selected_alpn_protocol() == "http/1.1"
