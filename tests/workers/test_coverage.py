"""What purges cover, as messages."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.purges import Coverage, Everything, Matching, Prefixed, Tagged, Targets
from proxy.workers.coverage import coverage_message, coverage_of

OCTETS = st.binary(max_size=20)
COVERAGES = st.one_of(
    st.builds(Targets, st.frozensets(OCTETS, max_size=4)),
    st.builds(Tagged, st.frozensets(OCTETS, max_size=4)),
    st.builds(
        Prefixed,
        st.frozensets(OCTETS, max_size=3),
        st.dictionaries(OCTETS, st.lists(OCTETS, max_size=3).map(tuple), max_size=3),
    ),
    st.sampled_from([Matching(re.compile(rb"\.(png|jpe?g)$")), Matching(re.compile("ä+".encode()))]),
    st.just(Everything()),
)


@given(coverage=COVERAGES)
def test_a_coverage_comes_out_as_it_went_in(coverage: Coverage) -> None:
    assert coverage_of(json.loads(json.dumps(coverage_message(coverage)))) == coverage


@pytest.mark.parametrize("message", [{"kind": "url"}, {"kind": "invalidation"}, {"kind": "x"}])
def test_what_is_none_is_an_error(message: dict[str, str]) -> None:
    with pytest.raises((KeyError, ValueError)):
        coverage_of(message)
