"""Dates are read in the three forms of RFC 9110 §5.6.7 and in no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.dates import format_http_date, parse_http_date

EXAMPLE_AT = 784111777.0
IN_2026 = 1767225600.0


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT", id="imf-fixdate"),
        pytest.param(b"Sunday, 06-Nov-94 08:49:37 GMT", id="rfc850"),
        pytest.param(b"Sun Nov  6 08:49:37 1994", id="asctime"),
    ],
)
def test_the_three_forms_mean_the_same_time(value: bytes) -> None:
    assert parse_http_date(value, now=IN_2026) == EXAMPLE_AT


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"0", id="zero"),
        pytest.param(b"-1", id="minus-one"),
        pytest.param(b"784111777", id="unix-seconds"),
        pytest.param(b"sun, 06 nov 1994 08:49:37 gmt", id="lower-case"),
        pytest.param(b"Sun, 06 nov 1994 08:49:37 GMT", id="lower-case-month"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 gmt", id="lower-case-zone"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 UTC", id="utc"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 +0000", id="offset"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37", id="no-zone"),
        pytest.param(b"Sun, 6 Nov 1994 08:49:37 GMT", id="one-digit-day"),
        pytest.param(b"Sun, 06 Nov 94 08:49:37 GMT", id="two-digit-year-in-fixdate"),
        pytest.param(b"Sun, 06 Nov 1994 8:49:37 GMT", id="one-digit-hour"),
        pytest.param(b"Sun, 06 Nov 1994 24:00:00 GMT", id="hour-24"),
        pytest.param(b"Sun, 06 Nov 1994 08:60:37 GMT", id="minute-60"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:61 GMT", id="second-61"),
        pytest.param(b"Sun, 06 Nov 1994  08:49:37 GMT", id="two-spaces"),
        pytest.param(b" Sun, 06 Nov 1994 08:49:37 GMT", id="space-before"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT\n", id="newline-after"),
        pytest.param(b"Sun, 06-Nov-1994 08:49:37 GMT", id="dashes-in-fixdate"),
        pytest.param(b"Sunday, 06-Nov-1994 08:49:37 GMT", id="long-year-in-rfc850"),
        pytest.param(b"Sun, 06-Nov-94 08:49:37 GMT", id="short-weekday-in-rfc850"),
        pytest.param(b"Sunday, 06 Nov 1994 08:49:37 GMT", id="long-weekday-in-fixdate"),
        pytest.param(b"Sun Nov 6 08:49:37 1994", id="asctime-unpadded"),
        pytest.param(b"Sun Nov  6 08:49:37 1994 GMT", id="asctime-with-zone"),
        pytest.param(b"Son, 06 Nov 1994 08:49:37 GMT", id="weekday-in-german"),
        pytest.param(b"Mon, 06 Nov 1994 08:49:37 GMT", id="weekday-of-another-date"),
        pytest.param(b"Wed, 30 Feb 1994 08:49:37 GMT", id="day-out-of-range"),
        pytest.param(b"Sun, 00 Nov 1994 08:49:37 GMT", id="day-zero"),
        pytest.param(b"Sat, 01 Jan 0000 00:00:00 GMT", id="year-zero"),
        pytest.param("Sun, 0６ Nov 1994 08:49:37 GMT".encode(), id="digits-of-another-script"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", id="two-dates"),
    ],
)
def test_anything_else_is_no_date(value: bytes) -> None:
    assert parse_http_date(value, now=IN_2026) is None


def test_a_leap_second_is_the_first_second_of_the_next_minute() -> None:
    leap = parse_http_date(b"Sat, 31 Dec 2016 23:59:60 GMT")
    assert leap == parse_http_date(b"Sun, 01 Jan 2017 00:00:00 GMT")


@pytest.mark.parametrize(
    ("value", "same_as"),
    [
        pytest.param(b"Tuesday, 01-Jan-75 00:00:00 GMT", b"Tue, 01 Jan 2075 00:00:00 GMT", id="49-years"),
        pytest.param(b"Wednesday, 01-Jan-76 00:00:00 GMT", b"Wed, 01 Jan 2076 00:00:00 GMT", id="50-years"),
        pytest.param(b"Thursday, 01-Jan-76 00:00:01 GMT", b"Thu, 01 Jan 1976 00:00:01 GMT", id="more"),
        pytest.param(b"Friday, 31-Dec-99 23:59:59 GMT", b"Fri, 31 Dec 1999 23:59:59 GMT", id="last-century"),
    ],
)
def test_a_short_year_is_at_most_fifty_years_ahead(value: bytes, same_as: bytes) -> None:
    at = parse_http_date(value, now=IN_2026)
    assert at is not None
    assert at == parse_http_date(same_as)


@given(st.binary(max_size=60), st.floats(allow_nan=False))
def test_no_octets_make_the_parser_raise(value: bytes, now: float) -> None:
    parse_http_date(value, now=now)


@given(st.integers(0, 253402300799))
def test_what_is_formatted_is_read_back(at: int) -> None:
    assert parse_http_date(format_http_date(at)) == at


@given(st.floats(0, 4e9))
def test_fractions_are_dropped(at: float) -> None:
    assert format_http_date(at) == format_http_date(int(at))


@pytest.mark.parametrize(
    ("at", "text"),
    [
        pytest.param(-1.0, b"Thu, 01 Jan 1970 00:00:00 GMT", id="before-the-epoch"),
        pytest.param(1e300, b"Fri, 31 Dec 9999 23:59:59 GMT", id="beyond-four-digits"),
    ],
)
def test_times_out_of_range_are_written_as_the_nearest_that_can_be(at: float, text: bytes) -> None:
    assert format_http_date(at) == text
