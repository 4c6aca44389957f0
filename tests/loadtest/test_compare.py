from __future__ import annotations

from loadtest.compare import _SCENARIOS, _added_waits_s, _comparison, _Run


def record(path: str, began: float, ended: float, outcome: str) -> dict[str, object]:
    return {"path": path, "began_mono": began, "ended_mono": ended, "outcome": outcome}


def test_a_waiters_added_wait_is_its_time_less_that_of_its_own_leader() -> None:
    records = [
        record("/a", 0.0, 1.0, "leader"),
        record("/a", 0.5, 1.25, "collapsed"),
        record("/a", 10.0, 12.0, "leader"),
        record("/a", 10.0, 12.5, "collapsed"),
        record("/b", 10.0, 10.5, "leader"),
        record("/a", 20.0, 20.5, "hit"),
    ]
    assert _added_waits_s(records) == [-0.25, 0.5]


def test_the_comparison_shows_the_leak_ratio_of_both_runs() -> None:
    records = [record("/herd/1", 0.0, 0.2, "direct") for _ in range(4)]
    alone = _Run(records, {"/herd/1": {"requests": 4}, "/other": {"requests": 9}}, 0)
    behind = _Run(records, {"/herd/1": {"requests": 1}}, 1)
    lines = {
        line.strip().split("  ")[0]: line.split()
        for line in _comparison(_SCENARIOS["herd"], alone, behind).splitlines()
    }
    assert lines["leak ratio"][-2:] == ["100.00%", "25.00%"]
    assert lines["origin fetches per object"][-2:] == ["4.00", "1.00"]
    assert lines["failed checks or requests"][-3:] == ["none", "some", "(above)"]


def test_a_run_without_requests_has_no_ratio() -> None:
    nothing = _Run([], {}, 0)
    assert "–" in _comparison(_SCENARIOS["live"], nothing, nothing)
