from __future__ import annotations

import pytest

from proxy.config.settings import PurgeSettings
from proxy.policy.purge_rights import PurgeRefusal, in_networks, may_purge
from tests.policy.heads import fields_of

ON = PurgeSettings(enabled=True, networks=("10.0.0.0/8", "::1/128", "unix"))


@pytest.mark.parametrize(
    ("peer", "fields", "trusted", "refusal"),
    [
        pytest.param("10.1.2.3", "", False, None, id="in-a-network"),
        pytest.param("::1", "", False, None, id="ipv6"),
        pytest.param("", "", False, None, id="unix"),
        pytest.param("11.0.0.1", "", False, PurgeRefusal.NETWORK, id="in-none"),
        pytest.param("11.0.0.1", "X-Forwarded-For: 10.0.0.1", False, PurgeRefusal.NETWORK, id="a-claim"),
        pytest.param("11.0.0.1", "X-Forwarded-For: 10.0.0.1", True, None, id="said-by-a-trusted-proxy"),
        pytest.param("10.0.0.1", "X-Forwarded-For: 11.0.0.1", True, PurgeRefusal.NETWORK, id="for-another"),
        pytest.param(
            "10.0.0.1",
            "X-Forwarded-For: 10.0.0.2, 11.0.0.1",
            True,
            PurgeRefusal.NETWORK,
            id="the-last-counts",
        ),
        pytest.param("10.0.0.1", "Forwarded: for=10.0.0.2", True, PurgeRefusal.NETWORK, id="nobody-can-tell"),
        pytest.param("10.0.0.1", "X-Forwarded-For: unknown", True, PurgeRefusal.NETWORK, id="no-address"),
        pytest.param(
            "10.0.0.1", "X-Forwarded-For:", True, PurgeRefusal.NETWORK, id="empty-is-no-unix-socket"
        ),
        pytest.param("10.0.0.1", "", True, None, id="a-trusted-proxy-for-itself"),
    ],
)
def test_who_may_purge(peer: str, fields: str, trusted: bool, refusal: PurgeRefusal | None) -> None:
    assert may_purge(fields_of(fields), settings=ON, peer=peer, trusted=trusted) is refusal


def test_nobody_may_where_the_route_does_not_say_so() -> None:
    off = PurgeSettings()
    assert may_purge(fields_of(""), settings=off, peer="127.0.0.1", trusted=False) is PurgeRefusal.DISABLED


@pytest.mark.parametrize("address", ["nonsense", "10.0.0", "fe80::1%eth0"])
def test_what_is_in_no_network_is_in_none(address: str) -> None:
    assert not in_networks(address, ("10.0.0.0/8",))
