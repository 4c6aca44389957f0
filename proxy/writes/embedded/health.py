"""Whether the journal takes writes in, and why not.

    WORKING ──the disk is full, or nearly──► NO_ROOM ──a write was kept again──► WORKING
       └────────any other error of the disk or the file────────► FAILED, until the process starts again

NO_ROOM refuses new writes; the ends of those that run are still tried, as they need little and free more, and
`min_free_bytes` is left for them. After `retry_after_s` one write may try.

FAILED is for good. After an fsync has failed the kernel may have dropped what it could not write and call it
written: a second fsync proves nothing (fsync(2), errors). Everything promised before was synced before, and
the next start reads it.

The writer thread tells, the event loop asks: single attributes, each written by one of them.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
from typing import Final

from proxy.clock import Clock
from proxy.writes.embedded.sealing import Damaged
from proxy.writes.statistics import Condition as Condition

logger = logging.getLogger(__name__)

OUT_OF_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_ONE_STATEMENT: Final = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
"""Errors of what was asked, not of the file."""


class Health:
    """Of one journal."""

    def __init__(self, *, clock: Clock, min_free_bytes: int, retry_after_s: float) -> None:
        self.condition = Condition.WORKING
        self.reason = ""
        self.failures = 0
        self._clock = clock
        self._min_free_bytes = min_free_bytes
        self._retry_after_s = retry_after_s
        self._retry_at_mono = 0.0

    def __repr__(self) -> str:
        return f"<Health {self.condition} {self.reason!r}>"

    def refusal(self) -> str | None:
        """Why no write is taken in now; None if one may try."""
        if self.condition is Condition.WORKING:
            return None
        if self.condition is Condition.NO_ROOM and self._clock.mono() >= self._retry_at_mono:
            return None
        return self.reason

    def measured(self, free_bytes: int) -> bool:
        """Whether that is room enough for new writes."""
        if free_bytes >= self._min_free_bytes:
            return True
        self._no_room(
            f"{free_bytes} octets are free beside the journal, below writes.journal.min_free_bytes "
            f"({self._min_free_bytes})"
        )
        return False

    def failed(self, error: Exception) -> None:
        """An operation failed: decide what follows."""
        self.failures += 1
        if is_out_of_room(error):
            self._no_room(f"the journal's disk is full: {error}")
        elif self.condition is not Condition.FAILED:
            self.condition = Condition.FAILED
            self.reason = f"the journal failed and needs a restart: {error}"
            logger.critical("journal_failed error=%r", str(error))

    def _no_room(self, reason: str) -> None:
        if self.condition is Condition.FAILED:
            return
        if self.condition is Condition.WORKING:
            logger.error("journal_no_room reason=%r retry_after_s=%g", reason, self._retry_after_s)
        self.reason = reason
        self._retry_at_mono = self._clock.mono() + self._retry_after_s
        self.condition = Condition.NO_ROOM

    def worked(self) -> None:
        """A new write was kept."""
        if self.condition is Condition.NO_ROOM:
            logger.warning("journal_recovered")
            self.condition = Condition.WORKING
            self.reason = ""


def is_out_of_room(error: Exception) -> bool:
    """Whether the error says that the disk is full."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in OUT_OF_ROOM


def is_of_the_file(error: Exception) -> bool:
    """Whether the error says that the journal or its disk failed, and not what was asked of it."""
    return isinstance(error, (OSError, Damaged)) or (
        isinstance(error, sqlite3.Error) and not isinstance(error, _ONE_STATEMENT)
    )
