"""How long a task may take for what it does now: a limit that is set and lifted as it goes on.

    ──begin(s)──► runs ──lift──► waits for nothing ──begin(s)──► runs ──stop──► over
                   └── the time is over: its task is cancelled, and `raises_now` says so

An attempt is limited twice, until its answer's head and while that one's body is read, and mostly each lasts
a moment; and so is the wait of its client. A limit for each (`asyncio.timeout`) costs 10 µs a write; this is
one timer, moved lazily.
"""

from __future__ import annotations

import asyncio

_NEVER = float("inf")


class TaskLimit:
    """The time limit of one task. To be used in that task, from `begin` to `stop`."""

    __slots__ = ("_cancelled_before", "_deadline_mono", "_loop", "_passed", "_task", "_timer")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_mono = _NEVER
        self._cancelled_before = 0
        self._passed = False

    def __repr__(self) -> str:
        state = "passed" if self._passed else "lifted" if self._deadline_mono == _NEVER else "set"
        return f"<TaskLimit {state}>"

    def begin(self, seconds: float) -> None:
        """From now on so many seconds are left."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
            task = self._task = asyncio.current_task(loop)
            assert task is not None, "a limit is one of a task"
            self._cancelled_before = task.cancelling()
        deadline_mono = self._deadline_mono = loop.time() + seconds
        if self._timer is not None and self._timer.when() > deadline_mono:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = loop.call_at(deadline_mono, self._due)

    def lift(self) -> None:
        """What comes takes as long as it takes."""
        self._deadline_mono = _NEVER
        if self._passed:  # and another error came of it
            self.raises_now()

    def stop(self) -> None:
        """It is needed no more. Idempotent."""
        self.lift()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._task = self._loop = None

    def raises_now(self) -> bool:
        """Whether a CancelledError that was caught just now is this limit's word, and nobody else's, too."""
        if not self._passed or self._task is None:
            return False
        self._passed = False
        return self._task.uncancel() <= self._cancelled_before

    def _due(self) -> None:
        self._timer = None
        if self._deadline_mono == _NEVER or self._task is None or self._loop is None:
            return
        # uvloop rounds to milliseconds and may be early by less than one.
        if self._deadline_mono > self._loop.time() + 0.002:
            self._timer = self._loop.call_at(self._deadline_mono, self._due)
            return
        self._deadline_mono = _NEVER
        self._passed = True
        self._task.cancel()
