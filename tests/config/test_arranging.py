from __future__ import annotations

import textwrap

import pytest

from proxy.config.arranging import nearest
from proxy.config.loading import from_text
from proxy.config.settings import Config
from tests.config.refusals import only_refusal, refusals


def loaded(text: str) -> Config:
    return from_text(textwrap.dedent(text), source="f.yaml", environ={})


def test_defaults_lie_below_each_route_mappings_merged_and_lists_replaced() -> None:
    config = loaded(
        """\
        origins: {app: {addresses: ["http://a"]}}
        defaults:
          cookies: strip
          upgrades: [websocket, h2c]
          cache: {grace_s: 10s, lifetime_s: 1m}
          request_headers: {set: {x-a: one, x-b: two}}
        routes:
          - {origin: app, path: /as-below}
          - origin: app
            path: /own
            cookies: key
            upgrades: [mqtt]
            cache: {grace_s: 0, lifetime_s: null}
            request_headers: {set: {x-b: three}}
        """
    )
    below, own = config.routes
    assert (below.cookies, below.upgrades) == ("strip", ("websocket", "h2c"))
    assert (below.cache.grace_s, below.cache.lifetime_s) == (10.0, 60.0)
    assert below.request_headers.set == {"x-a": "one", "x-b": "two"}
    assert (own.cookies, own.upgrades) == ("key", ("mqtt",))
    assert (own.cache.grace_s, own.cache.lifetime_s) == (0.0, None)
    assert own.request_headers.set == {"x-a": "one", "x-b": "three"}


def test_an_error_in_defaults_is_told_once_and_where_it_stands() -> None:
    text = """\
        origins: {app: {addresses: ["http://a"]}}
        defaults:
          coalesce: {wait_timeout: 5s}
          cache:
            grace_s: soon
        routes: [{origin: app}, {origin: app, path: /b}]
        """
    assert refusals(text) == [
        "f.yaml:3:14: defaults.coalesce.wait_timeout is not a setting; did you mean wait_timeout_s?",
        "f.yaml:5:14: defaults.cache.grace_s is 'soon': write a number of seconds, or with a unit, "
        "as 500ms, 2s, 5m, 1h, 1d",
    ]


@pytest.mark.parametrize("name", ["origin", "host", "path"])
def test_what_makes_a_route_that_route_is_refused_in_defaults(name: str) -> None:
    text = f"""\
        origins: {{app: {{addresses: ["http://a"]}}}}
        defaults:
          {name}: app
        routes: [{{origin: app}}]
        """
    said = f"f.yaml:3:3: defaults.{name} belongs to a single route; write it under routes"
    assert only_refusal(text) == said


def test_a_route_to_an_unknown_origin_names_the_nearest_and_all() -> None:
    text = """\
        origins: {app: {addresses: ["http://a"]}, images: {addresses: ["http://b"]}}
        routes:
          - origin: image
          - origin: x
            path: /x
        """
    assert refusals(text) == [
        "f.yaml:3:13: routes[0].origin is 'image', not under origins: "
        "did you mean images? There are: app, images",
        "f.yaml:4:13: routes[1].origin is 'x', not under origins: There are: app, images",
    ]


def test_two_routes_for_the_same_requests_are_refused() -> None:
    text = """\
        origins: {app: {addresses: ["http://a"]}}
        routes:
          - {origin: app, host: Example.org}
          - {origin: app}
          - {origin: app, host: example.org, path: /}
        """
    assert only_refusal(text) == (
        "f.yaml:5:5: routes[2] matches host 'example.org' and path '/', as routes[0] in line 3 does: "
        "change host or path, or remove one"
    )


def test_units_are_read_in_every_section() -> None:
    config = loaded(
        """\
        limits: {max_head_bytes: 64KiB, head_timeout_s: 1.5s}
        cache: {max_bytes: 1GiB, max_entry_bytes: 1 MiB}
        origins: {app: {addresses: ["http://a"], connect_timeout_s: 500ms}}
        routes: [{origin: app, cache: {lifetime_s: 1h}, coalesce: {retry_after_s: 1m, window_bytes: 5}}]
        """
    )
    assert (config.limits.max_head_bytes, config.limits.head_timeout_s) == (65536, 1.5)
    assert (config.cache.max_bytes, config.cache.max_entry_bytes) == (1 << 30, 1 << 20)
    assert config.origins["app"].connect_timeout_s == 0.5
    route = config.routes[0]
    assert (route.cache.lifetime_s, route.coalesce.retry_after_s, route.coalesce.window_bytes) == (
        3600,
        60,
        5,
    )


def test_a_name_of_the_users_own_choice_is_no_unit() -> None:
    config = loaded(
        """\
        origins: {app_s: {addresses: ["http://a"]}}
        routes: [{origin: app_s, request_headers: {set: {x_s: 5m, y_bytes: 1KiB}}}]
        """
    )
    assert config.routes[0].request_headers.set == {"x_s": "5m", "y_bytes": "1KiB"}


def test_each_value_of_a_mapping_may_carry_the_unit_of_the_mappings_name() -> None:
    config = loaded(
        """\
        origins: {app: {addresses: ["http://a"]}}
        routes: [{origin: app, cache: {negative_lifetimes_s: {404: 1m, 5xx: 500ms, 410: 2}}}]
        """
    )
    assert config.routes[0].cache.negative_lifetimes_s == {"404": 60, "5xx": 0.5, "410": 2}


def test_a_section_of_which_every_line_is_commented_out_keeps_its_defaults() -> None:
    config = loaded(
        """\
        limits:
          # max_fields: 5
        origins: {app: {addresses: ["http://a"], backup: , tls: }}
        defaults:
        routes: [{origin: app, bypass: , request_headers: {set: }}]
        """
    )
    assert config == loaded("origins: {app: {addresses: ['http://a']}}\nroutes: [{origin: app}]")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("max_feilds", "max_fields"), ("MAX-FIELDS", "max_fields"), ("maxfields", "max_fields"), ("zzz", None)],
)
def test_the_nearest_name_is_found_despite_case_and_dashes(name: str, expected: str | None) -> None:
    assert nearest(name, ["max_fields", "enabled"]) == expected
