from __future__ import annotations

import pytest

from proxy.config.problems import FILE_START, Mark, Problems
from proxy.errors import ConfigError


def test_problems_are_told_together_in_the_order_of_the_file() -> None:
    problems = Problems("f.yaml")
    problems.add(Mark(10, 1), "b", "is wrong")
    problems.add(Mark(9, 5), "a", "is wrong too")
    problems.add(FILE_START, "", "the file is odd")
    with pytest.raises(ConfigError) as caught:
        problems.raise_any()
    assert str(caught.value).splitlines() == [
        "f.yaml:1:1: the file is odd",
        "f.yaml:9:5: a is wrong too",
        "f.yaml:10:1: b is wrong",
    ]


def test_the_first_problem_of_a_setting_and_place_is_kept() -> None:
    problems = Problems("f.yaml")
    problems.add(FILE_START, "a", "is missing; add it")
    problems.add(FILE_START, "a", "is something else")
    problems.add(FILE_START, "b", "is missing; add it")
    assert str(problems.error()) == "f.yaml:1:1: a is missing; add it\nf.yaml:1:1: b is missing; add it"


def test_nothing_is_raised_while_nothing_is_wrong() -> None:
    problems = Problems("f.yaml")
    problems.raise_any()
    assert not problems
    assert repr(problems) == "Problems('f.yaml', 0 found)"
