"""Where the other workers give over what is for the writes, in the worker that has them.

It is open only while that worker has the writes. Nothing that comes in elsewhere is a relayed request: the
field that makes it one is read here alone, and only this user can enter the directory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage

from proxy.config.settings import LimitsSettings, ListenSettings
from proxy.errors import ClientError
from proxy.peers.relay_field import Told, heard_relayed, told_field
from proxy.peers.relayed import RelayedServing
from proxy.peers.worker_socket import check_private, limits_for_workers, reply
from proxy.server.client_connection import ClientConnection, InProgress
from proxy.server.listener import Crowd, Listener
from proxy.server.serving import Services

logger = logging.getLogger(__name__)


class RelayDoor:
    """Opened once, and closed for good."""

    def __init__(self, path: Path, *, limits: LimitsSettings, services: Callable[[], Services]) -> None:
        self._path = path
        self._services = services
        self.listener = Listener(
            ListenSettings(address=f"unix:{path}"),
            crowd=Crowd(limits_for_workers(limits)),
            begin=self._begin,
            refuse=self._refuse,
        )

    def __repr__(self) -> str:
        return f"<RelayDoor {self._path} {self.listener!r}>"

    async def open(self) -> None:
        """Listen, in the place of one that left its file. Raises: ConfigError."""
        check_private(self._path.parent)
        await self.listener.start()

    def close(self) -> None:
        """Let nobody in any more; who came goes on to his end. Idempotent."""
        self.listener.hide()

    def cut(self) -> None:
        """End at once what is left."""
        self.listener.stop_accepting()
        self.listener.cut()

    def _begin(
        self, hall: Listener, connection: ClientConnection, message: RawRequestMessage, body: StreamReader
    ) -> bool | InProgress:
        try:
            relayed = heard_relayed(message.method, message.path, message.raw_headers)
        except ValueError as error:
            logger.error("relayed_unreadable error=%s", error)
            told = Told("refused", reason="another worker relayed it in a way that this one does not know")
            return reply(hall, connection, 503, told_field(told), keep_alive=False)
        return RelayedServing(self._services(), hall, connection, message, body, relayed=relayed).begin()

    def _refuse(self, hall: Listener, connection: ClientConnection, error: ClientError) -> None:
        """Octets that are no request, from a worker of ours."""
        logger.error("relayed_refused error=%s", error)
        connection.reset()
