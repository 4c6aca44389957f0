"""Lines are those of the very head and route, and of what else they depend on."""

from __future__ import annotations

from dataclasses import replace

from proxy.http.remembered import KNOWN_HEAD_BYTES, KNOWN_HEADS
from proxy.server.head_lines import HeadLines
from tests.policy.heads import response, route

DATE = "Date: Thu, 01 Jan 2026 00:00:00 GMT"


def test_lines_are_found_by_head_route_and_the_rest() -> None:
    lines, head, settings = HeadLines(), response(DATE), route()
    lines.keep(head, settings, b"one", what=1)
    assert lines.find(head, settings, 1) == b"one"
    assert lines.find(head, settings, 2) is None
    assert lines.find(replace(head), settings, 1) is None
    assert lines.find(head, route(), 1) is None


def test_a_head_without_date_is_not_remembered() -> None:
    lines, head, settings = HeadLines(), response("Server: a"), route()
    lines.keep(head, settings, b"one")
    assert lines.find(head, settings) is None


def test_a_head_in_the_place_of_one_that_is_gone_has_lines_of_its_own() -> None:
    lines, settings = HeadLines(), route()
    for number in range(200):
        head = response(f"{DATE} | X-A: {number}")
        assert lines.find(head, settings) is None
        lines.keep(head, settings, b"%d" % number)
        assert lines.find(head, settings) == b"%d" % number


def test_it_is_bounded() -> None:
    lines, settings = HeadLines(), route()
    for _ in range(KNOWN_HEADS + 10):
        lines.keep(response(DATE), settings, b"lines")
    assert len(lines) == 10


def test_those_of_a_long_head_are_not_kept() -> None:
    lines, settings = HeadLines(), route()
    head = response(f"{DATE} | X-Long: {'x' * KNOWN_HEAD_BYTES}")
    lines.keep(head, settings, b"one")
    assert lines.find(head, settings) is None
    assert len(lines) == 0
