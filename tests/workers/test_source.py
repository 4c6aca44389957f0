"""Where a configuration comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.workers.source import ConfigSource, slots_of

RIGHT = "origins: {app: {addresses: ['http://a']}}\nroutes: [{origin: app}]\n"


def test_the_text_that_was_read_is_what_counts(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(RIGHT)
    source = ConfigSource(file=str(file)).read()
    file.write_text("nonsense: 1")
    assert list(source.config().origins) == ["app"]
    assert ConfigSource(**source.message()) == source
    with pytest.raises(ConfigError, match=r"f\.yaml:1:1: nonsense is not a setting"):
        source.read().config()


def test_the_command_line_comes_last(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(RIGHT + "workers: {count: 2, purge_timeout_s: 1}\n")
    config = ConfigSource(file=str(file), admin="off", workers=5).read().config()
    assert not config.admin.enabled
    assert (slots_of(config), config.workers.purge_timeout_s) == (5, 1.0)


def test_an_origin_needs_no_file() -> None:
    source = ConfigSource(origin="http://a", listen="127.0.0.1:1").read()
    assert source.config().listen[0].address == "127.0.0.1:1"


def test_without_a_number_there_is_a_worker_for_each_core(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(RIGHT + "workers: {count: null}\n")
    assert slots_of(ConfigSource(file=str(file)).read().config()) >= 1


def test_nothing_at_all_is_an_error() -> None:
    with pytest.raises(ConfigError, match="neither a file nor an origin"):
        ConfigSource().config()


def test_an_objection_names_the_place_of_each_setting(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(RIGHT + "cache:\n  max_bytes: 1 GiB\n")
    source = ConfigSource(file=str(file)).read()
    told = str(source.objection(["cache.max_bytes", "listen"], "cannot change"))
    assert told.splitlines() == [
        f"{file}:1:1: listen cannot change",
        f"{file}:4:3: cache.max_bytes cannot change",
    ]
    assert str(ConfigSource(origin="http://a").objection(["gate"], "cannot change")) == "gate cannot change"
