from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.server import access_log
from proxy.server.access_log import FLUSH_BYTES, AccessLog, AccessLogStatistics
from tests.origin.waiting import until


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[AccessLog]:
    opened = AccessLog(tmp_path / "access.log")
    opened.open()
    yield opened
    await opened.close()


class Writes:
    """Stands in for `os.write`: counts, and fails or takes a part where it is told to."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.fail_after: int | None = None

    def __call__(self, file: int, octets: memoryview) -> int:
        if self.fail_after is not None:
            part, self.fail_after = self.fail_after, 0
            if not part:
                raise OSError(28, "No space left on device")
            octets = octets[:part]
        self.sizes.append(len(octets))
        return _write(file, octets)


_write = os.write


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Writes:
    made = Writes()
    monkeypatch.setattr(access_log.os, "write", made)
    return made


async def test_a_line_is_in_the_file_a_moment_after_its_exchange(log: AccessLog, tmp_path: Path) -> None:
    log.write('{"n":1}\n')

    await until(lambda: (tmp_path / "access.log").read_text() == '{"n":1}\n')


async def test_lines_are_written_together_and_in_order(
    log: AccessLog, tmp_path: Path, writes: Writes
) -> None:
    lines = [f'{{"n":{number},"filling":"{"x" * 100}"}}\n' for number in range(2_000)]
    for line in lines:
        log.write(line)
    await log.close()

    assert (tmp_path / "access.log").read_text() == "".join(lines)
    assert len(writes.sizes) <= sum(map(len, lines)) // FLUSH_BYTES + 1


async def test_nothing_is_written_by_the_one_who_logs(log: AccessLog, writes: Writes) -> None:
    log.write("{}\n")

    assert writes.sizes == []


async def test_closing_writes_what_is_left(log: AccessLog, tmp_path: Path) -> None:
    log.write("{}\n")
    await log.close()

    assert (tmp_path / "access.log").read_text() == "{}\n"
    assert log.statistics() == AccessLogStatistics(lines=1, lost=0)


async def test_a_log_that_was_moved_away_is_opened_again_and_no_line_is_lost(
    log: AccessLog, tmp_path: Path
) -> None:
    path, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    log.write('{"n":1}\n')
    path.rename(moved)
    log.write('{"n":2}\n')
    log.reopen()
    log.write('{"n":3}\n')
    await log.close()

    assert moved.read_text() == '{"n":1}\n{"n":2}\n'
    assert path.read_text() == '{"n":3}\n'


async def test_a_log_that_cannot_be_opened_again_goes_on_in_the_old_file(
    log: AccessLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    log.write('{"n":1}\n')
    await until(lambda: path.stat().st_size)
    path.rename(moved)
    path.mkdir()
    log.reopen()
    log.write('{"n":2}\n')
    await log.close()

    assert moved.read_text() == '{"n":1}\n{"n":2}\n'
    assert "access_log_kept" in caplog.text


async def test_a_full_disk_is_told_once_and_each_lost_line_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = AccessLog(Path("/dev/full"))
    log.open()
    for _ in range(3):
        log.write("{}\n")
        log.write("{}\n")
        log._hand_over()
    await log.close()

    assert log.statistics() == AccessLogStatistics(lines=6, lost=6)
    assert caplog.text.count("access_log_failed") == 1


async def test_after_a_full_disk_a_torn_line_does_not_spoil_the_next(
    log: AccessLog, tmp_path: Path, writes: Writes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    writes.fail_after = len('{"n":1}\n{"n"')
    log.write('{"n":1}\n')
    log.write('{"n":2}\n')
    log._hand_over()
    await until(lambda: log.statistics().lost == 1)
    writes.fail_after = None
    log.write('{"n":3}\n')
    await log.close()

    assert (tmp_path / "access.log").read_text() == '{"n":1}\n{"n"\n{"n":3}\n'
    assert "access_log_resumed" in caplog.text


async def test_a_reader_that_has_stopped_holds_up_nobody_and_costs_a_bounded_amount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access_log, "MAX_WAITING_BYTES", 256 * 1024)
    monkeypatch.setattr(access_log, "CLOSE_TIMEOUT_S", 0.01)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(pipe)
    log.open()
    try:
        for _ in range(10_000):
            log.write("x" * 99 + "\n")
        lost = log.statistics().lost
        assert 10_000 - 2 * 3_000 < lost < 10_000
        assert caplog.text.count("access_log_stalled") == 1
        await log.close()
        assert "access_log_unfinished" in caplog.text
    finally:
        os.close(reader)  # the thread's write fails, and it ends


async def test_a_shared_output_that_does_not_block_loses_nothing(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(pipe)
    log.open()
    assert log._writer is not None
    os.set_blocking(log._writer._file, False)
    read = bytearray()

    def take() -> bool:
        try:
            read.extend(os.read(reader, 1 << 20))
        except BlockingIOError:
            return False
        return len(read) == 300_000

    try:
        for _ in range(3_000):
            log.write("x" * 99 + "\n")
        log._hand_over()
        await until(take)
        await log.close()
    finally:
        os.close(reader)
    assert log.statistics().lost == 0


async def test_a_path_that_cannot_be_opened_is_an_error_at_the_start(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "missing" / "access.log")

    with pytest.raises(ConfigError, match=r"access_log\.path is .*missing"):
        log.open()


async def test_without_a_path_lines_go_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    log = AccessLog(None)
    log.open()
    log.write('{"n":1}\n')
    log.reopen()
    log.write('{"n":2}\n')
    await log.close()

    assert capfd.readouterr().out == '{"n":1}\n{"n":2}\n'


async def test_processes_that_share_standard_output_take_turns(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "lock"
    log = AccessLog(None, lock=lock)
    log.open()
    with lock.open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        log.write("after\n")
        log._hand_over()
        assert log._writer is not None
        writer = log._writer
        await until(lambda: not writer.queue.qsize())
        os.write(1, b"before\n")
        fcntl.flock(other, fcntl.LOCK_UN)
    await log.close()

    assert capfd.readouterr().out == "before\nafter\n"
