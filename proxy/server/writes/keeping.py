"""What keeps the writes: the journal where one is configured, else memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxy.clock import Clock
from proxy.config.write_settings import WritesSettings
from proxy.errors import ConfigError
from proxy.writes.live import Live
from proxy.writes.memory.queue import MemoryQueue
from proxy.writes.memory.state import MemoryState
from proxy.writes.memory.store import MemoryStore
from proxy.writes.port import EventLog, Store, WriteQueue

if TYPE_CHECKING:
    from proxy.writes.embedded.journal import Journal


@dataclass(frozen=True, slots=True)
class Kept:
    """The parts of one backend, which belong together."""

    queue: WriteQueue
    store: Store
    events: EventLog
    live: Live[Any]
    journal: Journal | None = None
    memory: MemoryState | None = None

    @property
    def unkept(self) -> int:
        """Writes that end with this process."""
        return len(self.live) - self.live.durable


def kept_by(settings: WritesSettings, *, clock: Clock) -> Kept:
    """The backend that the configuration names. Raises: ConfigError where its libraries are missing."""
    if settings.journal is None:
        state = MemoryState(clock=clock, max_writes=settings.max_queued, max_bytes=settings.max_bytes)
        return Kept(MemoryQueue(state), MemoryStore(state), state.events, state.live, memory=state)
    try:
        from proxy.writes.embedded.journal import Journal
        from proxy.writes.embedded.queue import EmbeddedQueue
        from proxy.writes.embedded.store import EmbeddedStore
    except ImportError as error:
        raise ConfigError(
            f"writes.journal needs the library {error.name}, which is not installed: "
            "install Lockgate with the extra `writes`, as in `pip install lockgate[writes]`"
        ) from error
    journal = Journal(
        settings.journal, clock=clock, max_writes=settings.max_queued, max_bytes=settings.max_bytes
    )
    return Kept(EmbeddedQueue(journal), EmbeddedStore(journal), journal.events, journal.live, journal)
