"""HTTP dates: a strict parser of our own, since the usual ones accept invalid forms as valid.

An invalid date means something: an `Expires` that cannot be read is in the past (RFC 9111 §5.3). A lenient
parser turns `Expires: 0` or a date in another zone into a lifetime that nobody gave.
"""

from __future__ import annotations

import calendar
import math
import re
import time
from datetime import date
from functools import lru_cache

_SHORT_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_LONG_DAYS = (b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday", b"Sunday")
_MONTHS = (
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
)  # fmt: skip

_TIME = rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_SHORT = rb"(?P<weekday>" + b"|".join(_SHORT_DAYS) + rb")"
_LONG = rb"(?P<weekday>" + b"|".join(_LONG_DAYS) + rb")"
_MONTH = rb"(?P<month>" + b"|".join(_MONTHS) + rb")"

_IMF_FIXDATE = re.compile(
    _SHORT + rb", (?P<day>[0-9]{2}) " + _MONTH + rb" (?P<year>[0-9]{4}) " + _TIME + rb" GMT"
)
_RFC850 = re.compile(_LONG + rb", (?P<day>[0-9]{2})-" + _MONTH + rb"-(?P<year>[0-9]{2}) " + _TIME + rb" GMT")
_ASCTIME = re.compile(
    _SHORT + rb" " + _MONTH + rb" (?P<day>[0-9]{2}| [0-9]) " + _TIME + rb" (?P<year>[0-9]{4})"
)

_LONGEST = len(b"Wednesday, 09-Nov-94 08:49:37 GMT")


def parse_http_date(value: bytes, *, now: float = 0.0) -> float | None:
    """Unix seconds of a date in one of the three forms, None if it is anything else.

    `now` places the two-digit years of the rfc850 form: never more than 50 years ahead of it. A weekday
    that is not the date's own makes the date invalid: one of the two is wrong, and nobody knows which.

    Source: RFC 9110 §5.6.7.
    """
    if len(value) > _LONGEST:
        return None
    at = _of_imf_fixdate(value)
    if at is not None:
        return at
    match = _RFC850.fullmatch(value)
    if match is not None:
        return _seconds_of_short_year(match, now)
    match = _ASCTIME.fullmatch(value)
    if match is not None:
        return _seconds(match, int(match["year"]), _SHORT_DAYS)
    return None


@lru_cache(maxsize=256)  # the Dates of a second are alike, and so are the Last-Modifieds of a hot object
def _of_imf_fixdate(value: bytes) -> float | None:
    match = _IMF_FIXDATE.fullmatch(value)
    return None if match is None else _seconds(match, int(match["year"]), _SHORT_DAYS)


def _seconds_of_short_year(match: re.Match[bytes], now: float) -> float | None:
    """The latest year with these two digits that is not more than 50 years after `now`."""
    this_year = time.gmtime(max(0.0, min(now, 2.0**40))).tm_year
    year = this_year - this_year % 100 + 100 + int(match["year"])
    rest = _rest_of_year(match)
    limit = (this_year + 50, _rest_of_date(now))
    while (year, rest) > limit:
        year -= 100
    return _seconds(match, year, _LONG_DAYS)


def _rest_of_year(match: re.Match[bytes]) -> tuple[int, ...]:
    month = _MONTHS.index(match["month"]) + 1
    return (month, int(match["day"]), int(match["hour"]), int(match["minute"]), int(match["second"]))


def _rest_of_date(at: float) -> tuple[int, ...]:
    return tuple(time.gmtime(max(0.0, min(at, 2.0**40))))[1:6]


def _seconds(match: re.Match[bytes], year: int, weekdays: tuple[bytes, ...]) -> float | None:
    month, day, hour, minute, second = _rest_of_year(match)
    if hour > 23 or minute > 59 or second > 60:  # 60 is a leap second
        return None
    try:
        weekday = date(year, month, day).weekday()
    except ValueError:
        return None
    if weekdays[weekday] != match["weekday"]:
        return None
    return float(calendar.timegm((year, month, day, hour, minute, second)))


_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z: the form has four digits for the year


def format_http_date(at: float) -> bytes:
    """The IMF-fixdate of a time in Unix seconds, fractions dropped (RFC 9110 §5.6.7)."""
    return _format(math.floor(min(max(at, 0.0), _LAST_SECOND)))


@lru_cache(maxsize=64)  # nearly all calls of one second ask for that second
def _format(second: int) -> bytes:
    at = time.gmtime(second)
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _SHORT_DAYS[at.tm_wday],
        at.tm_mday,
        _MONTHS[at.tm_mon - 1],
        at.tm_year,
        at.tm_hour,
        at.tm_min,
        at.tm_sec,
    )
