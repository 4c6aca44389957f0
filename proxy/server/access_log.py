"""The access log: one JSON line an exchange, written by a thread of its own.

Theory of operation. `write` appends a line to a list; a tenth of a second later, or when 64 KiB have come
together, all of them go as one piece to a thread that does nothing but write. So a line costs no system
call, and a disk or a pipe that stalls holds up no exchange. What the thread has not taken yet is bounded:
beyond MAX_WAITING_BYTES lines are thrown away, counted and told. `close` hands over the rest and waits
for the thread, so that a drain loses nothing.

Opening the file again goes through the same queue: lines of exchanges that ended before it are in the
old file, later ones in the new.

Rejected: writing from the event loop (a pipe whose reader has stopped would stop the proxy), and the
loop's executor (the interpreter waits for its threads at exit, also for one that is stuck in a write).
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import select
import sys
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from proxy.errors import ConfigError

logger = logging.getLogger(__name__)

FLUSH_AFTER_S = 0.1
FLUSH_BYTES = 64 * 1024
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Some 50,000 lines: a disk may stall for a second at full load before any is lost."""

CLOSE_TIMEOUT_S = 5.0
"""How long the end of the process waits for what is not written yet, if a pipe's reader has stopped."""


@dataclass(frozen=True, slots=True)
class AccessLogStatistics:
    """Counters since the start: lines given to the log, and those of them that were not written."""

    lines: int
    lost: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """Lines that are written as one."""

    octets: bytes
    lines: int


class _Reopen:
    """The file was moved away."""


class AccessLog:
    """Lines to a file, or to standard output where `path` is None. One event loop owns it.

    Where several processes share standard output, `lock` names a file by which they take turns: a pipe
    would mix longer pieces. In a file each piece is appended as a whole.
    """

    def __init__(self, path: Path | None, *, lock: Path | None = None) -> None:
        self._path = path
        self._lock = lock if path is None else None
        self._lines: list[str] = []
        self._gathered_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writer: _Writer | None = None
        self._handed_bytes = self._count = self._thrown_away = 0

    def __repr__(self) -> str:
        return f"<AccessLog {self._path or 'stdout'} {self._count} lines, {self._lost()} lost>"

    def statistics(self) -> AccessLogStatistics:
        """Counters since the start."""
        return AccessLogStatistics(lines=self._count, lost=self._lost())

    def _lost(self) -> int:
        return self._thrown_away + (0 if self._writer is None else self._writer.lost)

    def open(self) -> None:
        """Open the file and start the thread. Raises: ConfigError if the file cannot be opened."""
        try:
            self._writer = _Writer(self._path, self._lock)
        except OSError as error:
            raise ConfigError(
                f"access_log.path is {self._path or 'standard output'}: {error.strerror}. "
                "Name a file that this user may write in a directory that exists, or set enabled: false."
            ) from error

    def reopen(self) -> None:
        """The file was moved away: lines from now on go to a new one of the same name."""
        if self._writer is not None and self._path is not None:
            self._hand_over()
            self._writer.queue.put(_Reopen())

    def write(self, line: str) -> None:
        """Log one line, which ends with a line feed and is ASCII."""
        self._count += 1
        self._lines.append(line)
        self._gathered_bytes += len(line)
        if self._gathered_bytes >= FLUSH_BYTES:
            self._hand_over()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER_S, self._hand_over)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, octets = self._lines, self._gathered_bytes
        if not lines:
            return
        self._lines, self._gathered_bytes = [], 0
        writer = self._writer
        if writer is None or self._handed_bytes - writer.taken_bytes + octets > MAX_WAITING_BYTES:
            if not self._thrown_away:
                logger.error("access_log_stalled waiting_bytes=%d, lines are lost", MAX_WAITING_BYTES)
            self._thrown_away += len(lines)
            return
        self._handed_bytes += octets
        writer.queue.put(_Piece("".join(lines).encode("ascii"), len(lines)))

    async def close(self) -> None:
        """Write what is left, and end. Idempotent."""
        self._hand_over()
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        writer.queue.put(None)
        await asyncio.to_thread(writer.thread.join, CLOSE_TIMEOUT_S)
        self._thrown_away += writer.lost
        if writer.thread.is_alive():
            logger.error("access_log_unfinished lost_bytes=%d", self._handed_bytes - writer.taken_bytes)


class _Writer:
    """The thread's side: everything that may block.

    `taken_bytes` and `lost` are written by the thread alone and read by the loop.
    """

    def __init__(self, path: Path | None, lock: Path | None) -> None:
        """Raises: OSError if a file cannot be opened."""
        self._path = path
        self._turns = None if lock is None else os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file = sys.__stdout__.fileno() if path is None and sys.__stdout__ is not None else _open(path)
        self._failing = self._torn = False
        self.queue: SimpleQueue[_Piece | _Reopen | None] = SimpleQueue()
        self.taken_bytes = self.lost = 0
        # A daemon: a write that never returns must not keep the process from ending.
        self.thread = Thread(target=self._run, name="access log", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while (item := self.queue.get()) is not None:
            if isinstance(item, _Piece):
                self._write(item)
            else:
                self._reopen()
        if self._path is not None:
            os.close(self._file)
        if self._turns is not None:
            os.close(self._turns)

    def _write(self, piece: _Piece) -> None:
        octets = b"\n" + piece.octets if self._torn else piece.octets  # never two lines in one
        written = 0
        try:
            if self._turns is not None:
                fcntl.flock(self._turns, fcntl.LOCK_EX)
            while written < len(octets):
                written += self._write_some(memoryview(octets)[written:])
        except OSError as error:
            self.lost += min(octets.count(b"\n", written), piece.lines)
            if written:
                self._torn = octets[written - 1] != ord("\n")
            if not self._failing:
                logger.error("access_log_failed file=%s error=%s, lines are lost", self._name, error.strerror)
            self._failing = True
        else:
            self._torn = False
            if self._failing:
                self._failing = False
                logger.warning("access_log_resumed file=%s lost_lines=%d", self._name, self.lost)
        finally:
            if self._turns is not None:
                fcntl.flock(self._turns, fcntl.LOCK_UN)
        self.taken_bytes += len(piece.octets)

    def _write_some(self, octets: memoryview) -> int:
        try:
            return os.write(self._file, octets)
        except BlockingIOError:
            # Standard output may be shared with a process that made it non-blocking.
            ready = select.poll()
            ready.register(self._file, select.POLLOUT)
            ready.poll()
            return 0

    def _reopen(self) -> None:
        try:
            fresh = _open(self._path)
        except OSError as error:
            logger.error("access_log_kept file=%s error=%s", self._name, error.strerror)
            return
        os.close(self._file)
        self._file = fresh
        self._torn = False

    @property
    def _name(self) -> str:
        return "stdout" if self._path is None else str(self._path)


def _open(path: Path | None) -> int:
    if path is None:
        raise OSError(errno.EBADF, "standard output is closed")
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
