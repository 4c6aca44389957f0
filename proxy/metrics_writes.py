"""The metrics of writes: rows of the table in `metrics.py`.

Gauges are absent where no route queues writes, and those of the journal where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from proxy.metric import Buckets, Kind, Label, Metric, Sample
from proxy.writes.states import FINAL, State
from proxy.writes.statistics import (
    BATCH_BOUNDS,
    COMMIT_BOUNDS_S,
    Condition,
    JournalStatistics,
    WritesStatistics,
)

if TYPE_CHECKING:
    from proxy.server.server import ServerStatistics

_ENDS = tuple(state for state in State if state in FINAL)


def _of_lanes(read: Callable[[WritesStatistics], float]) -> Callable[[ServerStatistics], list[Sample]]:
    return lambda server: [] if server.writes is None else [Sample(float(read(server.writes.lanes)))]


def _journal(server: ServerStatistics) -> JournalStatistics | None:
    return None if server.writes is None else server.writes.journal


def _of_journal(read: Callable[[JournalStatistics], float]) -> Callable[[ServerStatistics], list[Sample]]:
    def samples(server: ServerStatistics) -> list[Sample]:
        journal = _journal(server)
        return [] if journal is None else [Sample(float(read(journal)))]

    return samples


def _buckets(
    bounds: Iterable[float], read: Callable[[JournalStatistics], tuple[tuple[int, ...], float]]
) -> Callable[[ServerStatistics], list[Sample] | Buckets]:
    limits = tuple(map(float, bounds))

    def buckets(server: ServerStatistics) -> list[Sample] | Buckets:
        journal = _journal(server)
        if journal is None:
            return []
        counts, total = read(journal)
        return Buckets(limits, counts, total)

    return buckets


def _ended(server: ServerStatistics) -> list[Sample]:
    """Also those that are 0, as all that have a closed label."""
    ended = {} if server.writes is None else server.writes.lanes.ended
    return [Sample(ended.get(state, 0), state.value) for state in _ENDS]


WRITE_METRICS = (
    Metric(
        "lockgate_writes_total",
        Kind.COUNTER,
        "Queued writes that are over, by how they ended.",
        _ended,
        Label("state", tuple(state.value for state in _ENDS)),
    ),
    Metric(
        "lockgate_writes_refused_total",
        Kind.COUNTER,
        "Writes that were not taken in, since a lane or a queue held as many as it may.",
        _of_lanes(lambda lanes: lanes.refused),
    ),
    Metric(
        "lockgate_write_attempts_total",
        Kind.COUNTER,
        "Attempts to apply a write at its origin that were begun.",
        _of_lanes(lambda lanes: lanes.attempts),
    ),
    Metric(
        "lockgate_write_attempts_unknown_total",
        Kind.COUNTER,
        "Attempts of which nobody knows whether the origin applied the write.",
        _of_lanes(lambda lanes: lanes.unknown),
    ),
    Metric(
        "lockgate_writes_queued",
        Kind.GAUGE,
        "Writes that have not ended, those at the origin included.",
        _of_lanes(lambda lanes: lanes.queued),
    ),
    Metric(
        "lockgate_writes_running",
        Kind.GAUGE,
        "Writes that are being applied, under writes.max_running.",
        _of_lanes(lambda lanes: lanes.running),
    ),
    Metric(
        "lockgate_writes_resting",
        Kind.GAUGE,
        "Writes that hold their lanes and wait for their next attempt, or for an old one to be over.",
        _of_lanes(lambda lanes: lanes.resting),
    ),
    Metric(
        "lockgate_write_oldest_seconds",
        Kind.GAUGE,
        "Age of the oldest write at the head of a lane; a key that is stuck or paused raises this.",
        _of_lanes(lambda lanes: lanes.oldest_age_s),
    ),
    Metric(
        "lockgate_lane_depth",
        Kind.GAUGE,
        "Writes in the deepest lane, under writes.max_lane of its route.",
        _of_lanes(lambda lanes: lanes.deepest_lane),
    ),
    Metric(
        "lockgate_lanes_busy",
        Kind.GAUGE,
        "Entity keys with writes that have not ended.",
        _of_lanes(lambda lanes: lanes.busy_keys),
    ),
    Metric(
        "lockgate_lanes_paused",
        Kind.GAUGE,
        "Entity keys of which nothing is started: an operator paused them, or a dead letter halts them.",
        _of_lanes(lambda lanes: lanes.paused_keys),
    ),
    Metric(
        "lockgate_dead_letters",
        Kind.GAUGE,
        "Dead letters that are parked until an operator replays or discards them; absent without a journal.",
        _of_journal(lambda journal: journal.dead_letters),
    ),
    Metric(
        "lockgate_journal_alarm",
        Kind.GAUGE,
        "Journal: 1 while it takes no writes in because its disk failed or is full; the log says why.",
        _of_journal(lambda journal: journal.condition is not Condition.WORKING),
    ),
    Metric(
        "lockgate_journal_failures_total",
        Kind.COUNTER,
        "Journal: operations that the disk failed or had no room for.",
        _of_journal(lambda journal: journal.failures),
    ),
    Metric(
        "lockgate_journal_recovering",
        Kind.GAUGE,
        "Journal: 1 while writes that were left from before are on their way to their lanes.",
        _of_journal(lambda journal: journal.recovering),
    ),
    Metric(
        "lockgate_journal_writes",
        Kind.GAUGE,
        "Journal: writes that it keeps and that have not ended.",
        _of_journal(lambda journal: journal.durable),
    ),
    Metric(
        "lockgate_journal_body_bytes",
        Kind.GAUGE,
        "Bodies of all writes that have not ended, under writes.journal.max_bytes.",
        _of_journal(lambda journal: journal.queued_bytes),
    ),
    Metric(
        "lockgate_journal_commit_jobs",
        Kind.HISTOGRAM,
        "Journal: changes that one commit made durable.",
        _buckets(BATCH_BOUNDS, lambda journal: (journal.batch_sizes, journal.jobs)),
    ),
    Metric(
        "lockgate_journal_commit_seconds",
        Kind.HISTOGRAM,
        "Journal: time that a commit took, nearly all of it the disk's sync.",
        _buckets(COMMIT_BOUNDS_S, lambda journal: (journal.commit_times, journal.commit_seconds)),
    ),
    Metric(
        "lockgate_write_events_total",
        Kind.COUNTER,
        "Ends of writes that were told to whoever follows the log of events.",
        _of_journal(lambda journal: journal.events),
    ),
    Metric(
        "lockgate_write_event_followers",
        Kind.GAUGE,
        "Readers that follow the log of events.",
        _of_journal(lambda journal: journal.followers),
    ),
)
