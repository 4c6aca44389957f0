"""When nothing more is taken in."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from proxy.writes.embedded.health import Condition, Health, is_of_the_file, is_out_of_room
from proxy.writes.embedded.sealing import Damaged
from tests.writes.backends import TestClock
from tests.writes.embedded.faults import io_error


def health_of(clock: TestClock) -> Health:
    return Health(clock=clock, min_free_bytes=100, retry_after_s=5.0)


def test_a_full_disk_refuses_for_a_while_then_lets_one_try() -> None:
    clock = TestClock()
    health = health_of(clock)
    assert health.refusal() is None
    health.failed(OSError(errno.ENOSPC, "No space left on device"))
    assert "No space left" in (health.refusal() or "")
    clock.advance(5.0)
    assert health.refusal() is None
    assert health.condition is Condition.NO_ROOM
    health.worked()
    assert health.condition is Condition.WORKING


def test_too_little_room_refuses_before_the_disk_is_full() -> None:
    health = health_of(TestClock())
    assert health.measured(100)
    assert not health.measured(99)
    assert "min_free_bytes (100)" in (health.refusal() or "")


def test_any_other_failure_is_for_good() -> None:
    clock = TestClock()
    health = health_of(clock)
    health.failed(io_error())
    clock.advance(1e6)
    health.worked()
    health.measured(0)
    health.failed(OSError(errno.ENOSPC, "full"))
    assert health.condition is Condition.FAILED
    assert "needs a restart: disk I/O error" in (health.refusal() or "")
    assert health.failures == 2


@pytest.mark.parametrize(
    ("error", "room", "file"),
    [
        pytest.param(io_error(sqlite3.SQLITE_FULL), True, True, id="sqlite-full"),
        pytest.param(io_error(), False, True, id="sqlite-fsync"),
        pytest.param(OSError(errno.EDQUOT, ""), True, True, id="quota"),
        pytest.param(OSError(errno.EIO, ""), False, True, id="eio"),
        pytest.param(Damaged("x"), False, True, id="damaged"),
        pytest.param(sqlite3.IntegrityError("unique"), False, False, id="of-one-statement"),
        pytest.param(ValueError("x"), False, False, id="of-a-caller"),
    ],
)
def test_errors_are_told_apart(error: Exception, room: bool, file: bool) -> None:
    assert (is_out_of_room(error), is_of_the_file(error)) == (room, file)
