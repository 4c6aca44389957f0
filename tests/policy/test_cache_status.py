"""Cache-Status is a structured field that any parser of RFC 9651 reads."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.fields import Fields
from proxy.policy.cache_status import CacheStatus, ForwardReason, format_cache_status, with_cache_status

MEMBER = re.compile(
    rb'(?:[A-Za-z*][!#$%&\'*+.^_`|~0-9A-Za-z:/-]*|"(?:[ !#-\[\]-~]|\\["\\])*")'
    rb"(?:; (?:hit|stored|collapsed(?:=\?0)?|fwd=[a-z-]+|(?:fwd-status|ttl)=-?[0-9]{1,15}"
    rb'|(?:key|detail)="(?:[ !#-\[\]-~]|\\["\\])*"))*'
)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param(CacheStatus(hit=True, ttl=30), b"Lockgate; hit; ttl=30", id="hit"),
        pytest.param(CacheStatus(hit=True, ttl=-5), b"Lockgate; hit; ttl=-5", id="stale"),
        pytest.param(
            CacheStatus(fwd=ForwardReason.URI_MISS, fwd_status=200, stored=True),
            b"Lockgate; fwd=uri-miss; fwd-status=200; stored",
            id="miss",
        ),
        pytest.param(
            CacheStatus(fwd=ForwardReason.URI_MISS, collapsed=True),
            b"Lockgate; fwd=uri-miss; collapsed",
            id="collapsed",
        ),
        pytest.param(
            CacheStatus(fwd=ForwardReason.STALE, collapsed=False),
            b"Lockgate; fwd=stale; collapsed=?0",
            id="could-not-be-collapsed",
        ),
        pytest.param(
            CacheStatus(hit=True, key=b'4:h"\\t\xc3\xa9%,', detail="by é"),
            b'Lockgate; hit; key="4:h\\"\\\\t%C3%A9%25,"; detail="by %C3%A9"',
            id="escapes",
        ),
        pytest.param(CacheStatus(), b"Lockgate", id="nothing"),
    ],
)
def test_it_says_what_was_done(status: CacheStatus, text: bytes) -> None:
    assert format_cache_status("Lockgate", status) == text


def test_a_name_that_is_no_token_is_quoted() -> None:
    assert format_cache_status("1st", CacheStatus(hit=True)) == b'"1st"; hit'


def test_ours_comes_after_those_nearer_to_the_origin() -> None:
    fields = with_cache_status(Fields([(b"Cache-Status", b"inner; hit")]), "outer", CacheStatus(hit=True))
    assert fields.members(b"cache-status") == (b"inner; hit", b"outer; hit")


def test_a_hit_was_not_forwarded() -> None:
    with pytest.raises(AssertionError):
        CacheStatus(hit=True, fwd=ForwardReason.STALE)


@pytest.mark.parametrize("reason", list(ForwardReason))
def test_every_reason_is_a_token(reason: ForwardReason) -> None:
    assert MEMBER.fullmatch(format_cache_status("L", CacheStatus(fwd=reason)))


@given(
    st.text(min_size=1, max_size=8),
    st.builds(
        CacheStatus,
        hit=st.just(True),
        stored=st.booleans(),
        collapsed=st.sampled_from([None, True, False]),
        ttl=st.one_of(st.none(), st.integers()),
        key=st.one_of(st.none(), st.binary(max_size=20)),
        detail=st.one_of(st.none(), st.text(max_size=20)),
    ),
)
def test_whatever_it_holds_it_is_well_formed(name: str, status: CacheStatus) -> None:
    assert MEMBER.fullmatch(format_cache_status(name, status))
