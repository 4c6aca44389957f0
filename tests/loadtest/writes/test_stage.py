from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtest.writes.stage import Queueing, configuration, lasting_port, new_directory
from proxy.config.loading import load


@pytest.mark.parametrize("journalled", [True, False, None], ids=["journal", "memory", "plain"])
def test_lockgate_takes_its_configuration(journalled: bool | None, tmp_path: Path) -> None:
    queueing = None if journalled is None else Queueing(tmp_path / "journal" if journalled else None)
    path = tmp_path / "lockgate.json"
    path.write_text(json.dumps(configuration(port=8080, origin_port=9000, queueing=queueing)))
    settings = load(path, environ={})
    assert (settings.routes[0].writes is not None) == (queueing is not None)
    assert (settings.writes.journal is not None) == bool(journalled)


def test_each_run_has_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.writes.stage.RUNS", tmp_path)
    assert [new_directory(name).name for name in ("a", "a", "b")] == ["a.1", "a.2", "b.1"]


def test_a_port_that_lasts_is_none_that_the_system_gives_away() -> None:
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(given.read_text().split()[0]) if given.exists() else 32768
    assert all(1024 <= lasting_port() < lowest for _ in range(20))
