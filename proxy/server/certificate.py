"""The certificate of a TLS listener, read again when its files change.

A certificate and its key are loaded into a context of their own, which takes the old one's place for
handshakes that begin later. Loading into the context in use was rejected: OpenSSL takes the certificate
before it looks at the key, so that a key that does not fit would leave the listener without any.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl

from proxy.config.settings import TlsListenSettings
from proxy.errors import ConfigError
from proxy.tasks import spawn

logger = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int] | None, ...]


class Certificate:
    """What a listener shows in handshakes."""

    def __init__(self, settings: TlsListenSettings) -> None:
        """Raises: ConfigError if the files cannot be used."""
        self._settings = settings
        self._seen = _stamp(settings)
        self._newest = _loaded(settings)
        self.context = self._newest
        """For the listener; each handshake takes the newest certificate."""
        self.context.sni_callback = self._take_newest
        self._watch: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Certificate {self._settings.certificate}>"

    def watch(self) -> None:
        """Look at the files every `check_interval_s`."""
        self._watch = spawn(self._look_again(), name="certificate watch")

    def stop(self) -> None:
        """Look no more."""
        if self._watch is not None:
            self._watch.cancel()

    def reload(self) -> bool:
        """Read the files again; False if they cannot be used, and then the old certificate stays."""
        self._seen = _stamp(self._settings)  # first: what changes while we read is seen the next time
        try:
            self._newest = _loaded(self._settings)
        except ConfigError as error:
            logger.error("certificate_kept reason=%s", error)
            return False
        logger.info("certificate_loaded file=%s", self._settings.certificate)
        return True

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(self._settings.check_interval_s)
            if _stamp(self._settings) != self._seen:
                self.reload()

    def _take_newest(
        self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        # Called in every handshake, also where the client names no host.
        connection.context = self._newest


def _stamp(settings: TlsListenSettings) -> Stamp:
    found: list[tuple[int, int, int] | None] = []
    for path in (settings.certificate, settings.key):
        try:
            status = os.stat(path)
        except OSError:
            found.append(None)
        else:
            # The time alone is not enough: a link may be turned to a file as old.
            found.append((status.st_mtime_ns, status.st_ino, status.st_size))
    return tuple(found)


def _loaded(settings: TlsListenSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password of ours, OpenSSL would ask for one at the terminal, and wait.
        context.load_cert_chain(settings.certificate, settings.key, password="")
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificate {settings.certificate} with key {settings.key} does not load: {error}. "
            "Both must be PEM files that this user may read, belong together, and need no password."
        ) from error
    return context
