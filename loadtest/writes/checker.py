"""`python -m loadtest.writes checker`: histories in, what is wrong with them out."""

from __future__ import annotations

import argparse
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.writes.history import BadHistory
from loadtest.writes.key_history import Fault, KeyHistory
from loadtest.writes.partition import Whole, partitioned
from loadtest.writes.rules import Setting, Violation, check, repetitions
from loadtest.writes.timeline import timeline

_SHOWN_KEYS = 10
_SHOWN_OF_A_KEY = 3


@dataclass(slots=True)
class Verdict:
    """What the histories say."""

    keys: int = 0
    writes: int = 0
    applied: int = 0
    acknowledged: int = 0
    unknown: int = 0
    """Writes of which their clients do not know what became."""
    refused: int = 0
    promised: int = 0
    reads: int = 0
    repeated_in_doubt: int = 0
    """Applications beyond a write's first."""
    replayed: int = 0
    """Attempts that the origin knew by their Idempotency-Key and did not apply again."""
    faults: int = 0
    faults_in_flight: int = 0
    """Faults at which some write was promised, or sent to the origin, and its end not told."""
    faults_after_sending: int = 0
    """Of these, those at which some write was sent to the origin and its end not told."""
    violations: dict[str, int] = field(default_factory=dict)
    """By rule."""
    limit_ns: int | None = None
    beyond_limit: int = 0
    """Attempts that the origin worked on for longer than the proxy had to allow."""
    violations_beyond: dict[str, int] = field(default_factory=dict)
    """By rule, those that come of such attempts: they are told, and do not count against the proxy."""
    red_keys: int = 0
    shown_keys: int = 0
    """Those where anything went wrong, of whichever kind."""
    text: list[str] = field(default_factory=list)
    """Of the first keys where something is wrong, with their timelines."""
    seeds: list[str] = field(default_factory=list)

    @property
    def is_green(self) -> bool:
        """Whether nothing is wrong."""
        return not self.violations

    def lines(self) -> Iterator[str]:
        """For a person to read."""
        yield from self.text
        yield "seeds: " + "; ".join(self.seeds)
        yield (
            f"{self.writes:,} writes of {self.keys:,} keys: {self.acknowledged:,} told to be applied, "
            f"{self.refused:,} refused, {self.unknown:,} unknown; {self.promised:,} were answered 202"
        )
        yield (
            f"the origin applied {self.applied:,} times, {self.repeated_in_doubt:,} of them again, and knew "
            f"{self.replayed:,} repetitions by their key; {self.reads:,} reads"
        )
        if self.faults:
            yield (
                f"{self.faults:,} faults, {self.faults_in_flight:,} while writes were promised or sent and "
                f"their ends not told, {self.faults_after_sending:,} while some were sent"
            )
        if self.limit_ns is not None and self.beyond_limit:
            broken = ", ".join(
                f"{number:,} × {rule}" for rule, number in sorted(self.violations_beyond.items())
            )
            yield (
                f"beyond the limit: {self.beyond_limit:,} attempts, on which the origin worked for longer "
                f"than {self.limit_ns / 1e9:g} s; by them {broken or 'nothing'} went wrong"
            )
        for rule, number in sorted(self.violations.items()):
            yield f"WRONG: {number:,} × {rule}"
        yield f"red: {self.red_keys:,} keys" if self.violations else "green"


class _InFlight:
    """Which faults fell into some span of time."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._times = sorted(fault.at for fault in faults)
        self.hit: set[int] = set()

    def see(self, spans: Iterable[tuple[int, int]]) -> None:
        """Note the faults within these spans."""
        for began, ended in spans:
            for place in range(bisect_left(self._times, began), bisect_right(self._times, ended)):
                self.hit.add(self._times[place])


def judge(paths: Sequence[Path], *, deduplicates: bool = False, reads_of_all: bool = False) -> Verdict:
    """Check these histories, of clients and of the origin, as one. Raises: BadHistory, OSError."""
    with partitioned(paths) as partition:
        whole = partition.whole
        setting = Setting(tuple(whole.faults), deduplicates, reads_of_all, whole.limit_ns)
        verdict = Verdict(seeds=whole.seeds, faults=len(whole.faults), limit_ns=whole.limit_ns)
        sent, promised = _InFlight(whole.faults), _InFlight(whole.faults)
        for history in partition.histories():
            _count(history, verdict)
            verdict.beyond_limit += sum(map(setting.is_beyond, history.attempts))
            sent.see(_sent(history))
            promised.see(_promises(history))
            _note(history, list(check(history, setting)), setting, whole, verdict)
    verdict.faults_after_sending = len(sent.hit)
    verdict.faults_in_flight = len(sent.hit | promised.hit)
    return verdict


def _sent(history: KeyHistory) -> Iterator[tuple[int, int]]:
    """From when writes were at the origin to when their clients heard how they ended."""
    for attempt in history.attempts:
        write = history.writes.get(attempt.write)
        ended_at = None if write is None else write.ended_at
        yield attempt.enter, max(attempt.leave, ended_at or 0)


def _promises(history: KeyHistory) -> Iterator[tuple[int, int]]:
    """From when to when writes were promised and had no end."""
    for write in history.writes.values():
        if write.accepted_at is not None and write.ended_at is not None:
            yield write.accepted_at, write.ended_at


def _count(history: KeyHistory, verdict: Verdict) -> None:
    verdict.keys += 1
    verdict.writes += len(history.writes)
    verdict.applied += len(history.applied)
    verdict.repeated_in_doubt += sum(1 for _ in repetitions(history))
    verdict.replayed += sum(attempt.do == "replay" for attempt in history.attempts)
    verdict.reads += len(history.reads)
    for write in history.writes.values():
        verdict.promised += write.accepted_at is not None
        verdict.acknowledged += write.ok_at is not None
        verdict.refused += write.is_refused
        verdict.unknown += write.ok_at is None and not write.is_refused


def _note(
    history: KeyHistory, violations: Sequence[Violation], setting: Setting, whole: Whole, verdict: Verdict
) -> None:
    if not violations:
        return
    verdict.shown_keys += 1
    verdict.red_keys += not all(violation.beyond for violation in violations)
    for violation in violations:
        counted = verdict.violations_beyond if violation.beyond else verdict.violations
        counted[violation.rule] = counted.get(violation.rule, 0) + 1
    if verdict.shown_keys > _SHOWN_KEYS:
        return
    began_at = whole.began_at or 0
    # What counts against the proxy first: no lateness of the origin may hide it.
    violations = sorted(violations, key=lambda violation: violation.beyond)
    for violation in violations[:_SHOWN_OF_A_KEY]:
        beyond = ", beyond the limit" if violation.beyond else ""
        verdict.text.append(f"{violation.rule}{beyond}: {violation.key}: {violation.text}")
    verdict.text += timeline(history, setting.faults, around=violations[0].at, began_at=began_at)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the subcommand."""
    parser.add_argument("histories", nargs="+", type=Path, metavar="HISTORY")
    parser.add_argument(
        "--deduplicates", action="store_true", help="the origin applies an Idempotency-Key once"
    )
    parser.add_argument(
        "--reads-of-all", action="store_true", help="a read sees what anybody was answered through its proxy"
    )


def main(arguments: argparse.Namespace) -> int:
    """0 when nothing is wrong, 1 when something is, 2 when a file is no history."""
    try:
        verdict = judge(
            arguments.histories,
            deduplicates=arguments.deduplicates,
            reads_of_all=arguments.reads_of_all,
        )
    except (BadHistory, OSError) as error:
        print(f"checker: {error}", file=sys.stderr)
        return 2
    print("\n".join(verdict.lines()))
    return 0 if verdict.is_green else 1
