"""Purging: at once, durable before it is acknowledged, and swept up afterwards.

    purge ──► a ban, in this step: no load serves what it covers from here on
         ├──► the log: `durable()` returns when the record is on the disk
         └──► the sweep: what it covers is removed (or marked, if soft), then the ban is retired

Purges by key and place find their objects in the index, and so does one by target where the target is all
of the key. The others need what only the files tell, so a sweep walks the index in slices and has a thread
read the records of those that may be covered: those whose fingerprint has the marks (`coverage.py`).
Everything purged while one sweep runs is taken together by the next one.

The log is written anew when it has grown and the sweep has made most of it needless: only after the
unlinks were made durable, and never while a purged file may remain that could not be removed.

A purge by a function cannot be written down. The places that it covered are, and so it is durable only
when the sweep is done; it is for callers that can wait, and for tests.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Final

from proxy.cache.disk.bans import Kind, Purge, packed_place
from proxy.cache.disk.coverage import Marks, marks_of_target
from proxy.cache.disk.index import Indexed
from proxy.cache.disk.layout import Unusable, fingerprint_of
from proxy.cache.disk.object_file import load_object
from proxy.cache.disk.place import Place, key_digest
from proxy.cache.disk.purge_log import Numbered, PurgeLog
from proxy.cache.disk.shelf import Shelf
from proxy.cache.purge_count import OnFound
from proxy.errors import PurgeNotDurable
from proxy.tasks import spawn

logger = logging.getLogger(__name__)

SLICE: Final = 200
"""Slots of the index looked at in one turn of the loop: below 1 ms, and 3 ms if all must be removed."""

COMPACT_BYTES: Final = 1024 * 1024
"""A log above this is written anew when it can be; a purge by key takes 34 octets."""

_FOUND_IN_INDEX = (Kind.KEY, Kind.PLACE)

_Covered = tuple[int, bool] | None
"""The number of the ban that covers a file, and whether it is soft."""


class PurgeReceipt:
    """What becomes of one purge. It holds from the moment the receipt exists."""

    def __init__(self, sequence: int, on_found: OnFound | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.sequence = sequence
        self._on_found = on_found
        self._found: asyncio.Future[None] = loop.create_future()
        self._logged: asyncio.Future[OSError | None] = loop.create_future()
        self._swept: asyncio.Future[None] = loop.create_future()
        self._count = 0

    def __repr__(self) -> str:
        return f"<PurgeReceipt {self.sequence} durable={self._logged.done()} swept={self._swept.done()}>"

    async def durable(self) -> None:
        """Wait until no restart can bring back what was purged. Raises: PurgeNotDurable."""
        error = await asyncio.shield(self._logged)
        if error is not None:
            raise PurgeNotDurable(f"the purge could not be written down: {error}") from error

    async def found(self) -> None:
        """Wait until all that it covers was found; it need not be removed yet."""
        await asyncio.shield(self._found)

    async def removed(self) -> int:
        """Wait for the sweep; how many objects were removed, or made stale."""
        await asyncio.shield(self._swept)
        return self._count

    def logged(self, error: OSError | None) -> None:
        """It is on the disk, or cannot be."""
        if not self._logged.done():
            self._logged.set_result(error)

    def count(self, place: Place) -> None:
        """One more was found."""
        self._count += 1
        if self._on_found is not None:
            self._on_found(place)

    def all_found(self) -> None:
        """There are no more."""
        self._on_found = None
        if not self._found.done():
            self._found.set_result(None)

    def swept(self) -> None:
        """All were removed."""
        self.all_found()
        if not self._swept.done():
            self._swept.set_result(None)


class Purges:
    """Takes purges and sweeps. The sweep starts when `index_complete` is called."""

    def __init__(self, shelf: Shelf, *, scanner: Executor) -> None:
        self._shelf = shelf
        self._bans = shelf.bans
        self._scanner = scanner
        self._log = PurgeLog(shelf.directory.log)
        self._log_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk-log")
        self._unlogged: list[tuple[Numbered, PurgeReceipt]] = []
        self._receipts: list[PurgeReceipt] = []
        self._writing: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._complete = self._closed = False
        self._swept = 0

    def __repr__(self) -> str:
        return f"<Purges swept={self._swept} of {self._bans!r} {self._log!r}>"

    async def open(self) -> int:
        """Read the log; the generation. Raises: OSError."""
        loop = asyncio.get_running_loop()
        purges = await loop.run_in_executor(self._log_thread, self._log.open)
        self._bans.sequence = self._log.base_sequence
        for number, purge in purges:
            self._bans.add(purge, sequence=number)
        return self._log.generation

    async def close(self) -> None:
        """Write what is to be written, and stop; what was not swept is so at the next start."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        while self._writing is not None:
            await asyncio.wait([self._writing])
        for receipt in self._receipts:
            receipt.logged(OSError("the tier was closed"))
            receipt.swept()
        self._log_thread.shutdown()
        self._log.close()

    def index_complete(self, *, upto: int) -> None:
        """Every file was examined, and compared with the bans up to this one."""
        self._complete = True
        self._swept = max(self._swept, upto)
        self._sweep_soon()

    def purge(self, purge: Purge, on_found: OnFound | None = None) -> PurgeReceipt:
        """Purge, in this step; `on_found` is told of each object that is removed or made stale by it."""
        number = self._bans.add(purge)
        receipt = PurgeReceipt(number, on_found)
        if self._closed:
            receipt.logged(OSError("the tier is closed"))
            receipt.swept()
            return receipt
        self._receipts.append(receipt)
        self._close_opened()
        self._found_in_index(number, purge, receipt)
        if self._complete and purge.kind in _FOUND_IN_INDEX:
            receipt.all_found()
        if purge.kind is not Kind.WHERE:
            self._unlogged.append(((number, purge), receipt))
            self._write_soon()
        self._sweep_soon()
        return receipt

    def _close_opened(self) -> None:
        """What is held open has been checked already; the new ban concerns it as well."""
        shelf = self._shelf
        for place, entry in list(shelf.opened.items()):
            item = shelf.index.get(place)
            epoch = -1 if item is None else item.epoch
            ban = self._bans.covering(epoch, place, entry.key, entry.tags)
            if ban is None:
                continue
            if ban.soft:
                entry.soften(shelf.clock.mono())
            else:
                del shelf.opened[place]

    def _found_in_index(self, number: int, purge: Purge, receipt: PurgeReceipt | None) -> None:
        """Remove, or make stale, what a purge by key or place covers."""
        named = [item for item in self._named(purge) if item.epoch < number]
        found = [item for item in named if not (purge.soft and item.soft)]
        for item in found:
            if receipt is not None:
                receipt.count(item.place)
            if purge.soft:
                self._shelf.soften(item.place)
            else:
                self._shelf.remove(item.place)
        self._shelf.counters.purged += len(found)

    def _named(self, purge: Purge) -> list[Indexed]:
        if purge.kind is Kind.KEY:
            return self._shelf.index.of_key(purge.subject)
        if purge.kind is Kind.TARGET:
            return self._shelf.index.of_key(key_digest(purge.subject))
        if purge.kind is Kind.PLACE:
            place = Place(purge.subject[:16], int.from_bytes(purge.subject[16:], "big"))
            item = self._shelf.index.get(place)
            return [] if item is None else [item]
        return []

    # the log

    def _write_soon(self) -> None:
        if self._writing is None:
            self._writing = spawn(self._write(), name="disk purge log")

    async def _write(self) -> None:
        try:
            while self._unlogged:
                batch, self._unlogged = self._unlogged, []
                error = await self._append([numbered for numbered, _ in batch])
                for _, receipt in batch:
                    receipt.logged(error)
        finally:
            self._writing = None

    async def _append(self, purges: Sequence[Numbered]) -> OSError | None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._log_thread, self._log.append, purges)
        except OSError as error:
            self._shelf.remains = True
            self._shelf.write_failed(error)
            return error
        return None

    # the sweep

    def _sweep_soon(self) -> None:
        if self._complete and self._sweeping is None and (len(self._bans) or self._receipts):
            self._sweeping = spawn(self._sweep(), name="disk sweep")

    async def _sweep(self) -> None:
        try:
            while True:
                upto = self._bans.sequence
                await self._pass(upto)
                await self._shelf.jobs.barrier()
                self._swept = upto
                for receipt in [receipt for receipt in self._receipts if receipt.sequence <= upto]:
                    self._receipts.remove(receipt)
                    receipt.swept()
                self._bans.swept(upto)
                await self._compact()
                if self._bans.sequence == upto:
                    return
        finally:
            self._sweeping = None

    async def _pass(self, upto: int) -> None:
        purges = [(number, purge) for number, purge in self._bans.kept() if self._swept < number <= upto]
        receipts = {receipt.sequence: receipt for receipt in self._receipts}
        for number, purge in purges:
            if purge.kind in _FOUND_IN_INDEX:  # the rebuild may have indexed one since
                self._found_in_index(number, purge, receipts.get(number))
        searching = _Searching(purges)
        covered: list[Numbered] = []
        for first in range(0, self._shelf.index.slots, SLICE) if searching else ():
            suspects = self._shelf.index.suspects(first, first + SLICE, searching.masks)
            for item, verdict in await self._examine(suspects, searching.everything):
                self._apply(item, verdict, receipts, covered, searching.where)
        await self._settle(upto, covered, searching.where)

    async def _examine(
        self, suspects: Sequence[Indexed], everything: int
    ) -> Iterable[tuple[Indexed, Unusable | _Covered]]:
        """What bans each; where a purge of everything does, no file is read."""
        if all(item.epoch < everything for item in suspects):
            await asyncio.sleep(0)
            return [(item, (everything, False)) for item in suspects]
        loop = asyncio.get_running_loop()
        verdicts = await loop.run_in_executor(self._scanner, self._read, suspects)
        return zip(suspects, verdicts, strict=True)

    def _read(self, suspects: Sequence[Indexed]) -> list[Unusable | _Covered]:
        return [self._verdict(item.place) for item in suspects]

    def _verdict(self, place: Place) -> Unusable | _Covered:
        """What bans a file, or that it is of no use: what cannot be read cannot be cleared either. Blocks."""
        try:
            found = load_object(
                self._shelf.directory, place, generation=self._shelf.generation, whole_bytes=-1
            )
        except OSError:
            return Unusable.FAILED
        if isinstance(found, Unusable):
            return found
        if found.fd is not None:
            os.close(found.fd)
        record = found.record
        ban = self._bans.covering(found.footer.epoch, place, record.key, record.tags)
        return None if ban is None else (ban.sequence, ban.soft)

    def _apply(
        self,
        item: Indexed,
        verdict: Unusable | _Covered,
        receipts: Mapping[int, PurgeReceipt],
        covered: list[Numbered],
        where: frozenset[int],
    ) -> None:
        shelf = self._shelf
        now = shelf.index.get(item.place)
        if verdict is None or now is None or now.epoch != item.epoch:
            return
        if isinstance(verdict, Unusable):
            shelf.drop(item.place, verdict)
            return
        number, soft = verdict
        if soft and now.soft:
            return
        if soft:
            shelf.soften(item.place)
        else:
            shelf.remove(item.place)
        if number in receipts:
            receipts[number].count(item.place)
        shelf.counters.purged += 1
        if number in where:
            covered.append((number, Purge(Kind.PLACE, packed_place(item.place), soft)))

    async def _settle(self, upto: int, covered: Sequence[Numbered], where: frozenset[int]) -> None:
        error = await self._append(covered) if covered else None
        for receipt in self._receipts:
            if receipt.sequence <= upto:
                receipt.all_found()
                if receipt.sequence in where:
                    receipt.logged(error)

    async def _compact(self) -> None:
        """Make the log shorter, if that is worth it and safe."""
        if self._log.file_bytes < COMPACT_BYTES or self._shelf.remains:
            return
        kept = [(number, purge) for number, purge in self._bans.kept() if purge.kind is not Kind.WHERE]
        rewrite = partial(self._rewrite, self._bans.sequence, kept)
        try:
            await asyncio.get_running_loop().run_in_executor(self._log_thread, rewrite)
        except OSError as error:
            self._shelf.write_failed(error)

    def _rewrite(self, sequence: int, kept: Sequence[Numbered]) -> None:
        self._shelf.directory.sync()
        self._log.compact(sequence, kept)


def _marks_sought(purge: Purge) -> Sequence[Marks]:
    """What an object must have to be suspected: all of one of these sets."""
    if purge.kind is Kind.TAG:
        return (frozenset({purge.subject}),)
    return marks_of_target(purge.subject) if purge.kind is Kind.TARGET else (frozenset(),)


class _Searching:
    """Which of the index's objects the purges of one sweep may cover."""

    def __init__(self, purges: Sequence[Numbered]) -> None:
        searched = [(number, purge) for number, purge in purges if purge.kind not in _FOUND_IN_INDEX]
        self.masks = [
            (number, fingerprint_of(marks)) for number, purge in searched for marks in _marks_sought(purge)
        ]
        everything = [number for number, purge in searched if purge.kind is Kind.ALL and not purge.soft]
        self.everything = max(everything, default=0)
        self.where = frozenset(number for number, purge in searched if purge.kind is Kind.WHERE)

    def __bool__(self) -> bool:
        return bool(self.masks)
