from __future__ import annotations

import pytest

from proxy.cache.disk.bans import Purge
from proxy.cache.disk.heads import Head, Heads
from proxy.cache.disk.layout import Footer, read_footer
from proxy.cache.disk.loads import Loads
from proxy.cache.disk.object_file import checksums_of, ending_of
from proxy.cache.disk.place import Place, place_of
from proxy.cache.disk.record import Record
from proxy.cache.disk.store import DiskStore
from proxy.cache.entry import Entry
from tests.cache.disk.entries import BOOT, KEY, a_key, an_entry, body_of, stored

BODY = b"a body of some octets"
PLACE = place_of(KEY, ())


def written(entry: Entry) -> tuple[Footer, bytes]:
    """Footer and trailer of the entry's file."""
    body = b"".join(entry.body.pieces)
    trailer = ending_of(
        Record.of(entry, boot=BOOT), checksums_of([body]), body_bytes=len(body), generation=1, epoch=0
    )
    footer = read_footer(trailer, file_bytes=len(body) + len(trailer))
    assert isinstance(footer, Footer)
    return footer, trailer


def kept(entry: Entry, *, max_bytes: int = 100_000) -> tuple[Heads, bytes]:
    """A table with the head of this entry, and its trailer."""
    heads, (footer, trailer) = Heads(max_bytes=max_bytes), written(entry)
    heads.keep(PLACE, footer, trailer, entry)
    return heads, trailer


def head_of(heads: Heads, place: Place = PLACE) -> Head:
    head = heads.get(place)
    assert head is not None
    return head


@pytest.mark.parametrize("body", [BODY, b""])
def test_a_file_with_the_same_end_has_the_same_head(body: bytes) -> None:
    entry = an_entry(body=body)
    heads, trailer = kept(entry)
    found = head_of(heads).of(body + trailer)
    assert found is not None
    assert b"".join(found.body.pieces) == body
    assert (found.head, found.terms, found.received_mono) == (entry.head, entry.terms, entry.received_mono)
    assert found.memo is entry.memo is not None  # written out once for all hits


def test_each_hit_has_an_entry_of_its_own() -> None:
    heads, trailer = kept(an_entry(body=BODY))
    first, second = (head_of(heads).of(BODY + trailer) for _ in range(2))
    assert first is not None
    assert second is not None
    first.soften(0.0)
    assert not second.purged_softly


@pytest.mark.parametrize("at", [0, len(BODY) - 1, len(BODY), -1])
def test_a_file_that_differs_in_one_bit_has_not(at: int) -> None:
    heads, trailer = kept(an_entry(body=BODY))
    octets = bytearray(BODY + trailer)
    octets[at] ^= 1
    assert head_of(heads).of(bytes(octets)) is None


def test_what_was_purged_softly_is_not_kept() -> None:
    entry = an_entry(body=BODY)
    entry.soften(0.0)
    assert len(kept(entry)[0]) == 0


def test_the_table_is_bounded() -> None:
    assert len(kept(an_entry(body=BODY), max_bytes=100)[0]) == 0
    heads, _ = kept(an_entry(body=BODY), max_bytes=20_000)
    footer, trailer = written(an_entry(body=BODY))
    for number in range(20):
        heads.keep(place_of(b"%d" % number, ()), footer, trailer, an_entry(body=BODY))
    assert 0 < len(heads) < 10


@pytest.fixture
async def loads(store: DiskStore) -> Loads:
    """A store that has read the head of one entry, in which the kernel reads at once."""
    await stored(store, an_entry(body=BODY))
    if store.load_nowait(KEY, ()) is None:
        pytest.skip("kernel or file system cannot read without waiting")
    assert store._loads._heads.get(PLACE) is not None
    return store._loads


@pytest.mark.usefixtures("loads")
async def test_what_replaced_it_is_what_is_served(store: DiskStore) -> None:
    await stored(store, an_entry(body=b"younger", requested_mono=1_001.0))
    assert await body_of(store.load_nowait(KEY, ())) == b"younger"
    assert await body_of(store.load_nowait(KEY, ())) == b"younger"


@pytest.mark.usefixtures("loads")
@pytest.mark.parametrize("purge", [Purge.key(KEY), Purge.tag(b"none")], ids=["covers-it", "another"])
async def test_a_purge_is_heeded_before_its_sweep(store: DiskStore, purge: Purge) -> None:
    receipt = store.purge(purge)
    found = store.load_nowait(KEY, ())
    assert (found is None) == (purge.subject != b"none")
    await receipt.removed()
    assert (store.load_nowait(KEY, ()) is None) == (purge.subject != b"none")


@pytest.mark.usefixtures("loads")
async def test_a_soft_purge_is_heeded(store: DiskStore) -> None:
    receipt = store.purge(Purge.key(KEY, soft=True))
    await receipt.removed()
    found = store.load_nowait(KEY, ())
    assert found is not None
    assert found.purged_softly


async def test_another_key_of_the_same_digest_is_not_served(loads: Loads) -> None:
    head = head_of(loads._heads)
    assert loads._read_again(head, PLACE, a_key(b"/another"), ()) is None
