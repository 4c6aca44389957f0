"""Every metric: name, kind, labels, one sentence, and where its value is read.

Nothing is counted for metrics alone: at a scrape `proxy.admin.exposition` reads the values from
`Server.statistics()`, so that requests pay nothing for them. Labels are members of closed enums or names
from the configuration, never anything that a client sends, so that the number of series is bounded.

`python -m proxy.metrics [DIRECTORY]` writes `docs/metrics.md` below a checkout (the current directory by
default); a test fails while it is out of date.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from proxy import __version__
from proxy.cache.disk.statistics import DiskStatistics
from proxy.coalesce.answer import Outcome
from proxy.coalesce.outcomes import Ending
from proxy.errors import ClientGone
from proxy.metric import Buckets, Kind, Label, Metric, Sample
from proxy.metrics_writes import WRITE_METRICS
from proxy.origin.statistics import OriginStatistics
from proxy.peers.statistics import PeerStatistics, Reply
from proxy.policy.purges import PurgeKind
from proxy.server.client_connection import State
from proxy.server.ledger import WAIT_BOUNDS_S

if TYPE_CHECKING:
    from proxy.server.server import ServerStatistics

Member = TypeVar("Member", bound=StrEnum)

METRICS_PAGE = Path("docs/metrics.md")


def _one(read: Callable[[ServerStatistics], float]) -> Callable[[ServerStatistics], list[Sample]]:
    return lambda server: [Sample(read(server))]


def _of_disk(read: Callable[[DiskStatistics], float]) -> Callable[[ServerStatistics], list[Sample]]:
    """Absent without a disk tier."""
    return lambda server: [] if server.proxy.disk is None else [Sample(float(read(server.proxy.disk)))]


def _each_way(server: ServerStatistics) -> list[Sample]:
    """Absent where the gate is switched off."""
    gate = server.proxy.gate
    return [] if gate is None else [Sample(gate.known, "known"), Sample(gate.parsed, "parsed")]


def _each_compression(server: ServerStatistics) -> list[Sample]:
    compressor = server.proxy.compressor
    return [Sample(getattr(compressor, result), result) for result in _COMPRESSION.values]


def _each_origin(read: Callable[[OriginStatistics], float]) -> Callable[[ServerStatistics], list[Sample]]:
    return lambda server: [Sample(read(origin), name) for name, origin in server.origins.items()]


def _each_member(
    read: Callable[[ServerStatistics], Mapping[Member, int]], members: Iterable[Member]
) -> Callable[[ServerStatistics], list[Sample]]:
    """Also those that are 0: a series that appears with its first event has no rate for it."""
    known = tuple(members)

    def samples(server: ServerStatistics) -> list[Sample]:
        counts = read(server)
        return [Sample(counts.get(member, 0), member.value) for member in known]

    return samples


def _of_peers(
    read: Callable[[PeerStatistics], Mapping[Member, int]], members: Iterable[Member]
) -> Callable[[ServerStatistics], list[Sample]]:
    """Nothing where there is one worker."""
    return _each_member(lambda server: {} if server.peers is None else read(server.peers), members)


def status_label(status: int) -> str:
    """The status where it is registered, else its class: an origin must not make series at will."""
    if status in _REGISTERED:
        return str(status)
    return f"{status // 100}xx" if 100 <= status < 600 else "other"


_REGISTERED = frozenset({*HTTPStatus, ClientGone.status})


def _statuses(server: ServerStatistics) -> list[Sample]:
    counts: Counter[str] = Counter()
    for status, count in server.proxy.exchanges.statuses.items():
        counts[status_label(status)] += count
    return [Sample(count, label) for label, count in sorted(counts.items())]


def _waits(server: ServerStatistics) -> Buckets:
    exchanges = server.proxy.exchanges
    return Buckets(WAIT_BOUNDS_S, exchanges.wait_buckets, exchanges.wait_sum_s)


def _leak_ratio(server: ServerStatistics) -> list[Sample]:
    return [] if server.leak_ratio is None else [Sample(server.leak_ratio)]


def _lines_lost(server: ServerStatistics) -> list[Sample]:
    return [] if server.access_log is None else [Sample(server.access_log.lost)]


_OPEN_STATES: tuple[State, ...] = tuple(state for state in State if state is not State.CLOSED)

_ORIGIN = Label("origin", "name of the origin")
_OUTCOME = Label("outcome", tuple(outcome.value for outcome in Outcome))
_STATUS = Label("status", "registered status, or its class (`5xx`)")
_ENDING = Label("ending", tuple(ending.value for ending in Ending))
_PURGE_KIND = Label("kind", tuple(kind.value for kind in PurgeKind))
_WAY = Label("way", ("known", "parsed"))
_COMPRESSION = Label("result", ("served", "joined", "compressed", "unchanged", "failed", "refused"))
_REPLY = Label("reply", tuple(reply.value for reply in Reply))
_STATE = Label("state", tuple(state.value for state in _OPEN_STATES))
_VERSION = Label("version", "version of Lockgate")

METRICS = (
    Metric(
        "lockgate_requests_total",
        Kind.COUNTER,
        "Exchanges that are over, by what became of them; each has one outcome.",
        _each_member(lambda server: server.proxy.exchanges.outcomes, Outcome),
        _OUTCOME,
    ),
    Metric(
        "lockgate_responses_total",
        Kind.COUNTER,
        "Exchanges that are over, by the status that was sent; 499 where the client left before.",
        _statuses,
        _STATUS,
    ),
    Metric(
        "lockgate_aborted_total",
        Kind.COUNTER,
        "Exchanges whose client did not get the whole answer: it left, or the answer had to be cut.",
        _one(lambda server: server.proxy.exchanges.aborted),
    ),
    Metric(
        "lockgate_sent_bytes_total",
        Kind.COUNTER,
        "Octets of bodies written to clients, without heads and chunk framing.",
        _one(lambda server: server.proxy.exchanges.sent_bytes),
    ),
    Metric(
        "lockgate_forward_requests_total",
        Kind.COUNTER,
        "Requests meant for an origin, including those that found no slot in its queue.",
        _each_origin(lambda origin: origin.requests),
        _ORIGIN,
    ),
    Metric(
        "lockgate_leak_ratio",
        Kind.GAUGE,
        "lockgate_shareable_fetches_total divided by lockgate_shareable_requests_total, since the start: "
        "1 is a proxy that shares nothing, 0.001 one fetch for a thousand clients; absent before the first.",
        _leak_ratio,
    ),
    Metric(
        "lockgate_shareable_fetches_total",
        Kind.COUNTER,
        "Answers of origins whose head allowed sharing (fresh, or for those who waited), 304 and fetches "
        "behind a stale answer included; requests that were passed through untouched are not judged.",
        _one(lambda server: server.proxy.flights.shareable_fetches),
    ),
    Metric(
        "lockgate_shareable_requests_total",
        Kind.COUNTER,
        "Exchanges that were answered with such an answer, be it stored, joined or just fetched.",
        _one(lambda server: server.proxy.exchanges.shareable),
    ),
    Metric(
        "lockgate_flights_total",
        Kind.COUNTER,
        "Flights that are over, by how they ended.",
        _each_member(lambda server: server.proxy.flights.endings, Ending),
        _ENDING,
    ),
    Metric(
        "lockgate_flights_running",
        Kind.GAUGE,
        "Flights in progress, from asking to the last octet of the body.",
        _one(lambda server: server.proxy.flights.running),
    ),
    Metric(
        "lockgate_flight_waiters",
        Kind.GAUGE,
        "Exchanges that joined another's flight and are not over.",
        _one(lambda server: server.proxy.flights.waiters),
    ),
    Metric(
        "lockgate_flight_wait_seconds",
        Kind.HISTOGRAM,
        "Time from the arrival of collapsed and released exchanges to the head of their answer.",
        _waits,
    ),
    Metric(
        "lockgate_flight_oldest_seconds",
        Kind.GAUGE,
        "Age of the oldest flight whose head has not come; a hung origin raises this before any error.",
        _one(lambda server: server.proxy.flights.oldest_s),
    ),
    Metric(
        "lockgate_store_bytes",
        Kind.GAUGE,
        "Memory tier: bodies, heads and bookkeeping of what is stored.",
        _one(lambda server: server.proxy.memory.stored_bytes),
    ),
    Metric(
        "lockgate_store_limit_bytes",
        Kind.GAUGE,
        "Memory tier: cache.max_bytes.",
        _one(lambda server: server.proxy.memory.max_bytes),
    ),
    Metric(
        "lockgate_store_entries",
        Kind.GAUGE,
        "Memory tier: responses stored, each variant by itself.",
        _one(lambda server: server.proxy.memory.entries),
    ),
    Metric(
        "lockgate_stores_total",
        Kind.COUNTER,
        "Memory tier: responses that were stored.",
        _one(lambda server: server.proxy.memory.stores),
    ),
    Metric(
        "lockgate_evictions_total",
        Kind.COUNTER,
        "Memory tier: responses that went to make room for others.",
        _one(lambda server: server.proxy.memory.evictions),
    ),
    Metric(
        "lockgate_too_large_total",
        Kind.COUNTER,
        "Memory tier: responses that were not stored for their size.",
        _one(lambda server: server.proxy.memory.too_large),
    ),
    Metric(
        "lockgate_compressions_total",
        Kind.COUNTER,
        "Stored bodies wanted in a coding: served from what is kept, joined to a job that ran, compressed, "
        "or given as they are: they did not shrink (unchanged), the encoder failed, no room (refused).",
        _each_compression,
        _COMPRESSION,
    ),
    Metric(
        "lockgate_compression_jobs",
        Kind.GAUGE,
        "Bodies that are being compressed, or wait for a thread.",
        _one(lambda server: server.proxy.compressor.running),
    ),
    Metric(
        "lockgate_compression_store_bytes",
        Kind.GAUGE,
        "Compressed bodies that are kept, and bookkeeping.",
        _one(lambda server: server.proxy.compressor.kept_bytes),
    ),
    Metric(
        "lockgate_compression_input_bytes_total",
        Kind.COUNTER,
        "Octets of bodies that were compressed, as they were.",
        _one(lambda server: server.proxy.compressor.input_bytes),
    ),
    Metric(
        "lockgate_compression_output_bytes_total",
        Kind.COUNTER,
        "Octets of the same bodies as they are now.",
        _one(lambda server: server.proxy.compressor.output_bytes),
    ),
    Metric(
        "lockgate_disk_entries",
        Kind.GAUGE,
        "Disk tier: responses stored, as far as its index knows.",
        _of_disk(lambda disk: disk.entries),
    ),
    Metric(
        "lockgate_disk_bytes",
        Kind.GAUGE,
        "Disk tier: space that its files take.",
        _of_disk(lambda disk: disk.allocated_bytes),
    ),
    Metric(
        "lockgate_disk_limit_bytes",
        Kind.GAUGE,
        "Disk tier: cache.disk.max_bytes, or less where the file system has less room.",
        _of_disk(lambda disk: disk.max_bytes),
    ),
    Metric(
        "lockgate_disk_index_complete",
        Kind.GAUGE,
        "Disk tier: 1 when its index knows every file, 0 while it is rebuilt after a start.",
        _of_disk(lambda disk: disk.index_complete),
    ),
    Metric(
        "lockgate_disk_hits_total",
        Kind.COUNTER,
        "Disk tier: responses found there that memory had not.",
        _of_disk(lambda disk: disk.hits),
    ),
    Metric(
        "lockgate_disk_stores_total",
        Kind.COUNTER,
        "Disk tier: responses written.",
        _of_disk(lambda disk: disk.stores),
    ),
    Metric(
        "lockgate_disk_evictions_total",
        Kind.COUNTER,
        "Disk tier: responses that went to make room for others.",
        _of_disk(lambda disk: disk.evictions),
    ),
    Metric(
        "lockgate_disk_not_written_total",
        Kind.COUNTER,
        "Disk tier: responses that were not written, as too much was waiting or the tier rested.",
        _of_disk(lambda disk: disk.queue_full + disk.unavailable),
    ),
    Metric(
        "lockgate_disk_dropped_total",
        Kind.COUNTER,
        "Disk tier: files that were torn, damaged, outdated or foreign, and were not served.",
        _of_disk(lambda disk: sum(disk.dropped.values())),
    ),
    Metric(
        "lockgate_disk_failures_total",
        Kind.COUNTER,
        "Disk tier: readings and writings that the disk failed.",
        _of_disk(lambda disk: disk.read_failures + disk.write_failures),
    ),
    Metric(
        "lockgate_disk_alarm",
        Kind.GAUGE,
        "Disk tier: 1 while it rests because the disk failed or is full; the log says why.",
        _of_disk(lambda disk: disk.alarm is not None),
    ),
    Metric(
        "lockgate_purges_total",
        Kind.COUNTER,
        "Purges, by what named the things to purge; invalidation is a write that went through.",
        _each_member(lambda server: server.proxy.purges.purges, PurgeKind),
        _PURGE_KIND,
    ),
    Metric(
        "lockgate_purged_entries_total",
        Kind.COUNTER,
        "Responses that purges removed or made stale.",
        _one(lambda server: server.proxy.purges.entries),
    ),
    Metric(
        "lockgate_purges_pending",
        Kind.GAUGE,
        "Purges that hold already, and whose responses are still being removed.",
        _one(lambda server: server.proxy.purges.pending),
    ),
    Metric(
        "lockgate_refreshes_total",
        Kind.COUNTER,
        "Flights that were started to refresh a popular response before it expired (cache.refresh_ahead).",
        _one(lambda server: server.proxy.refreshed),
    ),
    Metric(
        "lockgate_gate_answers_total",
        Kind.COUNTER,
        "Hits that were answered at the gate: to a head known in what matters, or to one that was parsed.",
        _each_way,
        _WAY,
    ),
    Metric(
        "lockgate_connections",
        Kind.GAUGE,
        "Client connections that are open, by what they do.",
        _each_member(lambda server: server.connections, _OPEN_STATES),
        _STATE,
    ),
    Metric(
        "lockgate_connections_accepted_total",
        Kind.COUNTER,
        "Client connections accepted, including those turned away.",
        _one(lambda server: server.accepted),
    ),
    Metric(
        "lockgate_connections_turned_away_total",
        Kind.COUNTER,
        "Client connections closed at once for limits.max_connections or max_connections_per_client.",
        _one(lambda server: server.turned_away),
    ),
    Metric(
        "lockgate_owner_questions_total",
        Kind.COUNTER,
        "Requests that a worker asked of the worker which owns the key, by its reply: no forward requests; "
        "what was declined or lost is asked of the next worker or of the origin.",
        _of_peers(lambda peers: peers.questions, Reply),
        _REPLY,
    ),
    Metric(
        "lockgate_owner_answers_total",
        Kind.COUNTER,
        "Questions of other workers that are over, by what became of them at the owner; they are not among "
        "lockgate_requests_total.",
        _of_peers(lambda peers: peers.answers, Outcome),
        _OUTCOME,
    ),
    Metric(
        "lockgate_owners_unreachable",
        Kind.GAUGE,
        "Workers that another one asks nothing, since they do not answer; each pair counts.",
        _one(lambda server: 0 if server.peers is None else server.peers.unreachable),
    ),
    *WRITE_METRICS,
    Metric(
        "lockgate_origin_outstanding",
        Kind.GAUGE,
        "Requests at the origin now, under its max_concurrency.",
        _each_origin(lambda origin: origin.outstanding),
        _ORIGIN,
    ),
    Metric(
        "lockgate_origin_queued",
        Kind.GAUGE,
        "Requests that wait for a slot at the origin.",
        _each_origin(lambda origin: origin.queued),
        _ORIGIN,
    ),
    Metric(
        "lockgate_origin_queue_refused_total",
        Kind.COUNTER,
        "Requests that got no slot: the queue was full, or they waited above queue_timeout_s.",
        _each_origin(lambda origin: origin.queue_refused),
        _ORIGIN,
    ),
    Metric(
        "lockgate_origin_retries_total",
        Kind.COUNTER,
        "Requests sent a second time because a kept connection had died.",
        _each_origin(lambda origin: origin.retries),
        _ORIGIN,
    ),
    Metric(
        "lockgate_origin_connects_total",
        Kind.COUNTER,
        "Connections opened to the origin.",
        _each_origin(lambda origin: origin.connects),
        _ORIGIN,
    ),
    Metric(
        "lockgate_origin_connect_failures_total",
        Kind.COUNTER,
        "Connections to the origin that could not be opened.",
        _each_origin(lambda origin: origin.connect_failures),
        _ORIGIN,
    ),
    Metric(
        "lockgate_origin_idle_connections",
        Kind.GAUGE,
        "Connections kept for the next request.",
        _each_origin(lambda origin: origin.idle_connections),
        _ORIGIN,
    ),
    Metric(
        "lockgate_origin_addresses_left_out",
        Kind.GAUGE,
        "Addresses of the origin that get no requests for a while, after failures.",
        _each_origin(lambda origin: len(origin.left_out)),
        _ORIGIN,
    ),
    Metric(
        "lockgate_access_log_lost_lines_total",
        Kind.COUNTER,
        "Lines of the access log that could not be written; absent where there is no access log.",
        _lines_lost,
    ),
    Metric(
        "lockgate_draining",
        Kind.GAUGE,
        "1 from the moment the end was announced, else 0.",
        _one(lambda server: server.draining),
    ),
    Metric(
        "lockgate_uptime_seconds",
        Kind.GAUGE,
        "Time since the start.",
        _one(lambda server: server.uptime_s),
    ),
    Metric(
        "lockgate_build_info",
        Kind.GAUGE,
        "Always 1; the label tells the version.",
        lambda _server: [Sample(1, __version__)],
        _VERSION,
    ),
)


_PAGE_HEAD = """\
# Metrics

<!-- Made from proxy/metrics.py by `python -m proxy.metrics`; edit there. -->

The admin listener serves these at `/metrics`, in the text format of Prometheus or in OpenMetrics, as the
scraper asks. Values are read when they are asked for; counters count from the start of the process.
`/statistics` has the same and more as JSON.

The label values are closed sets or names from the configuration; nothing that a client sends becomes one.
Beside these there are `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds` and
the rest of what the Prometheus client tells of a process.

Worth an alarm: `lockgate_flight_oldest_seconds` above the origin's usual time, a rising
`rate(lockgate_shareable_fetches_total[5m]) / rate(lockgate_shareable_requests_total[5m])`, and any rate of
`lockgate_requests_total{outcome="failed"}`. Of writes: `lockgate_journal_alarm`, `lockgate_dead_letters` and
`lockgate_lanes_paused` above 0, and `lockgate_write_oldest_seconds` above what a client may wait.

| metric | kind | label | |
| --- | --- | --- | --- |
"""


def metrics_page() -> str:
    """The Markdown page: a row for each metric."""
    return _PAGE_HEAD + "".join(
        f"| `{metric.name}` | {metric.kind} | {_described(metric.label)} | {metric.sentence} |\n"
        for metric in METRICS
    )


def _described(label: Label | None) -> str:
    if label is None:
        return ""
    values = label.values if isinstance(label.values, str) else ", ".join(f"`{one}`" for one in label.values)
    return f"`{label.name}`: {values}"


def main(arguments: list[str]) -> int:
    """Write the page below the directory named, or the current one."""
    path = (Path(arguments[0]) if arguments else Path()) / METRICS_PAGE
    path.parent.mkdir(exist_ok=True)
    path.write_text(metrics_page(), encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
