"""Sockets among the workers of a machine: who may come in, which limits hold, what is said to strangers.

What a client is held to was kept by the worker that has him: between workers the limits of a connection are
wide, and no time limit strikes. An origin's own tell of the origin; who watches over workers tells of those.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from proxy.config.settings import LimitsSettings, OriginSettings
from proxy.errors import ClientGone, ConfigError
from proxy.http.fields import Pair
from proxy.http.rendering import render_fields
from proxy.server.client_connection import ClientConnection
from proxy.server.listener import Listener
from proxy.server.response_writer import ResponseWriter

_MORE_FIELDS: Final = 16
_MORE_BYTES: Final = 64 * 1024
"""Beyond a client's head: it was within its limits before a field was added that tells of it."""

_HEAD_BYTES: Final = 1024 * 1024
_NEVER_S: Final = 86_400.0
_UNBOUNDED: Final = 1_000_000
"""What goes from worker to worker is bounded by what causes it: flights, and connections of clients."""


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


def limits_for_workers(limits: LimitsSettings) -> LimitsSettings:
    """Where others come in; `limits` are a client's."""
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


def settings_to_worker(path: Path) -> OriginSettings:
    """Where this worker goes to another one: as to an origin, but without limits."""
    return OriginSettings(
        addresses=(f"unix:{path}",),
        max_concurrency=_UNBOUNDED,
        first_byte_timeout_s=_NEVER_S,
        between_bytes_timeout_s=_NEVER_S,
        expect_timeout_s=_NEVER_S,
        fail_after=_UNBOUNDED,
        max_head_bytes=_HEAD_BYTES,
    )


def reply(hall: Listener, connection: ClientConnection, status: int, told: Pair, *, keep_alive: bool) -> bool:
    """Answer, where no exchange began, with one field; whether the connection may take another request."""
    writer = ResponseWriter(connection, keep_alive=keep_alive)
    try:
        writer.start(status, render_fields((told,)), length=0)
    except ClientGone:
        writer.keep_alive = False
    hall.exchange_over()
    return writer.keep_alive
