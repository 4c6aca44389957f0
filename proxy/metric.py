"""One metric: what it is called, what it is, and where its value is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.server.server import ServerStatistics


class Kind(StrEnum):
    """Of a metric, as Prometheus names them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Label:
    """A label and all values that it can have, or in one word whose names they are."""

    name: str
    values: tuple[str, ...] | str


@dataclass(frozen=True, slots=True)
class Sample:
    """A value, and the label's value where the metric has a label."""

    value: float
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Buckets:
    """Counts per bucket, not cumulative; one more than there are bounds."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table."""

    name: str
    kind: Kind
    sentence: str
    read: Callable[[ServerStatistics], Iterable[Sample] | Buckets]
    label: Label | None = None
