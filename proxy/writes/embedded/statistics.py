"""What is counted of the journal. The writer thread counts; a reader may see one count before another."""

from __future__ import annotations

from bisect import bisect_left

from proxy.writes.statistics import BATCH_BOUNDS, COMMIT_BOUNDS_S


class CommitCounts:
    """Of the transactions of one journal."""

    def __init__(self) -> None:
        self.transactions = 0
        self.jobs = 0
        self.commit_seconds = 0.0
        self.batch_sizes = [0] * (len(BATCH_BOUNDS) + 1)
        self.commit_times = [0] * (len(COMMIT_BOUNDS_S) + 1)

    def committed(self, jobs: int, seconds: float) -> None:
        """A transaction with so many jobs became durable in so much time."""
        self.transactions += 1
        self.jobs += jobs
        self.commit_seconds += seconds
        self.batch_sizes[bisect_left(BATCH_BOUNDS, jobs)] += 1
        self.commit_times[bisect_left(COMMIT_BOUNDS_S, seconds)] += 1
