"""Where other workers come in with their questions: a Unix socket in a directory that is this user's alone.

Nothing that comes in here is a client's request, and nothing that comes in elsewhere is a question: the field
that makes it one is read here only. So it cannot be forged by whoever reaches the listeners.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import StreamReader
from aiohttp.http_parser import RawRequestMessage

from proxy.config.settings import LimitsSettings, ListenSettings
from proxy.errors import ClientError, NotStored
from proxy.peers.answering import Answering
from proxy.peers.peers import Peers
from proxy.peers.question import heard
from proxy.peers.word import Trouble, word_field
from proxy.peers.worker_socket import check_private, limits_for_workers, reply
from proxy.server.client_connection import ClientConnection, InProgress
from proxy.server.listener import Crowd, Listener
from proxy.server.serving import Services

logger = logging.getLogger(__name__)


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
            return _reply(hall, connection, 400, Trouble(ClientError.__name__, str(error)))
        if question.request is None:
            self.looks += 1
            return _reply(hall, connection, 200, Trouble("", ""))
        if question.arrangement != self._peers.arrangement:
            told = "the asker has another configuration"
            return _reply(hall, connection, NotStored.status, Trouble(NotStored.__name__, told))
        services = self._services()
        return Answering(services, hall, connection, message, body, heard=question, peers=self._peers).begin()

    def _refuse(self, hall: Listener, connection: ClientConnection, error: ClientError) -> None:
        """Octets that are no request, from a worker of ours."""
        logger.error("question_refused error=%s", error)
        connection.reset()


def _reply(hall: Listener, connection: ClientConnection, status: int, trouble: Trouble) -> bool:
    return reply(hall, connection, status, word_field(trouble), keep_alive=not hall.draining)
