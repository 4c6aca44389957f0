"""The rebuild of the index at start: one thread reads the end of every file, shard by shard.

Files are handed to the loop in batches of whole shards, in order, and no more than a few batches are on
their way: the loop serves meanwhile. What is asked for in a shard that was not reached yet is looked up
in its directory (`Loads.probe`). A name that is not of our form is left alone and counted: it is not ours
to remove.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Executor
from typing import Final

from proxy.cache.disk.loads import Examined, Loads
from proxy.cache.disk.place import SHARDS, parse_name, shard_of
from proxy.cache.disk.shelf import Shelf

logger = logging.getLogger(__name__)

BATCH_FILES: Final = 200
"""Handing over costs about what examining five files does; indexing so many takes the loop 0.5 ms."""

BATCHES_AHEAD: Final = 4
"""Batches that the thread may be ahead of the loop."""


class Rebuild:
    """One pass over the directory."""

    def __init__(self, shelf: Shelf, loads: Loads) -> None:
        self._shelf = shelf
        self._loads = loads
        self._stop = threading.Event()
        self._ahead = threading.Semaphore(BATCHES_AHEAD)
        self.shards_done = 0
        self.failures = 0

    def __repr__(self) -> str:
        return f"<Rebuild {self.shards_done}/{SHARDS} shards>"

    @property
    def complete(self) -> bool:
        """Whether every file is indexed."""
        return self.shards_done == SHARDS

    def reached(self, key_digest: bytes) -> bool:
        """Whether the index knows all there is of this key."""
        return shard_of(key_digest) < self.shards_done

    def stop(self) -> None:
        """End early."""
        self._stop.set()
        self._ahead.release()

    async def run(self, thread: Executor) -> None:
        """Read everything; returns when the index is complete, or `stop` was called."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(thread, self._scan, loop)
        if self.complete:
            logger.info("disk_index_complete entries=%d", len(self._shelf.index))

    def _scan(self, loop: asyncio.AbstractEventLoop) -> None:
        present, others = self._shelf.directory.shards()
        batch: Examined = []
        for shard in present:
            examined, strangers = self._examine_shard(shard)
            batch += examined
            others += strangers
            if len(batch) >= BATCH_FILES:
                if not self._hand_over(loop, batch, others, upto=shard + 1):
                    return
                batch, others = [], 0
        self._hand_over(loop, batch, others, upto=SHARDS)

    def _hand_over(self, loop: asyncio.AbstractEventLoop, batch: Examined, others: int, *, upto: int) -> bool:
        """Give the loop a batch when it has taken those before; False if it is time to end."""
        self._ahead.acquire()
        if self._stop.is_set():
            return False
        loop.call_soon_threadsafe(self._take, batch, others, upto)
        return True

    def _examine_shard(self, shard: int) -> tuple[Examined, int]:
        examined: Examined = []
        others = 0
        for name in self._shelf.directory.shard_names(shard):
            place = parse_name(name)
            if place is None or place.shard != shard:
                others += 1
                continue
            try:
                examined.append((place, self._loads.examine(place)))
            except OSError:
                self.failures += 1  # it may be whole, and purged: the log that says so is kept
                self._shelf.remains = True
        return examined, others

    def _take(self, examined: Examined, others: int, upto: int) -> None:
        if not self._stop.is_set():
            self._loads.take(examined)
            self._shelf.counters.left_alone += others
            self.shards_done = upto
        self._ahead.release()
