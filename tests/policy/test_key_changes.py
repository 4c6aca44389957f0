from __future__ import annotations

from typing import Any

import pytest

from proxy.http.messages import RequestHead
from proxy.policy.forwarding import ClientAddress, seen_by_origin
from proxy.policy.key_changes import key_changes
from proxy.policy.key_parts import parts_of_key
from proxy.policy.keys import cache_key
from tests.policy.heads import fields_of, route


@pytest.mark.parametrize(
    ("settings", "target", "fields", "told"),
    [
        pytest.param({}, b"/a?b", "", (), id="nothing"),
        pytest.param(
            {"rewrite": {"strip_prefix": "/v"}},
            b"/v/a",
            "",
            ("path /v/a is asked as /a: the route's rewrite",),
            id="rewrite",
        ),
        pytest.param(
            {"query": {"drop": ["b"]}},
            b"/a?b=1",
            "",
            ("query 'b=1' is asked as '': the route's query",),
            id="query",
        ),
        pytest.param(
            {"key": {"fields": ["X-A"], "cookies": ["id"]}, "cookies": "key"},
            b"/a",
            "Cookie: id=1",
            (
                "field x-a is part of it: the route's key.fields",
                "cookie id is part of it: the route's key.cookies",
                "the whole Cookie field is part of it: the route's cookies",
            ),
            id="added",
        ),
        pytest.param(
            {},
            b"/a",
            "X-Forwarded-Host: evil",
            ("field x-forwarded-host does not reach the origin as it came",),
            id="dropped",
        ),
    ],
)
def test_each_difference_is_told(
    settings: dict[str, Any], target: bytes, fields: str, told: tuple[str, ...]
) -> None:
    chosen = route(**settings)
    head = RequestHead("GET", target, fields_of(f"Host: a|{fields}"), authority=b"a")
    seen = seen_by_origin(head, route=chosen, client=ClientAddress("10.0.0.1", "http"))
    parts = parts_of_key(cache_key("r", seen, route=chosen))
    assert key_changes(head, seen, parts, route=chosen) == told


def test_a_host_that_counts_as_another_is_told() -> None:
    chosen = route()
    head = RequestHead("GET", b"/a", fields_of(""), authority=b"A:80")
    parts = parts_of_key(cache_key("r", head, route=chosen))
    assert key_changes(head, head, parts, route=chosen) == ("host A:80 counts as a",)
