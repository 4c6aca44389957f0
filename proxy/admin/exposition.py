"""The metrics table as Prometheus scrapes it: the one place that knows its client library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, cast

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from proxy.metric import Buckets, Kind, Metric, Sample
from proxy.metrics import METRICS

if TYPE_CHECKING:
    from proxy.server.server import ServerStatistics

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

_FAMILIES: dict[Kind, type[Family]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}


class Exposition:
    """What `/metrics` shows: the table, and the process's CPU time, memory and files."""

    def __init__(self, statistics: Callable[[], ServerStatistics]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_ServerCollector(statistics))
        ProcessCollector(registry=self._registry)

    def rendered(self, *, accept: str = "", names: Sequence[str] = ()) -> tuple[bytes, str]:
        """Text and its content type, in the format that `accept` asks for; only `names` if there are any."""
        registry: Collector = self._registry
        if names:
            registry = cast(Collector, self._registry.restricted_registry(names))
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type


class _ServerCollector(Collector):
    """Reads the table from a server's statistics whenever it is scraped."""

    def __init__(self, statistics: Callable[[], ServerStatistics]) -> None:
        self._statistics = statistics

    def describe(self) -> Iterator[Family]:
        """The families without values: registering must not read a server that has not started."""
        return map(_family, METRICS)

    def collect(self) -> Iterator[Family]:
        """The families with values as of now."""
        statistics = self._statistics()
        for metric in METRICS:
            family = _family(metric)
            _fill(family, metric.read(statistics))
            yield family


def _family(metric: Metric) -> Family:
    labels = [] if metric.label is None else [metric.label.name]
    return _FAMILIES[metric.kind](metric.name, metric.sentence, labels=labels)


def _fill(family: Family, reading: Iterable[Sample] | Buckets) -> None:
    if isinstance(reading, Buckets):
        assert isinstance(family, HistogramMetricFamily), f"{family.name} has buckets and is no histogram"
        names = (*(str(bound) for bound in reading.bounds), "+Inf")
        cumulative = zip(names, accumulate(reading.counts), strict=True)
        family.add_metric([], [(name, float(count)) for name, count in cumulative], reading.total)
        return
    for sample in reading:
        assert not isinstance(family, HistogramMetricFamily), f"{family.name} is a histogram without buckets"
        family.add_metric([] if sample.label is None else [sample.label], sample.value)
