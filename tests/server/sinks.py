"""A connection that only notes what is written to it, for the modules that write answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from proxy.errors import ClientGone
from proxy.http.messages import RequestHead
from proxy.server.client_connection import ClientConnection
from proxy.server.exchange import Exchange
from proxy.server.response_writer import ResponseWriter
from proxy.server.tunnel_inbox import TunnelInbox
from tests.policy.heads import request as request_head


class Sink:
    """Stands in for a `ClientConnection`. `gone` makes it one whose client has left."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.gone = False
        self.draining = False
        self.was_reset = False
        self.was_closed = False
        self.drains = 0
        self.peer = "192.0.2.1"
        self.inbox: TunnelInbox | None = None
        self.held = False

    @property
    def connection(self) -> ClientConnection:
        return cast(ClientConnection, self)

    @property
    def connected(self) -> bool:
        return not self.gone

    @property
    def octets(self) -> bytes:
        """Everything written, in order."""
        return b"".join(self.written)

    @property
    def head(self) -> list[bytes]:
        """The lines of the first head."""
        return self.octets.partition(b"\r\n\r\n")[0].split(b"\r\n")

    @property
    def body(self) -> bytes:
        """What follows the first head."""
        return self.octets.partition(b"\r\n\r\n")[2]

    def write(self, octets: bytes) -> None:
        if self.gone:
            raise ClientGone("the client closed its connection")
        self.written.append(octets)

    def write_pieces(self, pieces: Sequence[bytes]) -> None:
        self.write(b"".join(pieces))

    async def drain(self) -> None:
        self.drains += 1

    def reset(self) -> None:
        self.was_reset = True

    def close(self) -> None:
        self.was_closed = True

    def switch_to_tunnel(self) -> TunnelInbox:
        self.inbox = TunnelInbox(self)
        return self.inbox

    # for `TunnelInbox`

    def hold(self) -> None:
        self.held = True

    def unhold(self) -> None:
        self.held = False


def exchange_on(
    sink: Sink, request: RequestHead | None = None, *, keep_alive: bool = True
) -> tuple[Exchange, RequestHead]:
    """An exchange of this request whose answer goes to the sink."""
    request = request or request_head()
    writer = ResponseWriter(sink.connection, keep_alive=keep_alive)
    writer.meant_for(request)
    return Exchange(writer, sink.peer, False, started_at=0.0, started_mono=0.0, request=request), request
