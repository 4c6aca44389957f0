from __future__ import annotations

import dataclasses

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.admin.exposition import Exposition
from proxy.compression.compressor import CompressorStatistics
from proxy.config.settings import Config
from proxy.metric import Kind
from proxy.metrics import METRICS
from proxy.server.server import Server


@pytest.fixture
async def server() -> Server:
    """One that has not started: the table can be read before the first request."""
    return Server(
        Config.model_validate(
            {
                "admin": {"enabled": False},
                "origins": {"shop": {"addresses": ["http://127.0.0.1:9"]}},
                "routes": [{"origin": "shop"}],
            }
        )
    )


def families_of(text: bytes) -> dict[str, object]:
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


async def test_every_metric_of_the_table_is_exposed_with_its_kind_and_sentence(server: Server) -> None:
    text, _ = Exposition(server.statistics).rendered()

    for metric in METRICS:
        assert f"# HELP {metric.name} {metric.sentence}\n" in text.decode()
        assert f"# TYPE {metric.name} {metric.kind}\n" in text.decode()


async def test_nothing_is_exposed_that_the_table_does_not_declare(server: Server) -> None:
    text, _ = Exposition(server.statistics).rendered()

    declared = {
        metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name
        for metric in METRICS
    }
    assert {name for name in families_of(text) if not name.startswith("process_")} == declared


async def test_labels_with_closed_values_are_there_before_their_first_event(server: Server) -> None:
    text = Exposition(server.statistics).rendered()[0].decode()

    for metric in METRICS:
        if metric.label is not None and not isinstance(metric.label.values, str):
            for value in metric.label.values:
                assert f'{metric.name}{{{metric.label.name}="{value}"}} 0.0\n' in text


async def test_the_process_tells_its_cpu_time_and_memory(server: Server) -> None:
    names = families_of(Exposition(server.statistics).rendered()[0])

    assert {"process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds"} <= set(names)


async def test_the_format_is_the_one_that_the_scraper_accepts(server: Server) -> None:
    exposition = Exposition(server.statistics)

    plain, plain_type = exposition.rendered(accept="text/plain;version=0.0.4")
    open_metrics, open_type = exposition.rendered(accept="application/openmetrics-text; version=1.0.0")

    assert plain_type.startswith("text/plain; version=0.0.4")
    assert open_type.startswith("application/openmetrics-text")
    assert open_metrics.endswith(b"# EOF\n")
    assert not plain.endswith(b"# EOF\n")


async def test_a_scraper_may_name_what_it_wants(server: Server) -> None:
    text, _ = Exposition(server.statistics).rendered(names=["lockgate_uptime_seconds"])

    assert list(families_of(text)) == ["lockgate_uptime_seconds"]


def test_every_result_of_the_compressor_has_its_series() -> None:
    counted = {field.name for field in dataclasses.fields(CompressorStatistics)}
    told = next(metric for metric in METRICS if metric.name == "lockgate_compressions_total")
    assert told.label is not None
    others = {"running", "kept", "kept_bytes", "input_bytes", "output_bytes"}
    assert set(told.label.values) == counted - others
