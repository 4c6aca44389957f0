"""A request's body on its way to the origin, while the answer is awaited."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from proxy.errors import OriginTimeout, ProxyError
from proxy.origin.connection import OriginConnection
from proxy.origin.port import RequestBody
from proxy.tasks import spawn

logger = logging.getLogger(__name__)


class Upload:
    """Reads the body piece by piece, as fast as the origin takes it.

    With `expect_s` it waits for `go_on` first, this long at most: an origin that does not know
    `Expect: 100-continue` waits for the body (RFC 9110 §10.1.1). Exactly one of `on_done` and `on_failed`
    is called, none after `stop`.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_expect_s",
        "_go_on",
        "_on_done",
        "_on_failed",
        "_stall_s",
        "_task",
        "started",
    )

    def __init__(
        self,
        body: RequestBody,
        connection: OriginConnection,
        *,
        stall_s: float,
        expect_s: float | None,
        on_done: Callable[[], None],
        on_failed: Callable[[ProxyError], None],
    ) -> None:
        self._body = body
        self._connection = connection
        self._stall_s = stall_s
        self._expect_s = expect_s
        self._on_done = on_done
        self._on_failed = on_failed
        self._go_on = asyncio.Event()
        self.started = expect_s is None
        """Whether the origin gets the body, or is still being asked."""
        self._task = spawn(self._run(), name=f"upload to {connection.origin}")

    def go_on(self) -> None:
        """The origin wants the body."""
        self._go_on.set()

    def stop(self) -> None:
        """Send no more of it."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            if self._expect_s is not None:
                await self._wait_for_leave(self._expect_s)
            await self._send()
        except ProxyError as error:
            self._on_failed(error)
        except Exception as error:
            logger.exception("upload_failed origin=%s", self._connection.origin)
            self._on_failed(ProxyError(f"the request's body could not be read: {error!r}"))
        else:
            self._on_done()

    async def _wait_for_leave(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._go_on.wait()
        except TimeoutError:
            pass
        self.started = True

    async def _send(self) -> None:
        body, connection = self._body, self._connection
        length = body.length
        sent = 0
        while piece := await body.read():
            sent += len(piece)
            if length is not None and sent > length:
                break
            if length is None:
                connection.write(b"%x\r\n" % len(piece), piece, b"\r\n")
            else:
                connection.write(piece)
            if connection.must_drain:
                await self._drain()
        if length is None:
            connection.write(b"0\r\n\r\n")
        elif sent != length:
            # What is missing would be taken from the next request, what is too much for one (RFC 9112 §6.3).
            raise ProxyError(
                f"the request's body has {'more' if sent > length else 'less'} than {length} octets"
            )

    async def _drain(self) -> None:
        # A limit of its own: the connection's may be in use by the reader of an answer that came early.
        try:
            async with asyncio.timeout(self._stall_s):
                await self._connection.drained()
        except TimeoutError as error:
            raise OriginTimeout(
                f"{self._connection.label}: it took nothing of the request's body for between_bytes_timeout_s"
            ) from error
