from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.disk.layout import (
    BLOCK_BYTES,
    Footer,
    Unusable,
    block_count,
    fingerprint_of,
    read_footer,
    split_trailer,
    trailer,
)
from proxy.cache.disk.object_file import BlockChecksums, checksums_of
from proxy.cache.disk.place import place_of

PLACE = place_of(b"key", ())
U64 = st.integers(0, 2**64 - 1)


@given(U64, U64, U64, st.integers(0, 10 * BLOCK_BYTES), st.binary(max_size=50), st.booleans())
def test_a_footer_is_read_as_it_was_written(
    generation: int, epoch: int, fingerprint: int, body_bytes: int, record: bytes, soft: bool
) -> None:
    blocks = bytes(4 * block_count(body_bytes))
    footer = Footer(generation, epoch, fingerprint, PLACE, body_bytes, 0, 0, soft)
    ending = trailer(footer, blocks, record)
    read = read_footer(ending, file_bytes=body_bytes + len(ending))
    assert isinstance(read, Footer)
    assert (read.generation, read.epoch, read.fingerprint, read.place) == (
        generation,
        epoch,
        fingerprint,
        PLACE,
    )
    assert (read.body_bytes, read.soft) == (body_bytes, soft)
    assert split_trailer(read, ending) == (blocks, record)


@given(st.binary(max_size=200), st.integers(0, 10_000))
def test_other_octets_are_no_footer(tail: bytes, file_bytes: int) -> None:
    assert read_footer(tail, file_bytes=file_bytes) in (Unusable.TORN, Unusable.FOREIGN)


def test_a_file_of_another_length_is_torn() -> None:
    ending = trailer(Footer(1, 2, 3, PLACE, 0, 0, 0), b"", b"record")
    assert read_footer(ending, file_bytes=len(ending) + 1) is Unusable.TORN


def test_a_record_that_changed_is_torn() -> None:
    ending = trailer(Footer(1, 2, 3, PLACE, 0, 0, 0), b"", b"record")
    footer = read_footer(ending, file_bytes=len(ending))
    assert isinstance(footer, Footer)
    assert split_trailer(footer, b"R" + ending[1:]) is Unusable.TORN


@given(st.lists(st.integers(0, 2 * BLOCK_BYTES), max_size=4))
def test_checksums_do_not_depend_on_the_pieces(sizes: list[int]) -> None:
    body = bytes(sum(sizes))
    sums = BlockChecksums()
    for size in sizes:
        sums.update(bytes(size))
    assert sums.body_bytes == len(body)
    assert sums.finish() == checksums_of([body])
    assert len(checksums_of([body])) == 4 * block_count(len(body))


@given(st.frozensets(st.binary(max_size=8), max_size=5), st.binary(max_size=8))
def test_a_fingerprint_has_every_tag_that_is_there(tags: frozenset[bytes], tag: bytes) -> None:
    mask = fingerprint_of(frozenset({tag}))
    assert fingerprint_of(tags | {tag}) & mask == mask
