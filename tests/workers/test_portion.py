"""What one worker gets of what there is for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxy.config.settings import Config
from proxy.workers.portion import portion


def config(**settings: Any) -> Config:
    return Config.model_validate(
        {"origins": {"o": {"addresses": ["http://a"]}}, "routes": [{"origin": "o"}], **settings}
    )


def test_bounds_are_divided() -> None:
    share = portion(config(cache={"max_bytes": 400, "max_entry_bytes": 50}), slot=1, slots=4)
    assert (share.cache.max_bytes, share.cache.max_entry_bytes) == (100, 50)
    assert share.limits.max_connections == 5000


def test_what_may_be_stored_at_most_is_the_whole_share() -> None:
    share = portion(config(cache={"max_bytes": 400, "max_entry_bytes": 400}), slot=0, slots=4)
    assert share.cache.max_entry_bytes == 100


def test_each_slot_has_a_directory_of_its_own() -> None:
    whole = config(cache={"disk": {"directory": "/c", "max_bytes": 90, "max_entry_bytes": 90}})
    shares = [portion(whole, slot=slot, slots=3).cache.disk for slot in range(3)]
    assert [share and share.directory for share in shares] == [Path(f"/c/worker-{slot}") for slot in range(3)]
    assert [share and share.max_bytes for share in shares] == [30, 30, 30]
    assert [share and share.max_entry_bytes for share in shares] == [30, 30, 30]


def test_one_worker_has_all_but_a_directory_below_the_configured_one() -> None:
    whole = config()
    assert portion(whole, slot=0, slots=1) == whole
