from __future__ import annotations

import pytest

from proxy.config.explaining import explained, warnings_of
from proxy.config.loading import from_text
from proxy.config.settings import Config


def loaded(text: str) -> Config:
    return from_text(text, source="f.yaml", environ={})


def with_route(text: str) -> Config:
    return loaded(f"origins: {{app: {{addresses: ['http://a']}}}}\nroutes: [{{origin: app, {text}}}]\n")


def test_the_explanation_tells_sockets_origins_and_routes_in_the_order_they_are_tried() -> None:
    config = loaded(
        """\
listen:
  - address: 127.0.0.1:8080
  - {address: unix:/run/l, trusted_proxies: [unix]}
admin: {enabled: false}
cache: {max_bytes: 1GiB}
origins:
  app: {addresses: ["http://a", "http://b"], backup: ["http://c"]}
  images: {addresses: ["http://d"], max_concurrency: 5}
routes:
  - origin: app
  - {origin: app, path: /api, cookies: bypass, cache: {grace_s: 10s}}
  - {origin: images, host: "*.example.org"}
  - {origin: images, host: img.example.org, bypass: {paths: [x]}}
"""
    )
    assert explained(config) == [
        "Listens on:",
        "  127.0.0.1:8080 (http)",
        "  unix:/run/l (http), trusting X-Forwarded-* from unix",
        "Admin:",
        "  off",
        "Origins:",
        "  app: http://a, http://b, backup http://c; at most 100 requests at once",
        "  images: http://d; at most 5 requests at once",
        "Routes, most specific first:",
        "  img.example.org/ -> images (bypass.paths: [x])",
        "  *.example.org/ -> images",
        "  */api -> app (cookies: bypass, cache.grace_s: 10s)",
        "  */ -> app",
        "Cache:",
        "  1GiB in memory, bodies up to 64MiB, lru",
    ]


def test_nothing_is_warned_of_by_default() -> None:
    assert warnings_of(with_route("path: /")) == []


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        pytest.param(
            "admin: {address: '0.0.0.0:9901'}",
            "admin.address is 0.0.0.0:9901, which others may reach: it shows what is asked for; "
            "use 127.0.0.1",
            id="admin-for-all",
        ),
        pytest.param(
            "admin: {address: ':9901'}", "admin.address is :9901, which others may reach", id="any-host"
        ),
        pytest.param(
            "admin: {address: '127.0.0.1:8080'}",
            "listen[0].address and admin.address are both 127.0.0.1:8080: one will fail",
            id="one-address-twice",
        ),
        pytest.param(
            "listen: [{address: ':80', trusted_proxies: [0.0.0.0/0]}]",
            "listen[0].trusted_proxies has 0.0.0.0/0: any client can claim any address",
            id="everybody-trusted",
        ),
        pytest.param(
            "listen: [{address: ':443', tls: {certificate: /gone.pem, key: /dev/null}}]",
            "listen[0].tls.certificate is /gone.pem, and there is no such file here",
            id="no-certificate",
        ),
    ],
)
def test_a_listener_is_warned_of(text: str, warned: str) -> None:
    config = loaded(f"origins: {{app: {{addresses: ['http://a']}}}}\nroutes: [{{origin: app}}]\n{text}\n")
    assert any(line.startswith(warned) for line in warnings_of(config)), warnings_of(config)


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        pytest.param(
            "addresses: ['https://a'], tls: {verify: false}",
            "origins.app.tls.verify is false: anybody on the way can play the origin; for tests only",
            id="not-verified",
        ),
        pytest.param(
            "addresses: ['http://a'], tls: {server_name: b}",
            "origins.app.tls has no effect: no address is https",
            id="tls-without-https",
        ),
        pytest.param(
            "addresses: ['https://a'], tls: {client_key: /dev/null}",
            "origins.app.tls has one of client_certificate and client_key; both are needed",
            id="half-a-certificate",
        ),
        pytest.param(
            "addresses: ['https://a'], tls: {ca_file: /gone.pem}",
            "origins.app.tls.ca_file is /gone.pem, and there is no such file here",
            id="no-authorities",
        ),
        pytest.param(
            "addresses: ['https://a']}, b: {addresses: ['http://b']",
            "origins.b is used by no route",
            id="unused",
        ),
    ],
)
def test_an_origin_is_warned_of(text: str, warned: str) -> None:
    lines = warnings_of(loaded(f"origins: {{app: {{{text}}}}}\nroutes: [{{origin: app}}]\n"))
    assert any(line.startswith(warned) for line in lines), lines


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        pytest.param(
            "cache: {lifetime_s: 1m, lifetime_statuses: [200, 404]}",
            "routes[0] (*/): cache.lifetime_s is 1m: it replaces what the origin says, for statuses 200, 404",
            id="lifetime-override",
        ),
        pytest.param(
            "set_cookie: ignore", "routes[0] (*/): set_cookie is ignore: one client's cookie", id="set-cookie"
        ),
        pytest.param(
            "cookies: key", "routes[0] (*/): cookies is key: clients share only if", id="cookie-key"
        ),
        pytest.param(
            "cache: {grace_s: 2d}",
            "routes[0] (*/): cache.grace_s is above cache.max_stale_s",
            id="grace-above-cap",
        ),
        pytest.param(
            "cache: {enabled: false}, coalesce: {max_waiters: 5}",
            "routes[0] (*/): coalesce has no effect while cache.enabled is false",
            id="coalescing-without-a-cache",
        ),
    ],
)
def test_a_route_is_warned_of(text: str, warned: str) -> None:
    lines = warnings_of(with_route(text))
    assert any(line.startswith(warned) for line in lines), lines
