"""What `/metrics` shows of writes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.admin.exposition import Exposition
from proxy.config.settings import Config
from proxy.metrics import METRICS
from proxy.metrics_writes import WRITE_METRICS
from proxy.server.server import Server, ServerStatistics
from proxy.writes.orders import PauseKey
from proxy.writes.statistics import Condition, WritesServerStatistics
from tests.writes.desked import REFUSES, desked

ROOT = Path(__file__).parents[1]
CONFIG = {
    "admin": {"enabled": False},
    "origins": {"shop": {"addresses": ["http://127.0.0.1:9"]}},
    "routes": [{"origin": "shop"}],
}


@pytest.fixture
async def nothing() -> ServerStatistics:
    server = Server(Config.model_validate(CONFIG))
    statistics = server.statistics()
    await server.close()
    return dataclasses.replace(statistics, writes=None)


def values(statistics: ServerStatistics) -> dict[str, float]:
    """Of the metrics of writes, by name and label."""
    text, _ = Exposition(lambda: statistics).rendered()
    names = tuple(metric.name for metric in WRITE_METRICS)

    def found() -> Iterator[tuple[str, float]]:
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                if sample.name.startswith(names):
                    yield sample.name + "".join(f" {value}" for value in sample.labels.values()), sample.value

    return dict(found())


async def test_what_happens_in_the_lanes_and_the_journal_is_shown(
    tmp_path: Path, nothing: ServerStatistics
) -> None:
    async with desked(tmp_path / "journal") as here:
        await here.ended("a", write_id="w1")
        await here.ended("a", write_id="w2", act=REFUSES)
        await here.order(PauseKey("b"))
        for number in range(3):
            await here.accept("b", write_id=f"w{3 + number}", body=b"12345")
        writes = WritesServerStatistics(here.writes.statistics(), here.journal.statistics())
        found = values(dataclasses.replace(nothing, writes=writes))
    for name, value in {
        "lockgate_writes_total committed": 1,
        "lockgate_writes_total dead": 1,
        "lockgate_writes_total unknown": 0,
        "lockgate_write_attempts_total": 2,
        "lockgate_write_attempts_unknown_total": 0,
        "lockgate_writes_queued": 3,
        "lockgate_writes_running": 0,
        "lockgate_lane_depth": 3,
        "lockgate_lanes_busy": 1,
        "lockgate_lanes_paused": 1,
        "lockgate_dead_letters": 1,
        "lockgate_journal_alarm": 0,
        "lockgate_journal_writes": 3,
        "lockgate_journal_body_bytes": 15,
        "lockgate_write_events_total": 2,
    }.items():
        assert found[name] == value, name
    assert found["lockgate_write_oldest_seconds"] < 60
    commits = found["lockgate_journal_commit_seconds_count"]
    assert commits >= 8, "a row and a mark and an end each, the pause, three rows"
    assert found["lockgate_journal_commit_jobs_count"] == commits
    assert found["lockgate_journal_commit_jobs_sum"] >= commits
    assert found["lockgate_journal_commit_jobs_bucket 512.0"] == commits


async def test_a_journal_that_takes_nothing_in_raises_the_alarm(
    tmp_path: Path, nothing: ServerStatistics
) -> None:
    async with desked(tmp_path / "journal") as here:
        here.journal.health.measured(-1)
        writes = WritesServerStatistics(here.writes.statistics(), here.journal.statistics())
    assert writes.journal is not None
    assert writes.journal.condition is Condition.NO_ROOM
    assert values(dataclasses.replace(nothing, writes=writes))["lockgate_journal_alarm"] == 1


async def test_without_writes_only_what_has_closed_labels_is_shown(nothing: ServerStatistics) -> None:
    found = values(nothing)
    assert set(found.values()) == {0.0}
    assert {name.partition(" ")[0] for name in found} == {"lockgate_writes_total"}


async def test_without_a_journal_the_lanes_are_shown(tmp_path: Path, nothing: ServerStatistics) -> None:
    async with desked(tmp_path / "journal") as here:
        writes = WritesServerStatistics(here.writes.statistics())
    found = values(dataclasses.replace(nothing, writes=writes))
    assert "lockgate_lane_depth" in found
    assert not [name for name in found if name.startswith(("lockgate_journal", "lockgate_dead"))]


def test_the_page_for_operators_names_metrics_that_there_are() -> None:
    page = (ROOT / "docs/operating-writes.md").read_text(encoding="utf-8")
    named = set(re.findall(r"lockgate(?:_[a-z]+)+", page))
    assert len(named) > 8
    assert named <= {metric.name for metric in METRICS}
