"""Bodies of writes that are being received: held in memory until they are whole, and so bounded together.

A write takes its position when its body is complete, and what a thousand slow clients have sent until then
is in memory like what is queued. Both count towards `writes.max_bytes`. Counted is what came, not what was
declared: else a few who declare much and send nothing would shut everybody out.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.errors import QueueFull
from proxy.server.request_body import ClientBody


class Uploads:
    """Receives bodies; `queued_bytes` tells what the bodies of queued writes take."""

    def __init__(self, *, max_bytes: int, queued_bytes: Callable[[], int]) -> None:
        self._max_bytes = max_bytes
        self._queued_bytes = queued_bytes
        self.bytes = 0
        """What has come of bodies that are not whole."""

    def __repr__(self) -> str:
        return f"<Uploads bytes={self.bytes}>"

    async def whole(self, body: ClientBody) -> bytes:
        """All of it. Raises: QueueFull, and what `ClientBody.read` raises."""
        octets = body.at_hand()
        if octets is not None:
            return octets
        pieces: list[bytes] = []
        received = 0
        try:
            while piece := await body.read():
                pieces.append(piece)
                received += len(piece)
                self.bytes += len(piece)
                self._check_room()
        finally:
            self.bytes -= received
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _check_room(self) -> None:
        queued = self._queued_bytes()
        if self.bytes + queued > self._max_bytes:
            raise QueueFull(
                f"{self.bytes} octets of writes are being received and {queued} are queued; "
                "writes.max_bytes allows no more."
            )
