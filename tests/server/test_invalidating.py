"""What an answer to a write tells to be untrue goes; what it says nothing of stays."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.cache.cache import ResponseCache
from proxy.config.settings import CacheSettings, LimitsSettings, RouteSettings
from proxy.http.fields import Fields, Pair
from proxy.http.messages import ResponseHead
from proxy.policy.keys import cache_key
from proxy.routing import Router
from proxy.server.invalidating import Invalidating
from proxy.server.prepared import Prepared, PreparedHeads
from tests.cache.stored import entry as an_entry
from tests.origin.manual_clock import ManualClock
from tests.server.test_prepared import parsed


class Bench:
    """A cache with the answers to some GETs in it."""

    def __init__(self, *targets: str, **route: Any) -> None:
        self.router = Router([RouteSettings(origin="app", **route)])
        self.heads = PreparedHeads(
            self.router, limits=LimitsSettings(), via_name="Lockgate", is_own=lambda _path: False
        )
        self.cache = ResponseCache(CacheSettings(), clock=ManualClock())
        self.invalidating = Invalidating(cache=self.cache, heads=self.heads)
        self.keys = {target: self._key(target) for target in targets}
        for key in self.keys.values():
            assert self.cache.store(an_entry(key), began=self.cache.fences.epoch, max_variants=4)

    def request(self, method: str, target: str) -> Prepared:
        octets = f"{method} {target} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode()
        prepared = self.heads.prepare(parsed(octets), scheme="http", trusted=False)
        assert isinstance(prepared, Prepared)
        return prepared

    def _key(self, target: str) -> bytes:
        prepared = self.request("GET", target)
        return cache_key(prepared.route.name, prepared.seen, route=prepared.route.settings)

    @property
    def stored(self) -> set[str]:
        return {target for target, key in self.keys.items() if self.cache.get(key, ()) is not None}


def head(status: int = 200, *fields: Pair) -> ResponseHead:
    return ResponseHead(status, Fields(fields))


@pytest.mark.parametrize(
    ("status", "stays"), [(200, False), (204, False), (303, False), (404, True), (500, True)]
)
async def test_a_write_that_did_not_fail_takes_its_own_target(status: int, stays: bool) -> None:
    bench = Bench("/a", "/b")
    bench.invalidating.answered(bench.request("POST", "/a"), head(status))
    assert bench.stored == ({"/a", "/b"} if stays else {"/b"})


async def test_reading_takes_nothing() -> None:
    bench = Bench("/a")
    bench.invalidating.answered(bench.request("GET", "/a"), head())
    bench.invalidating.unknown(bench.request("GET", "/a"))
    assert bench.stored == {"/a"}


async def test_location_and_content_location_of_the_same_origin_go_too() -> None:
    bench = Bench("/a", "/b", "/c", "/d")
    answer = head(201, (b"Location", b"/b"), (b"Content-Location", b"http://shop.example/c"))
    bench.invalidating.answered(bench.request("POST", "/a"), answer)
    assert bench.stored == {"/d"}


async def test_another_origin_cannot_be_named() -> None:
    bench = Bench("/a", "/b")
    bench.invalidating.answered(
        bench.request("POST", "/a"), head(201, (b"Location", b"http://else.example/b"))
    )
    assert bench.stored == {"/b"}


async def test_a_write_whose_outcome_is_unknown_takes_its_target() -> None:
    bench = Bench("/a", "/b")
    bench.invalidating.unknown(bench.request("DELETE", "/a"))
    assert bench.stored == {"/b"}


async def test_a_route_that_caches_nothing_has_nothing_to_take() -> None:
    bench = Bench("/a", cache={"enabled": False})
    epoch = bench.cache.fences.epoch
    bench.invalidating.answered(bench.request("POST", "/a"), head())
    assert bench.cache.fences.epoch == epoch
