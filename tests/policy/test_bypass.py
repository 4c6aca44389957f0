"""A route's bypass rules."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.settings import BypassRules
from proxy.policy.bypass import cookie_names, is_bypassed
from tests.policy.heads import request


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param({}, False, id="none"),
        pytest.param({"methods": ("GET",)}, True, id="method"),
        pytest.param({"methods": ("HEAD",)}, False, id="other-method"),
        pytest.param({"paths": ("dmin",)}, True, id="searched-in-the-path"),
        pytest.param({"paths": ("^dmin",)}, False, id="anchored"),
        pytest.param({"paths": ("secret",)}, False, id="not-in-the-query"),
        pytest.param({"headers": {"x-a": "^1$"}}, True, id="field"),
        pytest.param({"headers": {"x-a": "2"}}, False, id="field-value"),
        pytest.param({"headers": {"x-b": ""}}, False, id="absent-field"),
        pytest.param({"cookies": ("session",)}, True, id="cookie"),
        pytest.param({"cookies": ("Session",)}, False, id="cookie-case"),
        pytest.param({"cookies": ("v",)}, False, id="cookie-value"),
    ],
)
def test_one_rule_that_is_met_bypasses(rules: dict[str, Any], expected: bool) -> None:
    asked = request("X-A: 0|X-A: 1|Cookie: a=v; session=x", target=b"/admin?secret")
    assert is_bypassed(asked, rules=BypassRules(**rules)) is expected


def test_cookie_names_are_found_in_every_line() -> None:
    assert cookie_names(request("Cookie: a=1;b=2|Cookie: c")) == {"a", "b", "c"}
