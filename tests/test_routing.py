from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.settings import RouteSettings
from proxy.routing import Router, host_of


def router(*places: str) -> Router:
    """A router for places written as `host/path`."""
    routes = []
    for place in places:
        host, slash, path = place.partition("/")
        routes.append(RouteSettings(origin="app", host=host, path=slash + path))
    return Router(routes)


def name_of(found: Router, authority: bytes, path: bytes) -> str | None:
    route = found.match(authority, path)
    return None if route is None else route.name


HOSTS = router("*/", "*.example.org/", "*.b.example.org/", "a.b.example.org/", "Example.NET/", "[::1]/")


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        pytest.param(b"a.b.example.org", "a.b.example.org/", id="exact-beats-suffix"),
        pytest.param(b"x.b.example.org", "*.b.example.org/", id="longest-suffix"),
        pytest.param(b"x.y.b.example.org", "*.b.example.org/", id="suffix-over-several-labels"),
        pytest.param(b"b.example.org", "*.example.org/", id="a-suffix-needs-something-before-it"),
        pytest.param(b"example.org", "*/", id="a-suffix-is-not-the-name-itself"),
        pytest.param(b"notexample.org", "*/", id="a-suffix-begins-with-a-dot"),
        pytest.param(b".example.org", "*/", id="nothing-before-the-suffix"),
        pytest.param(b"A.B.EXAMPLE.ORG:8080", "a.b.example.org/", id="case-and-port"),
        pytest.param(b"example.net", "example.net/", id="case-of-the-setting"),
        pytest.param(b"example.net.", "example.net/", id="the-dot-that-ends-a-full-name"),
        pytest.param(b"example.net.:80", "example.net/", id="that-dot-before-a-port"),
        pytest.param(b"[::1]:8080", "[::1]/", id="ipv6"),
        pytest.param(b"[::2]", "*/", id="another-ipv6"),
        pytest.param(b"", "*/", id="no-host"),
        pytest.param(b"\xff\xfe", "*/", id="no-text"),
    ],
)
def test_the_most_specific_host_wins(authority: bytes, expected: str) -> None:
    assert name_of(HOSTS, authority, b"/") == expected


PATHS = router("*/", "*/api", "*/api/v2", "*/files/", "*/a%20b")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(b"/", "*/", id="root"),
        pytest.param(b"/other", "*/", id="anything"),
        pytest.param(b"/api", "*/api", id="the-prefix-itself"),
        pytest.param(b"/api/", "*/api", id="with-a-slash"),
        pytest.param(b"/api/x", "*/api", id="below"),
        pytest.param(b"/apix", "*/", id="half-a-segment"),
        pytest.param(b"/api/v2/x", "*/api/v2", id="the-longest-wins"),
        pytest.param(b"/api/v2x", "*/api", id="half-of-a-second-segment"),
        pytest.param(b"/files", "*/", id="a-prefix-with-a-slash-needs-it"),
        pytest.param(b"/files/x", "*/files/", id="below-a-prefix-with-a-slash"),
        pytest.param(b"/API", "*/", id="case-matters-in-a-path"),
        pytest.param(b"/%61pi", "*/", id="nothing-is-decoded"),
        pytest.param(b"/a%20b/c", "*/a%20b", id="escapes-match-as-written"),
        pytest.param(b"/x/../api", "*/", id="nothing-is-resolved"),
        pytest.param(b"/api/../x", "*/api", id="not-even-to-leave-the-prefix"),
        pytest.param(b"//api", "*/", id="an-empty-segment-is-a-segment"),
        pytest.param(b"*", "*/", id="options-asterisk"),
        pytest.param(b"/api/\xff", "*/api", id="no-text"),
    ],
)
def test_the_longest_path_of_whole_segments_wins(path: bytes, expected: str) -> None:
    assert name_of(PATHS, b"example.org", path) == expected


def test_a_host_counts_more_than_a_path() -> None:
    assert name_of(router("*/long/path", "example.org/"), b"example.org", b"/long/path") == "example.org/"


def test_a_host_without_a_matching_path_falls_through_to_a_wider_one() -> None:
    found = router("example.org/api", "*.org/images", "*/")
    assert name_of(found, b"example.org", b"/api/x") == "example.org/api"
    assert name_of(found, b"example.org", b"/images/x") == "*.org/images"
    assert name_of(found, b"example.org", b"/x") == "*/"


def test_a_request_that_no_route_wants_has_none() -> None:
    found = router("example.org/api")
    assert found.match(b"example.org", b"/x") is None
    assert found.match(b"example.net", b"/api") is None
    assert found.match(b"", b"/api") is None


def test_a_route_keeps_its_place_and_settings() -> None:
    routes = (RouteSettings(origin="a"), RouteSettings(origin="b", host="Example.org", path="/x"))
    found = Router(routes).match(b"example.org", b"/x")
    assert found is not None
    assert (found.index, found.name, found.settings) == (1, "example.org/x", routes[1])


def test_the_order_of_matching_can_be_read() -> None:
    assert repr(HOSTS) == (
        "Router(['a.b.example.org/', 'example.net/', '[::1]/', '*.b.example.org/', '*.example.org/', '*/'])"
    )


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["*", "*.c", "*.b.c", "a.b.c", "b.c"]),
            st.sampled_from(["/", "/p", "/p/q", "/p/"]),
        ),
        unique=True,
        min_size=1,
    ),
    st.sampled_from([b"a.b.c", b"b.c", b"c", b"x.b.c:1", b"", b"C."]),
    st.sampled_from([b"/", b"/p", b"/p/", b"/p/q", b"/p/q/r", b"/pq", b"*"]),
)
def test_the_choice_is_the_first_in_match_order_that_matches(
    places: list[tuple[str, str]], authority: bytes, path: bytes
) -> None:
    found = Router(RouteSettings(origin="app", host=host, path=prefix) for host, prefix in places)

    def matches(settings: RouteSettings) -> bool:
        host, prefix = settings.host.encode(), settings.path.encode()
        asked = host_of(authority)
        host_fits = host == b"*" or asked == host or (host.startswith(b"*.") and asked.endswith(host[1:]))
        segments_fit = path.startswith(prefix) and (path + b"/").startswith(prefix.rstrip(b"/") + b"/")
        return host_fits and (prefix == b"/" or segments_fit)

    expected = next((route for route in found.in_match_order if matches(route.settings)), None)
    assert found.match(authority, path) is expected
