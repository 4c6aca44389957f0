"""The ledger: every exchange is counted once and logged once, when it is over.

Counters add up: `requests` is the sum over the outcomes, and tests/server/test_ledger.py says so.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

from proxy.coalesce.answer import Outcome
from proxy.errors import ClientGone
from proxy.http.messages import RequestHead
from proxy.server.access_log import AccessLog
from proxy.server.exchange import Exchange

WAIT_BOUNDS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the wait histogram's buckets; the last bucket has none."""


@dataclass(frozen=True, slots=True)
class LedgerStatistics:
    """Counters since the start.

    `statuses` has 499 for exchanges whose client left before a head was sent. `shareable` counts exchanges
    that were answered with what may be shared. `wait_buckets` counts the waits of collapsed and released
    exchanges per bucket of `WAIT_BOUNDS_S`, one more for longer ones; not cumulative.
    """

    requests: int
    outcomes: dict[Outcome, int]
    statuses: dict[int, int]
    sent_bytes: int
    aborted: int
    shareable: int
    wait_buckets: tuple[int, ...]
    wait_sum_s: float


class Ledger:
    """Counts exchanges, and logs them where there is a log."""

    def __init__(self, log: AccessLog | None, *, hit_share: float = 1.0) -> None:
        """`hit_share` of the fresh hits are logged."""
        self._log = log
        self._hit_share = hit_share
        self._hits_due = 0.0
        self._outcomes: Counter[Outcome] = Counter()
        self._statuses: Counter[int] = Counter()
        self._sent_bytes = self._aborted = self._shareable = 0
        self._wait_buckets = [0] * (len(WAIT_BOUNDS_S) + 1)
        self._wait_sum_s = 0.0
        self._told_at, self._told_before = -math.inf, ""
        self._book_late: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<Ledger {self._outcomes.total()} requests>"

    @property
    def is_logging(self) -> bool:
        """Whether there is an access log."""
        return self._log is not None

    def book_before_reading(self, book: Callable[[], None]) -> None:
        """Call this before the counters are read: it books what was counted elsewhere."""
        self._book_late.append(book)

    def book_no_more(self, book: Callable[[], None]) -> None:
        """What it counted is booked, and there will be no more."""
        self._book_late.remove(book)

    def statistics(self) -> LedgerStatistics:
        """Counters since the start."""
        for book in self._book_late:
            book()
        return LedgerStatistics(
            requests=self._outcomes.total(),
            outcomes={outcome: self._outcomes[outcome] for outcome in Outcome},
            statuses=dict(self._statuses),
            sent_bytes=self._sent_bytes,
            aborted=self._aborted,
            shareable=self._shareable,
            wait_buckets=tuple(self._wait_buckets),
            wait_sum_s=self._wait_sum_s,
        )

    def record(self, exchange: Exchange, *, now_mono: float) -> None:
        """The exchange is over."""
        self._outcomes[exchange.outcome] += 1
        self._statuses[exchange.writer.status or ClientGone.status] += 1
        self._sent_bytes += exchange.writer.sent_bytes
        self._aborted += exchange.aborted
        self._shareable += exchange.shareable
        if exchange.outcome in (Outcome.COLLAPSED, Outcome.RELEASED):
            self._wait_buckets[bisect_left(WAIT_BOUNDS_S, exchange.wait_s)] += 1
            self._wait_sum_s += exchange.wait_s
        if self._log is not None and (exchange.outcome is not Outcome.HIT or self._is_hit_due()):
            self._log.write(access_line(exchange, now_mono=now_mono))

    def _is_hit_due(self) -> bool:
        """Whether this hit is one of the share that is logged."""
        self._hits_due += self._hit_share
        if self._hits_due < 1.0:
            return False
        self._hits_due -= 1.0
        return True

    def record_again(self, exchange: Exchange, times: int) -> None:
        """So many exchanges more were over that had the same answer as this one, without waiting."""
        self._outcomes[exchange.outcome] += times
        self._statuses[exchange.writer.status] += times
        self._sent_bytes += exchange.writer.sent_bytes * times
        self._shareable += exchange.shareable * times

    def tell_again(self, told: str, *, client: str, at: float) -> None:
        """Log one of them, if it is its turn; `told` is its line behind the client."""
        assert self._log is not None, "only where there is a log"
        if self._hit_share != 1.0 and not self._is_hit_due():
            return
        if at - self._told_at >= 0.0005 or at < self._told_at:  # many in one millisecond begin alike
            self._told_at, self._told_before = at, _before_client(at)
        self._log.write(f"{self._told_before}{quoted(client)}{told}")


def access_line(exchange: Exchange, *, now_mono: float) -> str:
    """The exchange as a line of JSON in ASCII.

    Put together by hand, as this is on the way of each request: 3 µs, where json.dumps of a dict with a
    formatted date takes 11. Everything that comes from outside is quoted by the JSON library, so that no
    target can end the line or colour a terminal; octets that are not UTF-8 are written `\\xNN`.
    """
    client = f"{_before_client(exchange.started_at)}{quoted(exchange.client)}"
    return client + told_behind_client(exchange, duration_s=now_mono - exchange.started_mono)


def _before_client(at: float) -> str:
    whole_s = int(at)
    return f'{{"time":"{_second(whole_s)}.{int((at - whole_s) * 1000):03d}Z","client":'


def told_behind_client(exchange: Exchange, *, duration_s: float) -> str:
    """The exchange's line behind the client, with its end."""
    prepared = exchange.prepared
    if prepared is None:
        asked = _asked(exchange.request)
    else:
        asked = prepared.asked
        if not asked:
            asked = prepared.asked = _asked(prepared.request)
    writer = exchange.writer
    return (
        f",{asked},"
        f'"status":{writer.status or ClientGone.status},"bytes":{writer.sent_bytes},'
        f'"outcome":"{exchange.outcome}",'
        f'"duration_s":{_seconds(duration_s)},'
        f'"wait_s":{_seconds(exchange.wait_s)},"origin_s":{_seconds(exchange.origin_s)},'
        f'"role":{_text_or_null(exchange.role)},"route":{_text_or_null(exchange.route)}'
        f"{_troubles(exchange)}}}\n"
    )


def _asked(request: RequestHead | None) -> str:
    if request is None:
        return '"method":null,"host":null,"target":null'
    host, target = _text(request.authority), _text(request.target)
    return f'"method":{quoted(request.method)},"host":{quoted(host)},"target":{quoted(target)}'


def _text_or_null(text: str | None) -> str:
    return quoted(text) if text else "null"


def _troubles(exchange: Exchange) -> str:
    if not exchange.aborted and not exchange.reason:
        return ""
    aborted = ',"aborted":true' if exchange.aborted else ""
    return f'{aborted},"reason":{quoted(exchange.reason)}' if exchange.reason else aborted


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def _seconds(value: float) -> str:
    return f"{value:.6f}" if value else "0"


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")
