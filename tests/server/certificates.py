"""Certificates for localhost, each from an authority of its own, as files of a listener."""

from __future__ import annotations

import os
import ssl
import time
from pathlib import Path

import trustme

from proxy.config.settings import TlsListenSettings


class Files:
    """A certificate file and a key file that a test puts certificates into."""

    def __init__(self, directory: Path) -> None:
        self.certificate = directory / "certificate.pem"
        self.key = directory / "key.pem"
        self._changed_at_ns = time.time_ns()

    def settings(self, *, check_interval_s: float = 3600.0) -> TlsListenSettings:
        """The listener's settings; by default it does not look at the files by itself."""
        return TlsListenSettings(
            certificate=self.certificate, key=self.key, check_interval_s=check_interval_s
        )

    def put(self, authority: trustme.CA) -> ssl.SSLContext:
        """Write a certificate of this authority; the context of a client that trusts nobody else."""
        issued = authority.issue_cert("localhost")
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())
        self._changed_at_ns += 1_000_000_000  # the file system's clock ticks more slowly than a test runs
        for path in (self.certificate, self.key):
            os.utime(path, ns=(self._changed_at_ns, self._changed_at_ns))
        client = ssl.create_default_context()
        authority.configure_trust(client)
        return client
