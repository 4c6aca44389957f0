"""Only the protocol switches that the route names are passed through."""

from __future__ import annotations

import pytest

from proxy.http.messages import RequestHead
from proxy.policy.upgrades import passed_upgrade
from tests.policy.heads import fields_of, request, route


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param("", None, id="none"),
        pytest.param("Connection: Upgrade|Upgrade: WebSocket", b"WebSocket", id="websocket"),
        pytest.param(
            "Connection: keep-alive, upgrade|Upgrade: h2c, websocket", b"websocket", id="one-of-two"
        ),
        pytest.param("Connection: Upgrade|Upgrade: h2c", None, id="not-named-by-the-route"),
        pytest.param("Upgrade: websocket", None, id="not-named-by-connection"),
        pytest.param("Connection: Upgrade", None, id="no-protocol"),
        pytest.param("Connection: Upgrade|Upgrade: wébsocket", None, id="non-ascii"),
    ],
)
def test_an_upgrade_is_passed_if_route_and_connection_name_it(fields: str, expected: bytes | None) -> None:
    assert passed_upgrade(request(fields), route=route()) == expected


def test_http_1_0_does_not_upgrade() -> None:
    fields = fields_of("Connection: Upgrade|Upgrade: websocket")
    assert passed_upgrade(RequestHead("GET", b"/", fields, minor_version=0), route=route()) is None


def test_a_route_can_pass_none() -> None:
    asked = request("Connection: Upgrade|Upgrade: websocket")
    assert passed_upgrade(asked, route=route(upgrades=())) is None
