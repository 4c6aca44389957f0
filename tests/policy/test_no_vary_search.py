"""An origin can say which parts of the query make no difference; in doubt every octet does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.policy.no_vary_search import (
    DEFAULT,
    MAX_NAMES,
    SearchVariance,
    canonical_query,
    canonical_target,
    equivalent,
    search_variance,
    variance_text,
)
from tests.policy.heads import fields_of


def variance(value: str) -> SearchVariance:
    return search_variance(fields_of(f"No-Vary-Search: {value}"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("key-order", SearchVariance(key_order=False), id="key-order"),
        pytest.param("key-order=?1", SearchVariance(key_order=False), id="key-order-true"),
        pytest.param("params", SearchVariance(None), id="all"),
        pytest.param('params=("a" "b")', SearchVariance(frozenset({"a", "b"})), id="some"),
        pytest.param('params, except=("x")', SearchVariance(None, frozenset({"x"})), id="all-but"),
        pytest.param(
            'key-order, params, except=("x")',
            SearchVariance(None, frozenset({"x"}), key_order=False),
            id="together",
        ),
        pytest.param(
            'params=("%C3%A9+%E6%B0%97")', SearchVariance(frozenset({"é 気"})), id="names-are-decoded"
        ),
        pytest.param(
            'params=("a"), unknown=1', SearchVariance(frozenset({"a"})), id="unknown-keys-are-ignored"
        ),
        pytest.param('params=("a";x=1);y=2', SearchVariance(frozenset({"a"})), id="so-are-parameters"),
    ],
)
def test_a_variance_is_read(value: str, expected: SearchVariance) -> None:
    assert variance(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "unknown-key",
        'key-order="not a boolean"',
        'params="not a boolean or inner list"',
        "params=(not-a-string)",
        'params=("a"), except=("x")',
        "params=(), except=()",
        'params=?0, except=("x")',
        "params, except=(not-a-string)",
        'params, except="not an inner list"',
        "params, except=?1",
        'except=("x")',
        "except=()",
        "params=?0",
        "params=()",
        "key-order=?0",
        'params=("a"',
    ],
)
def test_what_is_not_understood_varies_on_every_octet(value: str) -> None:
    assert variance(value) == DEFAULT


def test_a_field_that_names_too_many_is_ignored() -> None:
    names = " ".join(f'"{number}"' for number in range(MAX_NAMES + 1))
    assert variance(f"params=({names})") == DEFAULT


def test_without_the_field_every_octet_counts() -> None:
    assert search_variance(fields_of("")) == DEFAULT
    assert not equivalent(b"/a", b"/a?", DEFAULT)
    assert not equivalent(b"/a?a=1", b"/a?%61=1", DEFAULT)
    assert equivalent(b"/a?a=1", b"/a?a=1", DEFAULT)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"/p", b"/p?"),
        (b"/p?a=x", b"/p?%61=%78"),
        (b"/p?a=%f6", b"/p?a=%ef%bf%bd"),
        (b"/p?a=x&&&&", b"/p?a=x"),
        (b"/p?a=", b"/p?a"),
        (b"/p?a=%20", b"/p?a=+"),
        ("/p?a=é".encode(), b"/p?a=%C3%A9"),
    ],
)
def test_any_other_variance_compares_decoded(one: bytes, other: bytes) -> None:
    assert equivalent(one, other, variance("key-order"))
    assert not equivalent(one, other, DEFAULT)


@pytest.mark.parametrize(
    ("value", "one", "other", "same"),
    [
        pytest.param("key-order", b"/p?a=1&b=2", b"/p?b=2&a=1", True, id="order"),
        pytest.param("key-order", b"/p?a=1&a=2", b"/p?a=2&a=1", False, id="but-not-of-one-name"),
        pytest.param('params=("u")', b"/p?u=1&a=1", b"/p?a=1&u=2", True, id="ignored"),
        pytest.param('params=("u")', b"/p?a=1&b=1", b"/p?b=1&a=1", False, id="order-still-counts"),
        pytest.param('params=("u")', b"/p?U=1", b"/p?U=2", False, id="case"),
        pytest.param("params", b"/p?a=1", b"/p", True, id="no-parameter-counts"),
        pytest.param('params, except=("id")', b"/p?id=1&x=2", b"/p?id=1", True, id="all-but-one"),
        pytest.param('params, except=("id")', b"/p?id=1", b"/p?id=2", False, id="the-one"),
        pytest.param("params", b"/p", b"/q", False, id="the-path-always-counts"),
        pytest.param("key-order", b"/p?a=1%262=3", b"/p?a=1&2=3", False, id="no-smuggled-separator"),
    ],
)
def test_targets_are_compared(value: str, one: bytes, other: bytes, same: bool) -> None:
    assert equivalent(one, other, variance(value)) is same


TARGETS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "u", "%75", ""]), st.sampled_from(["", "=1", "=2", "=1,2:"])).map(
        "".join
    ),
    max_size=4,
).map(lambda parts: b"/p?" + "&".join(parts).encode())
VARIANCES = st.sampled_from(["key-order", "params", 'params=("u")', 'key-order, params, except=("a")']).map(
    variance
)


@pytest.mark.slow
@given(TARGETS, TARGETS, VARIANCES)
def test_equivalent_targets_have_one_canonical_query_and_no_others(
    one: bytes, other: bytes, found: SearchVariance
) -> None:
    def counted(target: bytes) -> list[tuple[str, str]]:
        pairs = []
        for part in target.partition(b"?")[2].replace(b"%75", b"u").decode().split("&"):
            name, _, value = part.partition("=")
            counts = name in found.counted if found.ignored is None else name not in found.ignored
            if part and counts:
                pairs.append((name, value))
        return pairs if found.key_order else sorted(pairs, key=lambda pair: pair[0])

    same = counted(one) == counted(other)
    assert (canonical_query(one, found) == canonical_query(other, found)) is same


@pytest.mark.slow
@given(st.lists(st.binary(max_size=30), max_size=2), st.binary(max_size=20))
def test_no_octets_make_it_raise(lines: list[bytes], target: bytes) -> None:
    found = search_variance(Fields((b"No-Vary-Search", line) for line in lines))
    canonical_query(target, found)
    canonical_query(target, SearchVariance(key_order=False))


TARGETS = st.builds(
    lambda path, query: path + (b"?" + query if query is not None else b""),
    st.sampled_from([b"/a", b"/b"]),
    st.none()
    | st.text("ab=&+%41é\udc80", max_size=12).map(lambda text: text.encode(errors="surrogateescape")),
)
VARIANCES = st.builds(
    SearchVariance,
    st.none() | st.frozensets(st.sampled_from(["a", "b", "A", "é", ""])),
    st.frozensets(st.sampled_from(["a", "b"])),
    st.booleans(),
)


@given(TARGETS, TARGETS, VARIANCES)
def test_equivalent_targets_have_one_canonical_target_and_no_others(
    one: bytes, other: bytes, variance: SearchVariance
) -> None:
    same = canonical_target(one, variance) == canonical_target(other, variance)
    assert same == equivalent(one, other, variance)


@given(TARGETS, VARIANCES)
def test_a_canonical_target_is_one_of_them(target: bytes, variance: SearchVariance) -> None:
    canonical = canonical_target(target, variance)
    assert equivalent(canonical, target, variance)
    assert canonical_target(canonical, variance) == canonical


@given(VARIANCES, VARIANCES)
def test_a_variance_has_a_text_of_its_own(one: SearchVariance, other: SearchVariance) -> None:
    assert (variance_text(one) == variance_text(other)) == (one == other)
