"""Where a worker stands among the others of its machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

WRITES_SLOT: Final = 0
"""Of the worker that has the writes of all, or will when the one before it has given them up."""


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """One worker's slot, of `slots` that are numbered from 0.

    A slot outlives its worker: one that died is followed by another in the same slot. All workers that are
    started together are of one `generation`, which knows the same number of slots; while an upgrade hands
    over, workers of two generations live side by side, and ask only their own.

    `socket_dir` belongs to this user alone (0700). Each worker listens there at `socket_path(slot)` for the
    others of its generation, and replaces the file that a predecessor left. Who is alive is told by
    connecting: a worker that is gone, or not ready yet, refuses.
    """

    slot: int
    slots: int
    socket_dir: Path
    generation: int = 0

    def socket_path(self, slot: int) -> Path:
        """Where the worker of a slot listens for the others."""
        return self.socket_dir / f"{self.generation}-{slot}.sock"

    @property
    def writes_path(self) -> Path:
        """Where whoever has the writes listens for all others, of whatever generation."""
        return self.socket_dir / "writes.sock"

    @property
    def others(self) -> tuple[int, ...]:
        """The slots of the others."""
        return tuple(slot for slot in range(self.slots) if slot != self.slot)
