"""The answer to a POST is one to a GET only if it says so in every respect."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.policy.post import PostRefusal, may_store_post
from tests.policy.heads import NOW, request, response, route

SAID = "Cache-Control: max-age=60|Content-Location: /a"


def refusal(
    fields: str, asked: str = "", *, status: int = 200, method: str = "POST", **settings: Any
) -> PostRefusal | None:
    return may_store_post(
        request(asked, method=method), response(fields, status=status), route=route(**settings), now=NOW
    )


@pytest.mark.parametrize("location", ["/a", "http://example.org/a", "a", "/b/../a", "/a#part"])
def test_explicitly_fresh_and_of_the_target_it_may_be_stored(location: str) -> None:
    assert refusal(f"Cache-Control: max-age=60|Content-Location: {location}") is None


@pytest.mark.parametrize(
    ("fields", "asked", "expected"),
    [
        pytest.param("Cache-Control: max-age=60", "", PostRefusal.LOCATION, id="no-content-location"),
        pytest.param(
            "Cache-Control: max-age=60|Content-Location: /b", "", PostRefusal.LOCATION, id="another-target"
        ),
        pytest.param(
            "Cache-Control: max-age=60|Content-Location: http://b.org/a",
            "",
            PostRefusal.LOCATION,
            id="another-host",
        ),
        pytest.param(SAID + "|Content-Location: /a", "", PostRefusal.LOCATION, id="said-twice"),
        pytest.param("Content-Location: /a", "", PostRefusal.NOT_EXPLICIT, id="no-lifetime"),
        pytest.param(
            "Content-Location: /a|Last-Modified: Thu, 27 Oct 1994 08:49:37 GMT",
            "",
            PostRefusal.NOT_EXPLICIT,
            id="a-guess",
        ),
        pytest.param(
            "Content-Location: /a|Cache-Control: max-age=0, public", "", PostRefusal.NOT_EXPLICIT, id="over"
        ),
        pytest.param("Content-Location: /a|Cache-Control: private", "", PostRefusal.FORBIDDEN, id="private"),
        pytest.param(SAID + "|Set-Cookie: a=1", "", PostRefusal.FORBIDDEN, id="set-cookie"),
        pytest.param(SAID, "Cookie: a=1", PostRefusal.CREDENTIALS, id="cookie"),
        pytest.param(
            SAID + "|Cache-Control: public", "Authorization: x", PostRefusal.CREDENTIALS, id="authorization"
        ),
        pytest.param(SAID, "Cache-Control: no-store", PostRefusal.FORBIDDEN, id="the-client-forbids"),
    ],
)
def test_otherwise_it_says_why_not(fields: str, asked: str, expected: PostRefusal) -> None:
    assert refusal(fields, asked) is expected


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_only_post_has_such_answers(method: str) -> None:
    assert refusal(SAID, method=method) is PostRefusal.METHOD


@pytest.mark.parametrize("status", [201, 204, 206, 303, 404, 500])
def test_only_a_representation_is_stored(status: int) -> None:
    assert refusal(SAID, status=status) is PostRefusal.STATUS


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X_Original_Url"])
def test_an_answer_for_another_method_or_target_is_none_to_get(name: str) -> None:
    assert refusal(SAID, f"{name}: PUT") is PostRefusal.OTHER_TARGET


def test_what_a_get_would_not_be_forwarded_with_may_have_made_the_answer() -> None:
    asked = request(method="POST", target=b"/a?x=1")
    said = response("Cache-Control: max-age=60|Content-Location: /a?x=1")
    for drop, expected in ((["y"], None), (["x"], PostRefusal.OTHER_TARGET)):
        assert may_store_post(asked, said, route=route(query={"drop": drop}), now=NOW) is expected


def test_a_route_that_passes_post_by_rule_stores_none() -> None:
    assert refusal(SAID, bypass={"methods": ["POST"]}) is PostRefusal.BYPASS


def test_a_route_that_does_not_cache_stores_none() -> None:
    assert refusal(SAID, cache={"enabled": False}) is PostRefusal.FORBIDDEN
