"""When a crash run counts as passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.writes.checker import Verdict
from loadtest.writes.crash import Result


@pytest.mark.parametrize(
    ("verdict", "drained", "is_right"),
    [
        pytest.param(Verdict(faults_after_sending=5), True, True, id="half-of-the-kills-in-the-window"),
        pytest.param(Verdict(faults_after_sending=4), True, False, id="kills-that-show-nothing"),
        pytest.param(Verdict(faults_after_sending=10), False, False, id="a-promise-without-an-end"),
        pytest.param(Verdict(faults_after_sending=10, violations={"loss": 1}), True, False, id="red"),
        pytest.param(
            Verdict(faults_after_sending=10, violations_beyond={"serial": 1}), True, True, id="beyond"
        ),
    ],
)
def test_a_run_is_right_if_it_is_green_and_was_killed_where_it_matters(
    verdict: Verdict, drained: bool, is_right: bool, tmp_path: Path
) -> None:
    assert Result(verdict, drained, kills=10, directory=tmp_path).is_right == is_right
