"""The ledger: every exchange is counted once and logged once, when it is over.

Counters add up: `requests` is the sum over the outcomes, and `tests/server/test_ledger.py` says so.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from proxy.coalesce.answer import Outcome
from proxy.server.exchange import Exchange

WAIT_BOUNDS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the wait histogram's buckets; the last bucket has none."""


@dataclass(frozen=True, slots=True)
class LedgerStatistics:
    """Counters since the start.

    `wait_buckets` counts waits per bucket of `WAIT_BOUNDS_S`, one more for longer ones; not cumulative.
    """

    requests: int
    outcomes: dict[Outcome, int]
    statuses: dict[int, int]
    sent_bytes: int
    aborted: int
    wait_buckets: tuple[int, ...]
    wait_sum_s: float


class Ledger:
    """Counts and logs exchanges."""

    def __init__(self, *, enabled: bool, path: Path | None, out: TextIO) -> None:
        self._enabled = enabled
        self._path = path
        self._out = out
        self._outcomes: Counter[Outcome] = Counter()
        self._statuses: Counter[int] = Counter()
        self._sent_bytes = self._aborted = 0
        self._wait_buckets = [0] * (len(WAIT_BOUNDS_S) + 1)
        self._wait_sum_s = 0.0
        self.reopen()

    def reopen(self) -> None:
        """Open the log file again, after it was moved away."""
        if self._enabled and self._path is not None:
            # Line-buffered appends: a line is whole on disk when its exchange is over.
            self._out = open(self._path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115

    def statistics(self) -> LedgerStatistics:
        """Counters since the start."""
        return LedgerStatistics(
            requests=self._outcomes.total(),
            outcomes={outcome: self._outcomes[outcome] for outcome in Outcome},
            statuses=dict(self._statuses),
            sent_bytes=self._sent_bytes,
            aborted=self._aborted,
            wait_buckets=tuple(self._wait_buckets),
            wait_sum_s=self._wait_sum_s,
        )

    def record(self, exchange: Exchange, *, now_mono: float) -> None:
        """The exchange is over."""
        self._outcomes[exchange.outcome] += 1
        self._statuses[exchange.writer.status] += 1
        self._sent_bytes += exchange.writer.sent_bytes
        self._aborted += exchange.aborted
        if exchange.outcome in (Outcome.COLLAPSED, Outcome.RELEASED):
            self._wait_buckets[bisect_left(WAIT_BOUNDS_S, exchange.wait_s)] += 1
            self._wait_sum_s += exchange.wait_s
        if self._enabled:
            self._out.write(_line(exchange, now_mono))


def _line(exchange: Exchange, now_mono: float) -> str:
    request = exchange.request
    line: dict[str, object] = {
        "time": datetime.fromtimestamp(exchange.started_at, UTC).isoformat(timespec="milliseconds"),
        "client": exchange.client,
        "method": request.method if request is not None else None,
        "host": request.authority.decode("latin-1") if request is not None else None,
        "target": request.target.decode("latin-1") if request is not None else None,
        "status": exchange.writer.status,
        "bytes": exchange.writer.sent_bytes,
        "outcome": exchange.outcome.value,
        "duration_s": round(now_mono - exchange.started_mono, 6),
        "wait_s": round(exchange.wait_s, 6),
        "origin_s": round(exchange.origin_s, 6),
        "role": exchange.role.value if exchange.role is not None else None,
        "route": exchange.route,
    }
    if exchange.aborted:
        line["aborted"] = True
    if exchange.reason:
        line["reason"] = exchange.reason
    return json.dumps(line, separators=(",", ":")) + "\n"
