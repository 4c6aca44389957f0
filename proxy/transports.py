"""What every transport of asyncio is asked, answered also by those that forget how to.

asyncio's TLS transport lets go of its protocol when it is closed, and up to Python 3.11.2, which Debian 12
has, it fails when it is asked anything afterwards. Its end is under way then, within the time that its
shutdown is given, and nothing of it is ours to hurry. uvloop's transports do not forget.
"""

from __future__ import annotations

import asyncio

_FORGOTTEN = object()


def abort(transport: asyncio.Transport) -> None:
    """Close at once; what was not sent yet is not sent."""
    if not _has_forgotten(transport):
        transport.abort()


def unsent_bytes(transport: asyncio.Transport) -> int:
    """Octets that were written and that the other side has not taken."""
    return 0 if _has_forgotten(transport) else transport.get_write_buffer_size()


def _has_forgotten(transport: asyncio.Transport) -> bool:
    return getattr(transport, "_ssl_protocol", _FORGOTTEN) is None
