"""Messages between processes as octets: a JSON object behind its length.

Both ends are our own, of the same version but for the moment of an upgrade; what is not such a message is a
bug, and ends the connection.
"""

from __future__ import annotations

import json
from typing import Any

from proxy.errors import ProxyError

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""Of a message: a configuration, the statistics of a worker, a purge of a thousand tags."""

_LENGTH_BYTES = 4

Message = dict[str, Any]


class FrameBroken(ProxyError):
    """Octets that are no message of ours."""


def framed(message: Message) -> bytes:
    """The message with its length before it."""
    octets = json.dumps(message, separators=(",", ":")).encode("ascii")
    return len(octets).to_bytes(_LENGTH_BYTES, "big") + octets


class Unframer:
    """Cuts octets, as they come, into messages."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def __repr__(self) -> str:
        return f"<Unframer {len(self._octets)} bytes>"

    @property
    def rest(self) -> bytes:
        """The beginning of a message whose end has not come."""
        return bytes(self._octets)

    def feed(self, octets: bytes) -> list[Message]:
        """The messages that are whole now. Raises: FrameBroken."""
        self._octets += octets
        messages = []
        while len(self._octets) >= _LENGTH_BYTES:
            length = int.from_bytes(self._octets[:_LENGTH_BYTES], "big")
            if length > MAX_FRAME_BYTES:
                raise FrameBroken(f"a message of {length} octets; at most {MAX_FRAME_BYTES} are read")
            end = _LENGTH_BYTES + length
            if len(self._octets) < end:
                break
            messages.append(_message(bytes(self._octets[_LENGTH_BYTES:end])))
            del self._octets[:end]
        return messages


def _message(octets: bytes) -> Message:
    try:
        message = json.loads(octets)
    except ValueError as error:
        raise FrameBroken(f"a message is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise FrameBroken(f"a message is no object: {octets[:80]!r}")
    return message
