"""Counts of transactions by bucket."""

from __future__ import annotations

import pytest

from proxy.writes.embedded.statistics import CommitCounts
from proxy.writes.statistics import BATCH_BOUNDS, COMMIT_BOUNDS_S


@pytest.mark.parametrize(("jobs", "bucket"), [(1, 0), (2, 1), (3, 2), (4, 2), (512, 9), (513, 10)])
def test_a_batch_is_counted_in_the_bucket_whose_upper_end_it_does_not_pass(jobs: int, bucket: int) -> None:
    counts = CommitCounts()
    counts.committed(jobs, 0.0006)
    assert counts.batch_sizes.index(1) == bucket
    assert counts.commit_times.index(1) == 1
    assert (len(counts.batch_sizes), len(counts.commit_times)) == (
        len(BATCH_BOUNDS) + 1,
        len(COMMIT_BOUNDS_S) + 1,
    )
    assert (counts.transactions, counts.jobs, counts.commit_seconds) == (1, jobs, 0.0006)
