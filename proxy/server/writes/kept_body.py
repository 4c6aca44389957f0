"""The body of a request that is passed on to another process: it may have to be sent a second time.

As long as that process cannot have the whole of it, nothing was given over, and another may be given it. So
the beginning of a body is kept; of a longer one nothing, once it is longer than what is kept.
"""

from __future__ import annotations

from typing import Final

from proxy.origin.port import RequestBody

KEEP_BYTES: Final = 64 * 1024
"""Of a body that is on its way. Writes are small; what is longer is refused if the way breaks meanwhile."""


class KeptBody:
    """`proxy.origin.port.RequestBody` over another, or over octets that are all here."""

    __slots__ = ("_again", "_body", "_kept", "_kept_bytes", "_read_bytes", "_whole", "length")

    def __init__(self, body: RequestBody | None, octets: bytes = b"") -> None:
        """`octets` come before `body`; without that they are the whole."""
        self._body = body
        self._kept: list[bytes] | None = [octets] if octets else []
        self._kept_bytes = self._read_bytes = len(octets)
        self._again = 0
        self._whole = body is None
        self.length = len(octets) if body is None else body.length

    def __repr__(self) -> str:
        return f"<KeptBody {self._read_bytes} of {self.length} read, {self._kept_bytes} kept>"

    @property
    def touched(self) -> bool:
        """Whether it cannot be sent a second time."""
        return self._kept is None

    @property
    def given(self) -> bool:
        """Whether all of it was read: who got it may have the whole request."""
        return self._whole or self._read_bytes == self.length

    def rewind(self) -> bool:
        """Begin again with the first piece; False if that is not there any more."""
        self._again = 0
        return self._kept is not None

    def at_hand(self) -> bytes | None:
        """Never: it keeps what it gives, piece by piece."""
        return None

    async def read(self) -> bytes:
        """The next piece; `b""` at the end. Raises: as the body that it is over."""
        kept = self._kept
        if kept is not None and self._again < len(kept):
            self._again += 1
            return kept[self._again - 1]
        piece = b"" if self._body is None else await self._body.read()
        self._read_bytes += len(piece)
        if not piece:
            self._whole = True
        elif kept is not None:
            self._keep(kept, piece)
        return piece

    def _keep(self, kept: list[bytes], piece: bytes) -> None:
        self._kept_bytes += len(piece)
        if self._kept_bytes > KEEP_BYTES:
            self._kept, self._kept_bytes = None, 0
        else:
            kept.append(piece)
            self._again = len(kept)
