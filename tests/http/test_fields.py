"""Fields keep what came: order, case and octets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import MAX_SHAPES, Fields, PackedFields, Pair

FIELDS = Fields([(b"A", b"1"), (b"X-B", b" 2 , 3"), (b"x-b", b",4")])

PAIRS = st.lists(st.tuples(st.sampled_from([b"a", b"A", b"b"]), st.binary(max_size=5)), max_size=6)


def test_a_field_is_found_by_its_lower_case_name() -> None:
    assert FIELDS.get(b"a") == b"1"
    assert FIELDS.get(b"x-b") == b" 2 , 3, ,4"
    assert FIELDS.get_all(b"x-b") == (b" 2 , 3", b",4")
    assert FIELDS.members(b"x-b") == (b"2", b"3", b"4")
    assert b"x-b" in FIELDS
    assert b"X-B" not in FIELDS


def test_an_absent_field_is_none_or_empty() -> None:
    assert FIELDS.get(b"c") is None
    assert FIELDS.get_all(b"c") == ()
    assert FIELDS.members(b"c") == ()


def test_copies_leave_the_original_alone() -> None:
    assert FIELDS.without([b"x-b"]) == Fields([(b"A", b"1")])
    assert FIELDS.with_set(b"a", b"2") == Fields([*list(FIELDS)[1:], (b"a", b"2")])
    assert len(FIELDS) == 3


def test_the_size_is_that_on_the_wire() -> None:
    wire = b"".join(name + b": " + value + b"\r\n" for name, value in FIELDS)
    assert FIELDS.size_bytes() == len(wire)


@given(PAIRS)
def test_equal_fields_are_one_in_a_set(pairs: list[Pair]) -> None:
    assert len({Fields(pairs), Fields(iter(pairs))}) == 1
    assert list(Fields(pairs)) == pairs


@given(PAIRS)
def test_without_takes_out_every_line(pairs: list[Pair]) -> None:
    rest = Fields(pairs).without([b"a"])
    assert b"a" not in rest
    assert rest.get_all(b"b") == Fields(pairs).get_all(b"b")


def _packed(fields: Fields) -> Fields:
    fields.packed()  # the first of a kind stays as it is
    return fields.packed()


@given(PAIRS)
def test_packed_fields_say_the_same(pairs: list[Pair]) -> None:
    plain, packed = Fields(pairs), _packed(Fields(pairs))
    assert (packed, hash(packed), len(packed), list(packed)) == (plain, hash(plain), len(plain), list(plain))
    assert packed.packed() is packed
    assert set(packed.names()) == set(plain.names())
    for name in (b"a", b"b", b"c", b"A"):
        assert (name in packed) == (name in plain)
        assert packed.get(name) == plain.get(name)
        assert packed.get_all(name) == plain.get_all(name)
        assert packed.members(name) == plain.members(name)
    assert packed.size_bytes() == plain.size_bytes()
    assert packed.without([b"a"]) == plain.without([b"a"])
    assert packed.with_set(b"B", b"x") == plain.with_set(b"B", b"x")


def test_packed_fields_keep_their_values_alone() -> None:
    packed = _packed(FIELDS)
    assert isinstance(packed, PackedFields)
    assert packed.kept_bytes() <= sum(len(value) + 1 for _, value in FIELDS)
    assert repr(packed) == f"Packed{FIELDS!r}"


def test_what_could_not_be_told_apart_again_is_not_packed() -> None:
    fields = Fields([(b"A", b"1\n2"), (b"B", b"3")])
    assert _packed(fields) is fields
    assert list(_packed(Fields())) == []


def test_names_that_are_made_up_are_not_kept_for_others() -> None:
    for number in range(MAX_SHAPES + 1):
        made_up = Fields([(b"X-Trace-%d" % number, b"1")])
        assert made_up.packed() is made_up
    forgotten = Fields([(b"X-Trace-0", b"1")])
    assert forgotten.packed() is forgotten
