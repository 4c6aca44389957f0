"""Writes as people read them."""

from __future__ import annotations

from datetime import datetime

import pytest

from proxy.admin.writes_tables import dead_lines, done_lines, paused_lines, write_lines, writes_lines

WRITE = {
    "id": "w1",
    "state": "retry-wait",
    "keys": ["/a", "/b"],
    "method": "PUT",
    "target": "/a\x1b[2J",
    "route": "*/",
    "mode": "async",
    "attempts": 2,
    "accepted_at": "2026-01-01T00:00:00.000Z",
    "not_after": "2026-01-01T01:00:00.000Z",
    "started_at": None,
    "finished_at": None,
    "status": None,
    "problem": None,
    "phase": "resting",
    "ahead": 3,
    "rests_s": 1.5,
}
NOON = datetime.fromisoformat("2026-01-01T12:00:00Z").timestamp()


def test_columns_stand_below_each_other_and_what_clients_sent_is_escaped() -> None:
    other = WRITE | {"id": "w1234567", "state": "queued", "keys": ["é"]}
    assert writes_lines([WRITE, other], now=NOON) == [
        "ID        STATE       TRIES  AGE  AHEAD  REQUEST          KEYS",
        "w1        retry-wait  2      12h  3      'PUT /a\\x1b[2J'  /a, /b",
        "w1234567  queued      2      12h  3      'PUT /a\\x1b[2J'  é",
    ]


@pytest.mark.parametrize(
    ("later_s", "age"), [(-5, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (200_000, "2d")]
)
def test_an_age_is_in_its_largest_unit(later_s: float, age: str) -> None:
    began = datetime.fromisoformat("2026-01-01T00:00:00Z").timestamp()
    assert writes_lines([WRITE], now=began + later_s)[1].split()[3] == age


def test_one_write_is_a_list_of_what_is_known() -> None:
    assert write_lines(WRITE) == [
        "write      w1",
        "state      retry-wait",
        "request    'PUT /a\\x1b[2J'",
        "route      */",
        "key        /a",
        "key        /b",
        "mode       async",
        "attempts   2",
        "phase      resting",
        "ahead      3",
        "rests      1.5 s more",
        "accepted   2026-01-01T00:00:00.000Z",
        "not after  2026-01-01T01:00:00.000Z",
    ]


def test_a_dead_letter_whose_end_is_forgotten_is_shown() -> None:
    problem = {"type": "expired", "detail": "too late", "status": 503}
    letter = {name: WRITE[name] for name in ("id", "keys", "method", "target", "route", "accepted_at")}
    letter |= {"problem": problem, "dead_at": "2026-01-01T11:58:00.000Z", "dead_letter": True}
    lines = write_lines(letter)
    assert "state        dead letter; how it ended is not known any more" in lines
    assert "problem      expired (503): too late" in lines
    assert dead_lines([letter], now=NOON)[1].split()[:2] == ["w1", "2m"]


def test_a_key_that_stands_until_a_restart_only_is_told_so() -> None:
    (line,) = paused_lines([{"key": "\n", "queued": 0, "problem": None}])[1:]
    assert line == "'\\n'  0       until a restart only: it could not be written down"


def test_what_an_order_did_is_one_line() -> None:
    answer = {"key": "a", "paused": False, "was_paused": False, "queued": 2}
    assert done_lines(answer) == ["a was not paused; 2 queued"]
