"""What the cache does about a write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from proxy.cache.cache import ResponseCache
from proxy.config.settings import CacheSettings, RouteSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.keys import key_of_target
from proxy.routing import Router
from proxy.writes.effects import CacheEffects
from proxy.writes.outcomes import Effect
from proxy.writes.policy import WritePolicy
from proxy.writes.write import Write
from tests.cache.stored import entry
from tests.origin.manual_clock import ManualClock
from tests.writes.making import make_write

ROUTE = RouteSettings(origin="a")
POLICY = WritePolicy(origin="a", origin_timeout_s=30.0)
OK = ResponseHead(200, Fields())


def key(target: bytes) -> bytes:
    request = RequestHead("GET", target, Fields(), authority=b"example.org")
    return key_of_target("*/", request, route=ROUTE)


class Stage:
    """A cache under one route, and what keeps it true."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.cache = ResponseCache(CacheSettings(), clock=self.clock)
        self.effects = CacheEffects(self.cache, Router([ROUTE]))

    def store(self, target: bytes, *, tags: frozenset[bytes] = frozenset(), began: int | None = None) -> bool:
        stored = entry(key(target), tags=tags, requested_mono=self.clock.mono())
        began = self.cache.fences.epoch if began is None else began
        return self.cache.store(stored, began=began, max_variants=4)

    def has(self, target: bytes) -> bool:
        return self.cache.get(key(target), ()) is not None

    def is_fresh(self, target: bytes) -> bool:
        found = self.cache.get(key(target), ())
        assert found is not None
        return found.ttl_s(self.clock.mono()) > 0

    def apply(
        self, effect: Effect, write: Write, head: ResponseHead | None = OK, policy: WritePolicy = POLICY
    ) -> tuple[str, ...]:
        return self.effects.apply(effect, write, policy, head)


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.effects.close()
    made.cache.close()


def test_before_the_send_what_is_stored_is_served_still_and_fills_are_fenced(stage: Stage) -> None:
    stage.store(b"/posts/1")
    began = stage.cache.fences.enter()
    stage.effects.fence(make_write(), POLICY)
    assert stage.has(b"/posts/1")
    assert stage.cache.fences.crossed(began, key(b"/posts/1"))
    assert not stage.cache.fences.crossed(began, key(b"/posts/2"))


def test_the_fence_stands_before_what_a_write_changes_besides(stage: Stage) -> None:
    began = stage.cache.fences.enter()
    write = replace(make_write(), changed_targets=(b"/posts",), changed_tags=(b"feed",))
    stage.effects.fence(write, POLICY)
    assert stage.cache.fences.crossed(began, key(b"/posts"))
    assert stage.cache.fences.crossed(began, key(b"/home"), frozenset({b"feed"}))
    assert not stage.cache.fences.crossed(began, key(b"/home"))


def test_a_read_that_raced_a_write_stores_nothing(stage: Stage) -> None:
    began = stage.cache.fences.enter()
    stage.effects.fence(make_write(), POLICY)
    stage.apply(Effect.INVALIDATE, make_write())
    assert not stage.store(b"/posts/1", began=began)
    assert stage.store(b"/posts/1")


def test_a_commit_invalidates_what_it_changes(stage: Stage) -> None:
    targets = (b"/posts/1", b"/posts", b"/new", b"/also", b"/other")
    for target in targets:
        stage.store(target)
    stage.store(b"/feed", tags=frozenset({b"feed"}))
    write = replace(make_write(), changed_targets=(b"/posts",), changed_tags=(b"feed",))
    head = ResponseHead(201, Fields([(b"Location", b"/new"), (b"Content-Location", b"/also")]))
    names = stage.apply(Effect.INVALIDATE, write, head)
    left = [target for target in (*targets, b"/feed") if stage.has(target)]
    assert left == [b"/other"]
    assert names == ("/posts/1", "/new", "/also", "/posts", "feed")


def test_an_unknown_outcome_invalidates_and_nothing_is_stored_for_a_while(stage: Stage) -> None:
    stage.store(b"/posts/1")
    stage.apply(Effect.INVALIDATE_AND_HOLD, make_write(), None)
    assert not stage.has(b"/posts/1")
    stage.clock.advance(29.0)
    assert not stage.store(b"/posts/1")
    assert stage.store(b"/posts/2")
    stage.clock.advance(1.0)
    assert stage.store(b"/posts/1")


def test_replicas_that_lag_keep_answers_out_after_a_commit(stage: Stage) -> None:
    stage.apply(Effect.INVALIDATE, make_write(), OK, replace(POLICY, origin_lag_s=2.0))
    assert not stage.store(b"/posts/1")
    stage.clock.advance(2.0)
    assert stage.store(b"/posts/1")


def test_a_failure_makes_stale(stage: Stage) -> None:
    stage.store(b"/posts/1")
    assert stage.apply(Effect.SOFTEN, make_write(), ResponseHead(500, Fields())) == ()
    assert not stage.is_fresh(b"/posts/1")


def test_what_was_not_applied_changes_nothing(stage: Stage) -> None:
    stage.store(b"/posts/1")
    assert stage.apply(Effect.NONE, make_write(), ResponseHead(422, Fields())) == ()
    assert stage.is_fresh(b"/posts/1")


def test_a_target_without_a_route_changes_nothing(stage: Stage) -> None:
    effects = CacheEffects(stage.cache, Router([RouteSettings(origin="a", host="else.example")]))
    stage.store(b"/posts/1")
    effects.apply(Effect.INVALIDATE, make_write(), POLICY, OK)
    assert stage.has(b"/posts/1")


def test_other_routes_may_be_used_from_now_on(stage: Stage) -> None:
    stage.apply(Effect.INVALIDATE, make_write())
    stage.store(b"/posts/1")
    stage.effects.use(Router([RouteSettings(origin="a", path="/elsewhere")]))
    stage.apply(Effect.INVALIDATE, make_write())
    assert stage.has(b"/posts/1")
    stage.effects.use(Router([ROUTE]))
    stage.apply(Effect.INVALIDATE, make_write())
    assert not stage.has(b"/posts/1")


async def test_bounded_reads_fence_nothing_and_invalidate_now_and_then() -> None:
    stage = Stage()
    policy = replace(POLICY, stale_reads_s=3600.0)
    began = stage.cache.fences.enter()
    stage.effects.fence(make_write(), policy)
    assert not stage.cache.fences.crossed(began, key(b"/posts/1"))
    stage.store(b"/posts/1")
    stage.apply(Effect.INVALIDATE, make_write(), OK, policy)
    assert not stage.has(b"/posts/1")
    stage.store(b"/posts/1")
    stage.apply(Effect.INVALIDATE, make_write(), OK, policy)
    assert stage.has(b"/posts/1")
    stage.effects.close()
    assert not stage.has(b"/posts/1")
    stage.cache.close()


async def test_it_waits_until_no_restart_brings_back_what_was_invalidated(stage: Stage) -> None:
    await stage.effects.durable()
