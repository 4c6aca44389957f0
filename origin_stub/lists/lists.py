"""The lists themselves: what each key holds, and how an attempt at a write comes and goes.

An attempt enters, waits its delay, and leaves: applied, or not. It is the origin's own affair and goes on
without its client, as it does at most origins; only a hanging one ends with its connection. Attempts of one
key overlap if they are sent so, and then each sees in the history that the other was there.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from origin_stub.behaviour import Delay
from origin_stub.changes import Changes
from origin_stub.lists.faults import Fault, FaultKind, Faults
from origin_stub.lists.ledger import Ledger, final_line, now_ns

_NAME = re.compile(r"[A-Za-z0-9._~:-]{1,200}\Z")


class Asker(Protocol):
    """The connection that a request came over."""

    @property
    def is_open(self) -> bool:
        """Whether an answer could still be sent."""

    def answer(self, status: int, body: str, *lines: str) -> None:
        """Send an answer with these further field lines."""

    def close(self) -> None:
        """Close without an answer."""


@dataclass(slots=True)
class _List:
    writes: list[str] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Attempt:
    asker: Asker
    keys: tuple[str, ...]
    write: str
    idem: str | None
    enter: int
    number: int
    fault: Fault | None


@dataclass(slots=True)
class _Counter:
    value: int = 0
    additions: int = 0


def is_name(text: str) -> bool:
    """Whether a key or a write may be called that."""
    return _NAME.match(text) is not None


class Lists:
    """All keys of one origin. `refuse` is called with seconds when the origin is to go away for them."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        delay: Delay,
        faults: Faults,
        idempotent: bool,
        seed: int,
        refuse: Callable[[float], None],
    ) -> None:
        self._ledger = ledger
        self._delay = delay
        self._faults = faults
        self._refuse = refuse
        self._chance = random.Random(seed)
        self._lists: dict[str, _List] = {}
        self._counters: dict[str, _Counter] = {}
        self._applied: dict[str, tuple[tuple[str, ...], tuple[int, ...], str]] | None = (
            {} if idempotent else None
        )
        self._running: dict[_Attempt, asyncio.TimerHandle] = {}
        self.changes = Changes()
        """Of attempts in progress."""

    def __repr__(self) -> str:
        return f"<Lists of {len(self._lists)} keys, {self.in_progress} attempts in progress>"

    @property
    def in_progress(self) -> int:
        """Attempts that have entered and not left."""
        return len(self._running)

    # Writes

    def write(self, asker: Asker, keys: tuple[str, ...], write: str, idem: str | None) -> None:
        """An attempt enters."""
        enter = now_ns()
        number = 0
        for key in keys:
            of_key = self._lists.setdefault(key, _List())
            number = of_key.attempts.get(write, 0) + 1
            of_key.attempts[write] = number
        fault = self._faults.draw()
        attempt = _Attempt(asker, keys, write, idem, enter, number, fault)
        delay_s = self._delay.draw(self._chance)
        match fault:
            case Fault(FaultKind.HANG | FaultKind.LATE | FaultKind.CUT):
                delay_s = fault.value
            case Fault(FaultKind.SLOW):
                delay_s *= fault.value
            case Fault(FaultKind.REFUSE):
                self._refuse(fault.value)
            case _:
                pass
        if delay_s <= 0:
            self._end(attempt)
        else:
            self._running[attempt] = asyncio.get_running_loop().call_later(delay_s, self._end, attempt)
            self.changes.notify()
        if fault is not None and fault.kind is FaultKind.CUT:
            asker.close()

    def left(self, asker: Asker) -> None:
        """A connection is gone: what hangs in it ends, what else it asked for goes on."""
        hanging = [
            attempt
            for attempt in self._running
            if attempt.asker is asker and attempt.fault is not None and attempt.fault.kind is FaultKind.HANG
        ]
        for attempt in hanging:
            self._running[attempt].cancel()
            self._end(attempt)

    def _end(self, attempt: _Attempt) -> None:
        if self._running.pop(attempt, None) is not None:
            self.changes.notify()
        fault = attempt.fault
        match fault:
            case Fault(FaultKind.FAIL):
                status = int(fault.value)
                lines = ("Retry-After: 0",) if status == 503 else ()
                self._record("drop", attempt, status=status, answered=attempt.asker.is_open)
                attempt.asker.answer(status, '{"applied":false}', *lines)
            case Fault(FaultKind.DROP | FaultKind.HANG):
                self._record("drop", attempt, status=None, answered=False)
                attempt.asker.close()
            case _:
                self._apply(attempt, loses=fault is not None and fault.kind is FaultKind.LOSE)

    def _apply(self, attempt: _Attempt, *, loses: bool) -> None:
        known = self._applied.get(attempt.idem) if self._applied is not None and attempt.idem else None
        if known is not None and known[2] != attempt.write:
            self._record("drop", attempt, status=422, answered=attempt.asker.is_open)
            attempt.asker.answer(422, '{"error":"this Idempotency-Key is of another write"}')
            return
        versions = known[1] if known is not None else tuple(map(self._append(attempt.write), attempt.keys))
        if known is None and self._applied is not None and attempt.idem:
            self._applied[attempt.idem] = (attempt.keys, versions, attempt.write)
        answered = attempt.asker.is_open and not loses
        do = "apply" if known is None else "replay"
        self._record(do, attempt, status=200 if answered else None, answered=answered, versions=versions)
        if loses:
            attempt.asker.close()
            return
        told = ",".join(f'"{key}":{version}' for key, version in zip(attempt.keys, versions, strict=True))
        attempt.asker.answer(200, f'{{"write":"{attempt.write}","versions":{{{told}}}}}')

    def _append(self, write: str) -> Callable[[str], int]:
        def append(key: str) -> int:
            writes = self._lists[key].writes
            writes.append(write)
            return len(writes)

        return append

    def _record(
        self,
        do: str,
        attempt: _Attempt,
        *,
        status: int | None,
        answered: bool,
        versions: tuple[int, ...] | None = None,
    ) -> None:
        self._ledger.attempt(
            do,
            attempt.keys,
            attempt.write,
            enter=attempt.enter,
            attempt=attempt.number,
            versions=versions or (None,) * len(attempt.keys),
            status=status,
            answered=answered,
            idem=attempt.idem,
        )

    # Reads

    def version(self, key: str) -> int:
        """How many writes the key has; 0 for one that nobody wrote."""
        of_key = self._lists.get(key)
        return 0 if of_key is None else len(of_key.writes)

    def last(self, key: str) -> str:
        """The id of its last write; empty without one."""
        of_key = self._lists.get(key)
        return of_key.writes[-1] if of_key is not None and of_key.writes else ""

    def writes(self, key: str) -> tuple[str, ...]:
        """All of them, oldest first."""
        of_key = self._lists.get(key)
        return () if of_key is None else tuple(of_key.writes)

    # Counters

    def add(self, asker: Asker, key: str) -> None:
        """Read the number, wait, and write it back plus one."""
        counter = self._counters.setdefault(key, _Counter())
        read = counter.value

        def write_back() -> None:
            counter.value = read + 1
            counter.additions += 1
            asker.answer(200, f'{{"value":{counter.value}}}')

        asyncio.get_running_loop().call_later(self._delay.draw(self._chance), write_back)

    def counter(self, key: str) -> tuple[int, int]:
        """The number, and how many times one was added to it."""
        counter = self._counters.get(key) or _Counter()
        return counter.value, counter.additions

    # The end

    def finals(self) -> Iterator[str]:
        """Lines that tell how each key ended."""
        for key in self._lists:
            if version := self.version(key):
                yield final_line(key, version, self.last(key))

    def close(self) -> None:
        """Give up what is in progress, which the history tells, and end the history."""
        for attempt, timer in tuple(self._running.items()):
            timer.cancel()
            self._record("drop", attempt, status=None, answered=False)
        self._running.clear()
        self._ledger.close(self.finals())
