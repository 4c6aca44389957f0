from __future__ import annotations

import pytest

from origin_stub.conditional import Part, Unsatisfiable, Validators, is_not_modified, select_range

AT = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"


@pytest.mark.parametrize(
    ("validators", "none_match", "since", "answer"),
    [
        pytest.param(Validators('"a"'), '"a"', None, True, id="tag-matches"),
        pytest.param(Validators('"a"'), '"b", "a"', None, True, id="one-of-a-list"),
        pytest.param(Validators('"a"'), 'W/"a"', None, True, id="weak-comparison"),
        pytest.param(Validators('"a"'), "*", None, True, id="any"),
        pytest.param(Validators('"a"'), '"b"', None, False, id="tag-differs"),
        pytest.param(Validators(None, AT), '"b"', DATE, False, id="tag-goes-before-date"),
        pytest.param(Validators(None, AT), None, DATE, True, id="same-date"),
        pytest.param(Validators(None, AT), None, LATER, True, id="later-date"),
        pytest.param(Validators(None, AT), None, EARLIER, False, id="earlier-date"),
        pytest.param(Validators(None, AT), None, "yesterday", False, id="no-date"),
        pytest.param(Validators(), None, DATE, False, id="no-validator"),
    ],
)
def test_not_modified(
    validators: Validators, none_match: str | None, since: str | None, answer: bool
) -> None:
    assert is_not_modified(validators, if_none_match=none_match, if_modified_since=since) is answer


@pytest.mark.parametrize(
    ("range_field", "if_range", "part"),
    [
        pytest.param(None, None, None, id="none"),
        pytest.param("bytes=0-9", None, Part(0, 10), id="first-ten"),
        pytest.param("bytes=90-", None, Part(90, 100), id="open-end"),
        pytest.param("bytes=-10", None, Part(90, 100), id="suffix"),
        pytest.param("bytes=-1000", None, Part(0, 100), id="suffix-longer-than-all"),
        pytest.param("bytes=90-1000", None, Part(90, 100), id="end-past-the-end"),
        pytest.param("bytes=9-0", None, None, id="backwards-is-invalid"),
        pytest.param("bytes=0-1,5-6", None, None, id="several"),
        pytest.param("lines=0-1", None, None, id="other-unit"),
        pytest.param("bytes=-", None, None, id="empty"),
        pytest.param("bytes=0-9", '"a"', Part(0, 10), id="if-range-matches"),
        pytest.param("bytes=0-9", '"b"', None, id="if-range-differs"),
        pytest.param("bytes=0-9", 'W/"a"', None, id="if-range-needs-a-strong-tag"),
        pytest.param("bytes=0-9", DATE, Part(0, 10), id="if-range-date"),
        pytest.param("bytes=0-9", LATER, None, id="if-range-other-date"),
    ],
)
def test_a_range_is_selected(range_field: str | None, if_range: str | None, part: Part | None) -> None:
    assert select_range(Validators('"a"', AT), 100, range_field=range_field, if_range=if_range) == part


@pytest.mark.parametrize("range_field", ["bytes=100-", "bytes=-0"])
def test_a_range_outside_is_unsatisfiable(range_field: str) -> None:
    part = select_range(Validators(), 100, range_field=range_field, if_range=None)
    assert isinstance(part, Unsatisfiable)
