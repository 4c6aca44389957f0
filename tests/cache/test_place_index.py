from __future__ import annotations

import sys

from proxy.cache.entry import LABEL_OVERHEAD_BYTES, Entry
from proxy.cache.place_index import Place, PlaceIndex
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.policy.key_parts import page_of
from proxy.policy.keys import cache_key
from proxy.policy.purges import labels_of
from tests.cache.stored import entry
from tests.policy.heads import fields_of, route

KEYED = route(cookies="key")
SEARCH = labels_of(fields_of("No-Vary-Search: params"), origin=b"http://a")


def _stored(target: bytes, cookie: bytes = b"", tags: frozenset[bytes] = frozenset()) -> tuple[Place, Entry]:
    fields = Fields([(b"Cookie", cookie)] if cookie else [])
    key = cache_key("r", RequestHead("GET", target, fields, authority=b"a"), route=KEYED)
    return (key, ()), entry(key, tags=tags)


def test_what_has_a_label_is_found_until_it_goes() -> None:
    index = PlaceIndex()
    place, one = _stored(b"/a", tags=frozenset({b"t", b"u"}))
    other_place, other = _stored(b"/b", tags=frozenset({b"t"}))
    index.add(place, one)
    index.add(other_place, other)
    assert index.labelled(b"t") == [place, other_place]
    index.discard(place, one)
    assert (index.labelled(b"t"), index.labelled(b"u")) == ([other_place], [])


def test_a_page_has_only_what_its_url_does_not_tell() -> None:
    index = PlaceIndex()
    plain, keyed = _stored(b"/a?x"), _stored(b"/a?x", b"id=1")
    searching = _stored(b"/a?y", tags=SEARCH)
    for place, one in (plain, keyed, searching):
        index.add(place, one)
    assert index.on_page(page_of(plain[0][0])) == [keyed[0], searching[0]]


def test_nothing_is_left_of_what_is_gone() -> None:
    index = PlaceIndex()
    stored = [_stored(b"/%d" % n, b"id=%d" % n, frozenset({b"t", b"t%d" % n})) for n in range(20)]
    for place, one in stored:
        index.add(place, one)
    assert set(index.take([b"t"])) == {place for place, _ in stored}
    for place, one in stored:
        index.discard(place, one)
    assert len(index) == 0


def test_what_is_taken_is_not_found_again_and_what_comes_after_is() -> None:
    index = PlaceIndex()
    shared, several = _stored(b"/a", tags=frozenset({b"t"})), _stored(b"/b", tags=frozenset({b"t", b"u"}))
    other, later = _stored(b"/c", tags=frozenset({b"u", b"v"})), _stored(b"/d", tags=frozenset({b"t"}))
    for place, one in (shared, several, other):
        index.add(place, one)
    taken = index.take([b"t", b"u", b"absent"])
    assert set(taken) == {shared[0], several[0], other[0]}
    assert index.take([b"t", b"u"]) == {}
    assert index.labelled(b"v") == [other[0]]
    index.add(*later)
    assert index.labelled(b"t") == [later[0]]
    index.discard(*shared)  # as the sweep does, later
    assert index.labelled(b"t") == [later[0]]


def test_a_label_is_charged_for_what_its_place_takes() -> None:
    place, _ = _stored(b"/a")
    alone = sys.getsizeof({place: None}) + sys.getsizeof(b"x" * 20) - 20 + 100  # slots of two tables
    assert alone <= LABEL_OVERHEAD_BYTES
