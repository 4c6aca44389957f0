"""Opens connections: TCP, TLS or Unix, within the time to connect."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable

from proxy.config.settings import OriginSettings
from proxy.origin.address import Address
from proxy.origin.balancer import Target
from proxy.origin.connection import OriginConnection
from proxy.origin.faults import CONNECT_FAULTS, connect_fault
from proxy.origin.tls import client_context


class Connector:
    """Makes connections to the targets of one origin.

    Raises when it is made: ConfigError, if the files of an https origin cannot be used.
    """

    __slots__ = ("_context", "_name", "_on_lost", "_settings")

    def __init__(
        self,
        name: str,
        settings: OriginSettings,
        addresses: tuple[Address, ...],
        *,
        on_lost: Callable[[OriginConnection], None],
    ) -> None:
        self._name = name
        self._settings = settings
        self._on_lost = on_lost
        secure = any(address.secure for address in addresses)
        # Reading the system's authorities takes 10 ms and some 500 KiB: for https alone.
        self._context: ssl.SSLContext | None = client_context(settings.tls, origin=name) if secure else None

    async def connect(self, target: Target) -> OriginConnection:
        """A connection that nothing was sent on yet.

        Raises: OriginUnreachable, OriginTimeout.
        """
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                connection = await self._open(target)
            if connection.closing:
                # Lost, or spoken on, between two turns of the loop: nobody would be told of it any more.
                raise ConnectionResetError(
                    errno.ECONNRESET, "closed at once, or it spoke before it was asked"
                )
        except CONNECT_FAULTS as error:
            raise connect_fault(error, origin=self._name, where=target) from error
        return connection

    async def _open(self, target: Target) -> OriginConnection:
        loop = asyncio.get_running_loop()

        def connection() -> OriginConnection:
            return OriginConnection(target, origin=self._name, loop=loop, on_lost=self._on_lost)

        address = target.address
        if address.scheme == "unix":
            return (await loop.create_unix_connection(connection, target.host))[1]
        if not address.secure:
            return (await loop.create_connection(connection, target.host, address.port))[1]
        name = self._settings.tls.server_name or address.host
        made = await loop.create_connection(
            connection, target.host, address.port, ssl=self._context, server_hostname=name
        )
        return made[1]
