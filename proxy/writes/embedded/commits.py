"""One batch of jobs becomes one durable transaction, or is taken apart until it is clear what can be kept.

    all of it ──kept──► settled
        ├──no room──► the new writes are refused; the rest once more, as ends need little and free more
        ├──one of them was wrong in itself──► each by itself
        └──the disk or the file failed──► everything that changes is refused, now and until a restart

Reads are answered as long as the file can be read.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from proxy.errors import QueueUnavailable
from proxy.writes.embedded.database import Database
from proxy.writes.embedded.health import Condition, Health, is_of_the_file, is_out_of_room
from proxy.writes.embedded.jobs import Call, End, Insert, Job
from proxy.writes.embedded.statistics import CommitCounts
from proxy.writes.events import LoggedEvent


class Commits:
    """Turns batches into transactions. Owned by the writer thread."""

    def __init__(self, database: Database, health: Health, counts: CommitCounts) -> None:
        self._database = database
        self._health = health
        self._counts = counts

    def run(self, jobs: Sequence[Job], *, may_insert: bool) -> list[LoggedEvent]:
        """Do these jobs; each has its value or its error afterwards. The events that are to be told."""
        changing = []
        for job in jobs:
            if job.once and not may_insert:
                self._refuse(job)
            elif job.changes:
                changing.append(job)
        self._prepare(changing)
        events = self._change([job for job in changing if job.error is None])
        for job in jobs:
            if not job.changes and isinstance(job, Call):
                self._read(job)
        events += self._tell_unsaved(jobs)
        return events

    def _prepare(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            try:
                job.prepare(self._database.seal)
            except Exception as error:  # of one job; it must not take the others with it
                job.error = error

    def _change(self, jobs: Sequence[Job]) -> list[LoggedEvent]:
        if not jobs:
            return []
        if self._health.condition is Condition.FAILED:
            return self._refuse_all(jobs)
        try:
            return self._transaction(jobs)
        except Exception as error:  # what a Call raises is its own
            self._undo()
            return self._after(error, jobs)

    def _after(self, error: Exception, jobs: Sequence[Job]) -> list[LoggedEvent]:
        if not is_of_the_file(error):
            if len(jobs) == 1:
                jobs[0].error = error
                return []
            return [event for job in jobs for event in self._change([job])]
        self._health.failed(error)
        if is_out_of_room(error):
            rest = [job for job in jobs if not job.once]
            if rest and len(rest) < len(jobs):
                for job in jobs:
                    if job.once:
                        self._refuse(job)
                return self._change(rest)
        return self._refuse_all(jobs)

    def _transaction(self, jobs: Sequence[Job]) -> list[LoggedEvent]:
        database = self._database
        generation = database.generation
        try:
            database.begin()
            events = database.apply(jobs)
            began = time.monotonic()
            database.commit()
        except BaseException:
            database.not_kept(generation)
            raise
        self._counts.committed(len(jobs), time.monotonic() - began)
        database.kept(jobs, events)
        if any(job.once for job in jobs):
            self._health.worked()
        return events

    def _undo(self) -> None:
        try:
            self._database.rollback()
        except sqlite3.Error as error:
            self._health.failed(error)

    def _read(self, job: Call) -> None:
        try:
            job.value = job.run(self._database)
        except Exception as error:  # of this reader, unless it tells of the file
            if is_of_the_file(error):
                self._health.failed(error)
                error = QueueUnavailable(f"The journal cannot be read: {error}")
            job.error = error

    def _tell_unsaved(self, jobs: Sequence[Job]) -> list[LoggedEvent]:
        """Events of writes that are not durable: who follows now gets them all the same."""
        lost = [job for job in jobs if isinstance(job, End) and job.seq is None and job.error is not None]
        return self._database.unsaved(lost) if lost else []

    def _refuse_all(self, jobs: Sequence[Job]) -> list[LoggedEvent]:
        for job in jobs:
            self._refuse(job)
        return []

    def _refuse(self, job: Job) -> None:
        reason = self._health.reason or "the journal cannot be written"
        job.error = QueueUnavailable(f"Not kept: {reason}.")
        if isinstance(job, Insert):
            self._database.claims.void(job.write.id)
