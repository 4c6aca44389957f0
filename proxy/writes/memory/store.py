"""What is known of single writes without a journal: those that run, and which keys are paused until the end.

Of a write that ended nothing is known: its client was told. There are no dead letters and no idempotency
keys.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.writes.memory.state import MemoryState, needs_journal
from proxy.writes.port import Claim, DeadLetter, WriteStatus
from proxy.writes.problem import Problem
from proxy.writes.states import State
from proxy.writes.write import Idempotency, Result


class MemoryStore:
    """A Store over the memory of this process."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def __repr__(self) -> str:
        return f"<MemoryStore {self._state!r}>"

    async def status(self, write_id: str) -> WriteStatus | None:
        """None if it never was, or has ended."""
        running = self._state.live.get(write_id)
        return None if running is None else running.status()

    async def result(self, write_id: str) -> Result | None:
        """None: no end is kept."""
        return None

    async def listing(
        self,
        *,
        key: str | None = None,
        states: frozenset[State] | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Sequence[WriteStatus]:
        """Writes that have not ended, in the order of their ids, those after the id `after`."""
        return self._state.live.page(key=key, states=states, after=after, limit=limit)

    async def claim(self, idempotency: Idempotency, write_id: str, *, expires_at: float) -> Claim:
        """Refused. Raises: QueueUnavailable."""
        raise needs_journal("An Idempotency-Key")

    async def unclaim(self, write_id: str) -> None:
        """No key was ever taken."""

    async def dead_letters(self, *, after: str = "", limit: int = 100) -> Sequence[DeadLetter]:
        """None are parked."""
        return ()

    async def dead_letter(self, write_id: str) -> DeadLetter | None:
        """None is parked."""
        return None

    async def discard(self, write_id: str) -> bool:
        """False: there is none."""
        return False

    async def pause(self, key: str, problem: Problem) -> None:
        """Remember until the end of the process that nothing of this key is to be started."""
        self._state.paused[key] = problem

    async def resume(self, key: str) -> bool:
        """Forget it; False if it was not paused."""
        return self._state.paused.pop(key, None) is not None

    async def paused(self) -> dict[str, Problem]:
        """All paused keys."""
        return dict(self._state.paused)
