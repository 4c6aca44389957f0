from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.cache.disk.bans import Bans, Purge
from proxy.cache.disk.directory import Directory
from proxy.cache.disk.index import Indexed
from proxy.cache.disk.layout import BLOCK_BYTES, FOOTER_BYTES, Unusable
from proxy.cache.disk.object_file import (
    TAIL_BYTES,
    Loaded,
    allocated_bytes,
    checksums_of,
    ending_of,
    examine,
    load_object,
    read_block,
)
from proxy.cache.disk.place import Place, place_of
from proxy.cache.disk.record import Record
from tests.cache.disk.entries import BOOT, KEY, an_entry

GENERATION = 5
SAME_DIRECTORY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def ours(directory: Path) -> Directory:
    opened = Directory(directory)
    opened.objects.mkdir(parents=True)
    opened.parts.mkdir()
    return opened


def whole_file(body: bytes, *, epoch: int = 3, **entry: object) -> tuple[Place, bytes]:
    record = Record.of(an_entry(body=body, **entry), boot=BOOT)  # type: ignore[arg-type]
    ending = ending_of(record, checksums_of([body]), body_bytes=len(body), generation=GENERATION, epoch=epoch)
    return place_of(record.key, record.variant), body + ending


def load(ours: Directory, place: Place, *, whole_bytes: int = 10**9) -> Loaded | Unusable:
    loaded = load_object(ours, place, generation=GENERATION, whole_bytes=whole_bytes)
    if isinstance(loaded, Loaded) and loaded.fd is not None:
        os.close(loaded.fd)
    return loaded


def look(ours: Directory, place: Place, bans: Bans | None = None) -> Indexed | Unusable:
    return examine(ours, place, generation=GENERATION, bans=bans or Bans(), frame_bytes=4096)


@pytest.mark.parametrize(
    "size", [0, 1, 100, TAIL_BYTES, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES]
)
def test_a_file_of_any_size_is_read_as_it_was_written(ours: Directory, size: int) -> None:
    body = os.urandom(size)
    place, octets = whole_file(body, tags={b"t"})
    ours.write_object(place, [octets], fsync=False)
    loaded = load(ours, place)
    assert isinstance(loaded, Loaded)
    assert loaded.body == body
    assert loaded.record.tags == {b"t"}
    large = load(ours, place, whole_bytes=-1)
    assert isinstance(large, Loaded)
    assert large.body is None
    assert large.record == loaded.record
    found = look(ours, place)
    assert isinstance(found, Indexed)
    assert found.allocated_bytes == allocated_bytes(len(octets), 4096)


def test_a_head_larger_than_the_tail_is_read(ours: Directory) -> None:
    place, octets = whole_file(b"x" * 9000, key=b"k" * 3 * TAIL_BYTES)
    ours.write_object(place, [octets], fsync=False)
    assert isinstance(load(ours, place, whole_bytes=10), Loaded)
    assert isinstance(look(ours, place), Indexed)


@pytest.mark.slow
@given(octets=st.binary(max_size=400) | st.binary(max_size=20).map(lambda seed: seed * 900))
@SAME_DIRECTORY
def test_any_octets_in_a_file_are_never_served_and_raise_nothing(ours: Directory, octets: bytes) -> None:
    place = place_of(KEY, ())
    ours.write_object(place, [octets], fsync=False)
    assert isinstance(load(ours, place), Unusable)
    assert isinstance(look(ours, place), Unusable)


def test_a_file_cut_at_any_octet_is_never_served(ours: Directory) -> None:
    place, octets = whole_file(b"a body", varies_on=(b"a",), variant=(b"b",))
    for length in range(len(octets)):
        ours.write_object(place, [octets[:length]], fsync=False)
        assert load(ours, place) is Unusable.TORN
        assert look(ours, place) is Unusable.TORN


@pytest.mark.slow
def test_a_bit_that_changed_anywhere_but_in_the_body_is_found_without_reading_the_body(
    ours: Directory,
) -> None:
    place, octets = whole_file(b"a body", varies_on=(b"a",), variant=(b"b",))
    for at in range(len(b"a body"), len(octets)):
        changed = octets[:at] + bytes([octets[at] ^ 1 << at % 8]) + octets[at + 1 :]
        ours.write_object(place, [changed], fsync=False)
        assert isinstance(load(ours, place, whole_bytes=-1), Unusable), at
        assert isinstance(look(ours, place), Unusable), at


@pytest.mark.slow
@given(at=st.integers(0, 2 * BLOCK_BYTES + 4999), bit=st.integers(0, 7))
@settings(SAME_DIRECTORY, max_examples=40)
def test_a_bit_that_changed_in_the_body_is_found_when_it_is_read(ours: Directory, at: int, bit: int) -> None:
    body = bytes(2 * BLOCK_BYTES + 5000)
    place, octets = whole_file(body)
    changed = bytearray(octets)
    changed[at] ^= 1 << bit
    ours.write_object(place, [bytes(changed)], fsync=False)
    assert load(ours, place) is Unusable.TORN
    loaded = load_object(ours, place, generation=GENERATION, whole_bytes=-1)
    assert isinstance(loaded, Loaded)
    assert loaded.fd is not None
    for number in range(3):
        count = min(BLOCK_BYTES, len(body) - number * BLOCK_BYTES)
        read = read_block(loaded.fd, loaded.blocks, number, count)
        assert (read is None) == (number == at // BLOCK_BYTES)
    os.close(loaded.fd)


def test_a_file_under_another_name_is_foreign(ours: Directory) -> None:
    _, octets = whole_file(b"x")
    other = place_of(b"other", ())
    ours.write_object(other, [octets], fsync=False)
    assert load(ours, other) is Unusable.FOREIGN
    assert look(ours, other) is Unusable.FOREIGN


def test_a_file_of_another_generation_or_version_is_not_believed(ours: Directory) -> None:
    place, octets = whole_file(b"x")
    ours.write_object(place, [octets], fsync=False)
    assert load_object(ours, place, generation=6, whole_bytes=10) is Unusable.GENERATION
    at = len(octets) - FOOTER_BYTES
    ours.write_object(place, [octets[:at] + b"LckGate0" + octets[at + 8 :]], fsync=False)
    assert load(ours, place) is Unusable.TORN


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/etc/passwd", path)])
def test_what_is_no_file_is_foreign_and_waits_for_nobody(ours: Directory, make: object) -> None:
    place = place_of(KEY, ())
    path = ours.objects / place.path
    path.parent.mkdir()
    make(path)  # type: ignore[operator]
    assert load(ours, place) is Unusable.FOREIGN
    assert look(ours, place) is Unusable.FOREIGN


def test_a_missing_file_is_missing(ours: Directory) -> None:
    assert load(ours, place_of(KEY, ())) is Unusable.MISSING


def test_the_index_learns_what_is_purged_and_what_is_stale(ours: Directory) -> None:
    place, octets = whole_file(b"x", epoch=3, tags={b"t"})
    ours.write_object(place, [octets], fsync=False)
    bans = Bans()
    bans.add(Purge.tag(b"t"), sequence=3)
    assert isinstance(look(ours, place, bans), Indexed)
    bans.add(Purge.tag(b"t", soft=True), sequence=4)
    found = look(ours, place, bans)
    assert isinstance(found, Indexed)
    assert found.soft
    bans.add(Purge.tag(b"t"), sequence=5)
    assert look(ours, place, bans) is Unusable.PURGED


def test_a_soft_purge_is_marked_in_the_file(ours: Directory) -> None:
    place, octets = whole_file(b"x")
    ours.write_object(place, [octets], fsync=False)
    ours.soften_object(place)
    loaded = load(ours, place)
    assert isinstance(loaded, Loaded)
    assert loaded.footer.soft
    found = look(ours, place)
    assert isinstance(found, Indexed)
    assert found.soft
