from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from proxy.metric import Kind, Metric
from proxy.metrics import METRICS, METRICS_PAGE, main, metrics_page, status_label

ROOT = Path(__file__).parents[1]


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / METRICS_PAGE).read_text(encoding="utf-8")

    assert page == metrics_page(), "run `python -m proxy.metrics`"


def test_the_page_is_written_below_the_directory_named(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0

    assert (tmp_path / METRICS_PAGE).read_text(encoding="utf-8") == metrics_page()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_named_and_described_as_the_style_says(metric: Metric) -> None:
    assert re.fullmatch(r"lockgate(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not re.search(r"_(ms|millis|milliseconds|kb|mb|percent|minutes)(_|$)", metric.name)
    assert re.fullmatch(r"[^\n|]+\.", metric.sentence)


def test_no_two_metrics_have_one_name() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize(
    ("status", "label"),
    [
        (200, "200"),
        (404, "404"),
        (499, "499"),
        (504, "504"),
        (299, "2xx"),
        (599, "5xx"),
        (600, "other"),
        (999, "other"),
        (0, "other"),
    ],
)
def test_a_status_that_is_not_registered_is_shown_by_its_class(status: int, label: str) -> None:
    assert status_label(status) == label


def test_an_origin_cannot_make_series_at_will() -> None:
    labels = {status_label(status) for status in range(1000)}

    assert len(labels) <= len(HTTPStatus) + 1 + 6
