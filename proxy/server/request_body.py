"""The body of a client's request, as the origin port wants it: bounded in size and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import StreamReader

from proxy.errors import BodyTooLarge, ClientError, ClientGone, RequestTimeout
from proxy.origin.port import AT_HAND_BYTES


class ClientBody:
    """Reads one request body. `max_bytes` 0 sets no limit; `timeout_s` bounds each pause.

    `on_first_read` is where a client that waits for 100 Continue is told to go on.
    """

    __slots__ = (
        "_max_bytes",
        "_on_first_read",
        "_received_bytes",
        "_stream",
        "_timeout_s",
        "length",
        "touched",
    )

    def __init__(
        self,
        stream: StreamReader,
        *,
        length: int | None,
        max_bytes: int,
        timeout_s: float,
        on_first_read: Callable[[], None] | None = None,
    ) -> None:
        if max_bytes and length is not None and length > max_bytes:
            raise BodyTooLarge(f"the body of {length} octets is above the limit of {max_bytes}")
        self._stream = stream
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._received_bytes = 0
        self._on_first_read = on_first_read
        self.length = length
        self.touched = False

    @property
    def arrived(self) -> bool:
        """Whether the client has sent all of it."""
        return self._stream.is_eof()

    def at_hand(self) -> bytes | None:
        """All of it, if that is little, declared, and here; see the port."""
        stream = self._stream
        if self.touched or self.length is None or self.length > AT_HAND_BYTES:
            return None
        if not stream.is_eof() or stream.exception() is not None:
            return None
        self.touched = True
        self._on_first_read = None
        self._received_bytes = self.length
        return stream.read_nowait() if self.length else b""

    async def read(self) -> bytes:
        """The next piece; `b""` at the end. Raises: ClientGone, ClientError, BodyTooLarge, RequestTimeout."""
        if not self.touched:
            self.touched = True
            # Let go of it: it belongs to the exchange, which has us. Exchanges leave no cycles behind.
            on_first_read, self._on_first_read = self._on_first_read, None
            if on_first_read is not None and not self._stream.is_eof():
                on_first_read()
        try:
            if self._stream.is_eof() or self._stream._buffer:
                piece = self._stream.read_nowait()
            else:
                async with asyncio.timeout(self._timeout_s):
                    piece = await self._stream.readany()
        except TimeoutError:
            raise RequestTimeout(f"no more of the body within {self._timeout_s:g} s") from None
        except (ClientError, ClientGone):
            raise
        except Exception as error:  # aiohttp sets what its parser raised, of several classes
            raise ClientError(f"the body is not framed as HTTP: {type(error).__name__}") from error
        self._received_bytes += len(piece)
        if self._max_bytes and self._received_bytes > self._max_bytes:
            raise BodyTooLarge(f"the body is above the limit of {self._max_bytes} octets")
        return piece
