from __future__ import annotations

import pytest

from proxy.http.rendering import UnsafeField, phrase_of, render_fields, status_line


def test_fields_are_lines_in_their_order() -> None:
    assert render_fields([(b"A", b"1"), (b"b", b""), (b"A", b"\xff")]) == b"A: 1\r\nb: \r\nA: \xff\r\n"
    assert render_fields([]) == b""


@pytest.mark.parametrize("octets", [b"\r\nB: 2", b"\n", b"\r", b"\0", b"x\r\n\r\nbody"])
@pytest.mark.parametrize("place", ["name", "value"])
def test_what_would_be_more_than_one_field_is_never_written(octets: bytes, place: str) -> None:
    pair = (b"A" + octets, b"1") if place == "name" else (b"A", b"1" + octets)
    with pytest.raises(UnsafeField):
        render_fields([(b"Z", b"0"), pair])


def test_two_unsafe_fields_do_not_even_out() -> None:
    with pytest.raises(UnsafeField):
        render_fields([(b"A", b"\r"), (b"B", b"\n")])


def test_the_status_line_has_the_origins_phrase_or_the_registered_one() -> None:
    assert status_line(200) == b"HTTP/1.1 200 OK\r\n"
    assert status_line(200, b"Fine") == b"HTTP/1.1 200 Fine\r\n"
    assert status_line(599) == b"HTTP/1.1 599 \r\n"
    assert (phrase_of(404), phrase_of(599)) == ("Not Found", "")
