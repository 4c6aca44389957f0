from __future__ import annotations

import pytest

from loadtest.conformance import Outcome, failures, reason_for

KINDS = {"a": "required", "b": "required", "c": "optimal", "d": "check"}


def test_what_passed_is_counted_by_kind() -> None:
    outcome = Outcome(KINDS, frozenset({"a", "c", "d", "of another edition"}))
    assert (outcome.count("required"), outcome.count("optimal")) == ("1 of 2", "1 of 1")
    assert outcome.failed("required") == ["b"]
    assert outcome.failed("optimal") == []


@pytest.mark.parametrize(
    ("name", "known"),
    [
        pytest.param("age-parse-negative", True, id="wildcard"),
        pytest.param("heuristic-501-cached", True, id="digits"),
        pytest.param("heuristic-5000-cached", False, id="more-digits"),
        pytest.param("freshness-max-age", False, id="never-known-to-fail"),
    ],
)
def test_a_failure_has_its_reason_or_is_not_known(name: str, known: bool) -> None:
    assert (reason_for(name) is not None) == known


def test_failures_are_told_by_their_reason() -> None:
    kinds = {
        "age-parse-a": "required",
        "age-parse-b": "required",
        "c": "required",
        "other-set-cookie": "optimal",
    }
    one = Outcome(kinds, frozenset({"c"}))
    other = Outcome(kinds, frozenset({"age-parse-b", "other-set-cookie"}))
    text, unknown = failures({"one": one, "other": other})
    assert unknown == ["c (other)"]
    assert text.splitlines()[0].startswith(
        "- required, `age-parse-a`, `age-parse-b` (one only): RFC 9111 §5.1"
    )
    assert text.splitlines()[1] == "- required, `c` (other only): **not known**."
    assert text.splitlines()[2].startswith("- optimal, `other-set-cookie` (one only): ")
