"""Whether the disk can be used now.

    USABLE ──an operation fails──► RESTING ──retry_after_s──► USABLE again, until the next failure

Reading and writing have one each: a full disk can still be read. One failure is one log line; the alarm
stays on until an operation has succeeded.
"""

from __future__ import annotations

import errno
import logging

from proxy.clock import Clock

logger = logging.getLogger(__name__)

OUT_OF_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Health:
    """Of one kind of operation."""

    def __init__(self, doing: str, *, clock: Clock, retry_after_s: float) -> None:
        self._doing = doing
        self._clock = clock
        self._retry_after_s = retry_after_s
        self._rests_until_mono: float | None = None
        self.failures = 0
        self.last_error: str | None = None

    def __repr__(self) -> str:
        return f"<Health {self._doing} usable={self.usable} failures={self.failures}>"

    @property
    def usable(self) -> bool:
        """Whether to try."""
        return self._rests_until_mono is None or self._clock.mono() >= self._rests_until_mono

    @property
    def alarm(self) -> bool:
        """Whether the last operation failed."""
        return self._rests_until_mono is not None

    def failed(self, error: OSError) -> None:
        """An operation failed: rest."""
        if self.usable:  # those that were under way when the first one failed say nothing new
            logger.error(
                "disk_failed doing=%s error=%r resting_s=%g", self._doing, str(error), self._retry_after_s
            )
        self.failures += 1
        self.last_error = str(error)
        self._rests_until_mono = self._clock.mono() + self._retry_after_s

    def worked(self) -> None:
        """An operation succeeded."""
        if self._rests_until_mono is not None and self.usable:
            logger.warning("disk_recovered doing=%s", self._doing)
            self._rests_until_mono = None
