"""The benchmarks of herds, as small as they can be: every server's answers are the origin's."""

from __future__ import annotations

import pytest

from loadtest import processes
from loadtest.bench import herds, uncacheable
from loadtest.bench.candidates import FLOOR, LOCKGATE
from loadtest.processes import raise_open_files


@pytest.fixture(autouse=True)
def _small(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_DIRECTORY", tmp_path_factory.mktemp("logs"))
    for bench in (herds, uncacheable):
        monkeypatch.setattr(bench, "SIZES", (20,))


@pytest.mark.slow
def test_a_herd_on_a_cold_key_is_one_fetch() -> None:
    section = herds.measure([LOCKGATE, FLOOR], 1, raise_open_files())
    assert section.faults == ()
    rows = [line.split(" | ") for line in section.text.splitlines() if line.startswith("| 20 |")]
    assert [row[1].removesuffix(" †") for row in rows] == ["lockgate", "floor"]
    assert rows[0][6] == "1"


@pytest.mark.slow
def test_a_herd_on_a_key_that_is_not_for_sharing_is_a_fetch_for_each() -> None:
    section = uncacheable.measure([LOCKGATE], 1, raise_open_files())
    assert section.faults == ()
    row = next(line for line in section.text.splitlines() if line.startswith("| 20 | lockgate |"))
    assert row.endswith("| 20 |")
