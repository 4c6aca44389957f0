"""Where other workers come in with their questions: a Unix socket in a directory that is this user's alone.

Nothing that comes in here is a client's request, and nothing that comes in elsewhere is a question: the field
that makes it one is read here only. So it cannot be forged by whoever reaches the listeners.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage

from proxy.config.settings import LimitsSettings, ListenSettings
from proxy.errors import ClientError, ClientGone, ConfigError, NotStored
from proxy.http.rendering import render_fields
from proxy.peers.answering import Answering
from proxy.peers.peers import Peers
from proxy.peers.question import heard
from proxy.peers.word import Trouble, word_field
from proxy.server.client_connection import ClientConnection, InProgress
from proxy.server.listener import Crowd, Listener
from proxy.server.response_writer import ResponseWriter
from proxy.server.serving import Services

logger = logging.getLogger(__name__)

_MORE_FIELDS = 16
_MORE_BYTES = 64 * 1024
"""What a question may have beyond a client's head: it was within its limits before the field was added."""

_UNBOUNDED = 1_000_000


class Door:
    """Listens for the other workers of the generation."""

    def __init__(self, peers: Peers, *, limits: LimitsSettings, services: Callable[[], Services]) -> None:
        self._peers = peers
        self._services = services
        self._path = peers.place.socket_path(peers.place.slot)
        self.looks = 0
        """How often another worker saw that this one lives."""
        self.listener = Listener(
            ListenSettings(address=f"unix:{self._path}"),
            crowd=Crowd(limits_for_workers(limits)),
            begin=self._begin,
            refuse=self._refuse,
        )

    def __repr__(self) -> str:
        return f"<Door {self._path}>"

    async def start(self) -> None:
        """Listen, in the place of a predecessor that left its file. Raises: ConfigError."""
        check_private(self._path.parent)
        await self.listener.start()

    def _begin(
        self, hall: Listener, connection: ClientConnection, message: RawRequestMessage, body: StreamReader
    ) -> bool | InProgress:
        try:
            question = heard(message.method, message.path, message.raw_headers)
        except ValueError as error:
            logger.error("question_unreadable error=%s", error)
            return self._reply(hall, connection, 400, Trouble(ClientError.__name__, str(error)))
        if question.request is None:
            self.looks += 1
            return self._reply(hall, connection, 200, Trouble("", ""))
        if question.arrangement != self._peers.arrangement:
            told = "the asker has another configuration"
            return self._reply(hall, connection, NotStored.status, Trouble(NotStored.__name__, told))
        services = self._services()
        return Answering(services, hall, connection, message, body, heard=question, peers=self._peers).begin()

    def _reply(self, hall: Listener, connection: ClientConnection, status: int, trouble: Trouble) -> bool:
        writer = ResponseWriter(connection, keep_alive=not hall.draining)
        try:
            writer.start(status, render_fields((word_field(trouble),)), length=0)
        except ClientGone:
            writer.keep_alive = False
        hall.exchange_over()
        return writer.keep_alive

    def _refuse(self, hall: Listener, connection: ClientConnection, error: ClientError) -> None:
        """Octets that are no request, from a worker of ours."""
        logger.error("question_refused error=%s", error)
        connection.reset()


def limits_for_workers(limits: LimitsSettings) -> LimitsSettings:
    """A client's limits have been kept; those of the connection are for clients, not for workers."""
    return limits.model_copy(
        update={
            "max_line_bytes": limits.max_line_bytes + _MORE_BYTES,
            "max_field_bytes": limits.max_field_bytes + _MORE_BYTES,
            "max_fields": limits.max_fields + _MORE_FIELDS,
            "max_head_bytes": limits.max_head_bytes + _MORE_BYTES,
            "max_connections": _UNBOUNDED,
            "max_connections_per_client": 0,
            "write_timeout_s": 2 * limits.write_timeout_s,
        }
    )


def check_private(directory: Path) -> None:
    """Raises: ConfigError if others than this user could come in."""
    try:
        found = directory.stat()
    except OSError as error:
        raise ConfigError(f"the directory of the workers' sockets, {directory}: {error.strerror}") from error
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(
            f"the directory of the workers' sockets, {directory}, is open to others "
            f"(mode {stat.S_IMODE(found.st_mode):o}); make it 0700 and this user's own"
        )
