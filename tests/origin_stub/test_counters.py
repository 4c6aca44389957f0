from __future__ import annotations

import json

from origin_stub.changes import Changes
from origin_stub.counters import Counters


def test_a_path_counts_requests_methods_and_its_peak() -> None:
    counters = Counters(Changes())
    for method in ("GET", "HEAD"):
        with (
            counters.counting("/a", method=method, target="/a?x", headers=(("A", "1"),)),
            counters.counting("/a", method="GET", target="/a", headers=()),
        ):
            assert counters["/a"].in_progress == 2
    counter = counters["/a"]
    assert (counter.requests, counter.in_progress, counter.peak) == (4, 0, 2)
    assert counter.methods == {"GET": 3, "HEAD": 1}
    assert counter.last_target == "/a"
    assert [seen.target for seen in counters.recent] == ["/a?x", "/a", "/a?x", "/a"]


def test_looking_leaves_no_trace() -> None:
    counters = Counters(Changes())
    assert counters["/never"].requests == 0
    assert list(counters) == []


def test_a_request_in_progress_survives_a_reset() -> None:
    counters = Counters(Changes())
    with counters.counting("/a", method="GET", target="/a", headers=()):
        counters.reset()
    assert counters.requests == 0
    assert len(counters) == 0


def test_a_snapshot_is_json() -> None:
    counters = Counters(Changes())
    with counters.counting("/a", method="GET", target="/a", headers=(("A", "1"),)) as (_, counter):
        counter.statuses[200] += 1
    told = json.loads(json.dumps(counters.snapshot()))
    assert told["/a"]["methods"] == {"GET": 1}
    assert told["/a"]["statuses"] == {"200": 1}
    assert told["/a"]["last_headers"] == [["A", "1"]]
