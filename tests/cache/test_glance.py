from __future__ import annotations

from proxy.cache.cache import ResponseCache
from proxy.config.settings import CacheSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.sharing import Reason
from tests.cache.stored import entry
from tests.origin.manual_clock import ManualClock

GERMAN = RequestHead("GET", b"/", Fields([(b"X-Lang", b"de")]))
ONE = entry(b"k0", size=1_000).size_bytes()


def _cache(clock: ManualClock, *, room_for: int = 100, keys: int = 100) -> ResponseCache:
    settings = CacheSettings(max_bytes=room_for * ONE, max_entry_bytes=ONE, max_keys_remembered=keys)
    return ResponseCache(settings, clock=clock)


def test_a_glance_sees_what_a_look_sees() -> None:
    clock = ManualClock()
    cache = _cache(clock)
    german = entry(variant=(b"de",))
    cache.store(german, began=cache.fences.enter(), max_variants=4)
    cache.keys.mark_not_shareable(b"key", (b"nl",), Reason.PRIVATE, for_s=10.0)
    cache.keys.mark_unreachable(b"key", "refused", for_s=10.0)
    glance = cache.glance()
    assert glance.variant_of(b"key", GERMAN) == cache.variant_of(b"key", GERMAN) == (b"de",)
    assert glance.get(b"key", (b"de",)) is german
    assert glance.get(b"key", (b"nl",)) is None
    assert glance.variants(b"key") == [german]
    assert glance.varies_on(b"key") == (b"x-lang",)
    assert glance.not_shareable(b"key", (b"nl",)) is cache.not_shareable(b"key", (b"nl",)) is Reason.PRIVATE
    assert glance.unreachable(b"key") == cache.unreachable(b"key") == "refused"
    clock.advance(11)
    assert glance.not_shareable(b"key", (b"nl",)) is None
    assert glance.unreachable(b"key") is None


def test_a_glance_at_an_entry_is_no_use_of_it() -> None:
    cache = _cache(ManualClock(), room_for=3)
    for name in (b"k0", b"k1", b"k2"):
        cache.store(entry(name, size=1_000), began=cache.fences.enter(), max_variants=4)
    cache.glance().get(b"k0", ())
    cache.store(entry(b"k3", size=1_000), began=cache.fences.enter(), max_variants=4)
    assert cache.get(b"k0", ()) is None


def test_a_glance_keeps_no_mark_alive() -> None:
    cache = _cache(ManualClock(), keys=2)
    for name in (b"k0", b"k1"):
        cache.keys.mark_unreachable(name, "refused", for_s=10.0)
    cache.glance().unreachable(b"k0")
    cache.keys.mark_unreachable(b"k2", "refused", for_s=10.0)
    assert cache.unreachable(b"k0") is None
