from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.disk.record import Moment, Record, decode_record, encode_record
from proxy.cache.entry import Entry
from proxy.coalesce.body import SharedBody
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.policy.freshness import LifetimeSource
from proxy.policy.terms import Terms
from tests.cache.disk.entries import BOOT, an_entry

OCTETS = st.binary(max_size=12)
SECONDS = st.floats(0, 1e9)


@st.composite
def records(draw: st.DrawFn) -> Record:
    variant = draw(st.lists(st.tuples(OCTETS, st.none() | OCTETS), max_size=3))
    terms = Terms(
        draw(SECONDS), draw(st.sampled_from(LifetimeSource)), draw(SECONDS), draw(SECONDS), draw(SECONDS),
        draw(st.booleans()), draw(st.booleans()),
    )  # fmt: skip
    fields = Fields(draw(st.lists(st.tuples(OCTETS, OCTETS), max_size=4)))
    return Record(
        key=draw(OCTETS),
        varies_on=tuple(name for name, _ in variant),
        variant=tuple(value for _, value in variant),
        head=ResponseHead(draw(st.integers(100, 999)), fields, draw(OCTETS), draw(st.integers(0, 1))),
        terms=terms,
        initial_age_s=draw(SECONDS),
        requested_mono=draw(SECONDS),
        received_mono=draw(SECONDS),
        received_at=draw(SECONDS),
        boot=BOOT,
        tags=draw(st.frozensets(OCTETS, max_size=3)),
    )


@pytest.mark.slow
@given(records())
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert decode_record(encode_record(record)) == record


@pytest.mark.slow
@given(records(), st.data())
def test_a_part_of_a_record_is_no_record(record: Record, data: st.DataObject) -> None:
    octets = encode_record(record)
    assert decode_record(octets[: data.draw(st.integers(0, len(octets) - 1))]) is None
    assert decode_record(octets + b"\x00") is None


@given(st.binary(max_size=300))
def test_any_octets_are_a_record_or_none(octets: bytes) -> None:
    record = decode_record(octets)
    assert record is None or decode_record(encode_record(record)) == record


@pytest.mark.slow
@given(records(), st.data())
def test_a_record_with_other_octets_never_raises(record: Record, data: st.DataObject) -> None:
    octets = bytearray(encode_record(record))
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    decode_record(bytes(octets))


def again(entry: Entry, at: Moment) -> Entry:
    record = decode_record(encode_record(Record.of(entry, boot=BOOT)))
    assert record is not None
    return record.entry(SharedBody.complete([b"body"]), at=at)


@pytest.mark.parametrize("step_s", [-1e6, 0.0, 1e6])
def test_in_the_same_boot_a_step_of_the_wall_clock_changes_no_age(step_s: float) -> None:
    entry = an_entry(received_mono=1_000.0, received_at=5_000.0)
    read = again(entry, Moment(now=5_010.0 + step_s, mono=1_010.0, boot=BOOT))
    assert read.current_age_s(1_010.0) == entry.current_age_s(1_010.0) == 11.5
    assert read.requested_mono == entry.requested_mono
    assert not read.purged_softly


def test_after_another_boot_the_wall_clock_tells_the_age() -> None:
    entry = an_entry(requested_mono=999.0, received_mono=1_000.0, received_at=5_000.0)
    read = again(entry, Moment(now=5_010.0, mono=3.0, boot=b"another."))
    assert read.current_age_s(3.0) == 11.5
    assert read.requested_mono == read.received_mono - 1.0
    assert not read.purged_softly


def test_after_another_boot_with_the_clock_set_back_it_must_be_validated() -> None:
    entry = an_entry(received_mono=1_000.0, received_at=5_000.0)
    read = again(entry, Moment(now=4_990.0, mono=3.0, boot=b"another."))
    assert read.purged_softly
    assert read.ttl_s(3.0) < 0


@pytest.mark.parametrize(
    ("soft", "soft_since", "since_mono"),
    [
        (False, None, None),
        (True, None, 1_030.0),
        (False, 5_020.0, 1_020.0),
        (True, 5_020.0, 1_020.0),
        (False, 9e9, 1_000.0),
    ],
    ids=["not", "now", "marked", "marked-and-now", "marked-in-the-future"],
)
def test_a_soft_purge_counts_from_when_it_was_marked(
    soft: bool, soft_since: float | None, since_mono: float | None
) -> None:
    entry = an_entry(received_mono=1_000.0, received_at=5_000.0)
    read = Record.of(entry, boot=BOOT).entry(
        SharedBody.complete([]), at=Moment(5_030.0, 1_030.0, BOOT), soft=soft, soft_since=soft_since
    )
    assert read.softened_mono == since_mono
    assert read.purged_softly == (since_mono is not None)


def test_everything_of_an_entry_but_its_body_comes_back() -> None:
    entry = an_entry(varies_on=(b"a", b"b"), variant=(b"1", None), tags={b"t"})
    read = again(entry, Moment(now=1_800_000_000.0, mono=1_000.0, boot=BOOT))
    names = {field.name for field in fields(Entry)} - {"body", "memo"}
    assert {name: getattr(read, name) for name in names} == {name: getattr(entry, name) for name in names}
