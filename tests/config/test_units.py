from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.units import BYTES, SECONDS, Unit, unit_of


@pytest.mark.parametrize(
    ("unit", "text", "expected"),
    [
        (SECONDS, "500ms", 0.5),
        (SECONDS, "2s", 2),
        (SECONDS, "1.5s", 1.5),
        (SECONDS, "5m", 300),
        (SECONDS, "0.5h", 1800),
        (SECONDS, "1d", 86400),
        (SECONDS, "0s", 0),
        (BYTES, "10B", 10),
        (BYTES, "64KiB", 65536),
        (BYTES, "16 MiB", 16 << 20),
        (BYTES, "1.5GiB", 3 << 29),
    ],
)
def test_a_number_with_a_unit_is_read(unit: Unit, text: str, expected: float) -> None:
    found = unit.parse(text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-1s", "1S", "1 M", "1mb", "5  s", "٣s", "1e3s", "1,5s", ".5s", "5s\n"]
)
def test_anything_else_is_not(text: str) -> None:
    assert SECONDS.parse(text) is None
    assert BYTES.parse(text) is None


@pytest.mark.parametrize(
    ("unit", "text", "said"),
    [
        (BYTES, "16MB", "write 16MiB"),
        (BYTES, "16M", "write 16MiB"),
        (BYTES, "16mib", "write 16MiB"),
        (BYTES, "1 k", "write 1KiB"),
        (SECONDS, "10sec", "write 10s"),
        (SECONDS, "5 minutes", "write 5m"),
        (SECONDS, "5M", "write a number of seconds, or with a unit, as 500ms, 2s, 5m, 1h, 1d"),
        (BYTES, "many", "write a number of bytes, or with a unit, as 64KiB, 16MiB, 1GiB"),
    ],
)
def test_a_mistaken_unit_is_told_the_right_one(unit: Unit, text: str, said: str) -> None:
    assert unit.advice(text) == said


@pytest.mark.parametrize(
    ("unit", "number", "expected"),
    [
        (SECONDS, 0.0, "0"),
        (SECONDS, 0.5, "500ms"),
        (SECONDS, 75.0, "75s"),
        (SECONDS, 3600.0, "1h"),
        (BYTES, 8190, "8190"),
        (BYTES, 256 << 20, "256MiB"),
    ],
)
def test_a_number_is_written_in_its_largest_whole_unit(unit: Unit, number: float, expected: str) -> None:
    assert unit.format(number) == expected


@given(st.integers(min_value=1, max_value=10**12).map(lambda thousandths: thousandths / 1000))
def test_a_written_duration_reads_as_the_same_number(seconds: float) -> None:
    text = SECONDS.format(seconds)
    found = SECONDS.parse(text)
    assert (float(text) if found is None else found) == seconds


def test_the_name_tells_the_unit() -> None:
    assert unit_of("head_timeout_s") is SECONDS
    assert unit_of("max_bytes") is BYTES
    assert unit_of("max_fields") is None
