from __future__ import annotations

import errno

import pytest

from proxy.cache.disk.health import Health
from tests.origin.manual_clock import ManualClock

FULL = OSError(errno.ENOSPC, "No space left on device")


def test_it_rests_after_a_failure_and_is_tried_again(clock: ManualClock) -> None:
    health = Health("writing", clock=clock, retry_after_s=30)
    assert health.usable
    health.failed(FULL)
    assert not health.usable
    clock.advance(31)
    assert health.usable
    assert health.alarm
    health.worked()
    assert not health.alarm


def test_a_success_from_before_the_failure_ends_no_rest(clock: ManualClock) -> None:
    health = Health("writing", clock=clock, retry_after_s=30)
    health.failed(FULL)
    health.worked()
    assert health.alarm
    assert not health.usable


def test_many_failures_at_once_are_logged_once(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    health = Health("writing", clock=clock, retry_after_s=30)
    for _ in range(100):
        health.failed(FULL)
    assert health.failures == 100
    assert [record.message for record in caplog.records] == [
        "disk_failed doing=writing error='[Errno 28] No space left on device' resting_s=30"
    ]
