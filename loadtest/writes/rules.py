"""The rules, each a function of one key's history that yields what is wrong.

Every write has an id of its own and the origin keeps a list, so that the order is there to be read and
nothing has to be searched: all is sorting, O(n log n). With L for the list and first occurrences for L
without repetitions:

    serial      the origin's attempts of a key never overlap
    order       who was acknowledged before another was begun stands before it
    loss        what was told to be applied is in L; what was promised has an end
    phantom     what is in L was invoked, and not told to be refused; a told version is the write's own
    duplicates  only of what was in doubt, and in the order of the first time
    final       the key ends as its last first occurrence left it
    events      followers see the list, without repetitions and gaps
    reads       who has a write's answer reads nothing older
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtest.writes.key_history import Attempt, ClientWrite, Fault, KeyHistory, Read, Seen

_HEARD_LATE_NS = 10_000_000
_READ_LATE_NS = 100_000_000
"""A proxy counts from the first octet that it sends, the origin from when it has read the last one."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule: when and where, and in words."""

    rule: str
    key: str
    at: int
    text: str
    beyond: bool = False
    """Whether it comes of an attempt that the origin worked on beyond the setting's limit."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the histories were made under.

    `deduplicates` says that the origin applies an Idempotency-Key once, so that no duplicate has an excuse;
    `reads_of_all` that reads are held against the answers of all clients of their proxy, not only the
    reader's own. `limit_ns` is how long an attempt may take effect after its first octet, as the proxy was
    told; None where it was told nothing. An origin that takes longer breaks the rules, not the proxy.
    """

    faults: tuple[Fault, ...] = ()
    deduplicates: bool = False
    reads_of_all: bool = False
    limit_ns: int | None = None

    def is_beyond(self, attempt: Attempt) -> bool:
        """Whether the origin worked on it for longer than the limit."""
        if self.limit_ns is None or attempt.do == "replay":
            return False
        return _left(attempt) - attempt.enter > self.limit_ns

    def was_to_be_over(self, attempt: Attempt, at: int) -> bool:
        """Whether a proxy could rely on it that the attempt, which is beyond the limit, was over by then."""
        return self.is_beyond(attempt) and at - attempt.enter > (self.limit_ns or 0) - _READ_LATE_NS


def check(history: KeyHistory, setting: Setting) -> Iterator[Violation]:
    """All that is wrong with one key."""
    yield from serial(history, setting)
    yield from order(history, setting)
    yield from loss(history)
    yield from phantom(history)
    yield from duplicates(history, setting)
    yield from final(history, setting)
    yield from events(history)
    yield from reads(history, setting)


def serial(history: KeyHistory, setting: Setting) -> Iterator[Violation]:
    """Attempts of one key never overlap at the origin, whatever became of them.

    One that the origin knew by its Idempotency-Key does nothing, so it may come and go as it likes. One that
    hangs ends with its connection, of which the origin may hear after the next one's first octet.
    """
    longest: Attempt | None = None
    for attempt in history.by_arrival:
        if attempt.do == "replay":
            continue
        if longest is not None and attempt.enter < _left(longest):
            yield Violation(
                "serial",
                history.key,
                attempt.enter,
                f"{attempt.write} entered {_ms(longest.leave - attempt.enter)} before {longest.write} left",
                beyond=setting.was_to_be_over(longest, attempt.enter),
            )
        if longest is None or _left(attempt) > _left(longest):
            longest = attempt


def _left(attempt: Attempt) -> int:
    """When it was over at the latest, for all that the origin can know."""
    return attempt.leave - (_HEARD_LATE_NS if attempt.do == "drop" and not attempt.answered else 0)


def order(history: KeyHistory, setting: Setting) -> Iterator[Violation]:
    """A write that was acknowledged before another's first octet stands before it.

    From the end of the list: whoever was begun after one that stands later was acknowledged, is misplaced.
    """
    earliest: ClientWrite | None = None
    earliest_at = 0
    for name in reversed(history.places):
        write = history.writes.get(name)
        if write is None or write.invoked_at is None:
            continue  # a phantom
        if earliest is not None and write.invoked_at > earliest_at:
            yield Violation(
                "order",
                history.key,
                write.invoked_at,
                f"{name} was begun {_ms(write.invoked_at - earliest_at)} after {earliest.write} was "
                "acknowledged, and stands before it",
                beyond=setting.is_beyond(history.first_applied[earliest.write]),
            )
        acknowledged_at = write.acknowledged_at
        if acknowledged_at is not None and (earliest is None or acknowledged_at < earliest_at):
            earliest, earliest_at = write, acknowledged_at


def loss(history: KeyHistory) -> Iterator[Violation]:
    """What was told to be applied is in the list, and what was promised comes to an end."""
    places = history.places
    for write in history.writes.values():
        if write.ok_at is not None and write.write not in places:
            yield Violation(
                "loss",
                history.key,
                write.ok_at,
                f"{write.write} was told to be applied and is not in the list",
            )
        if write.lost is not None:
            yield Violation(
                "loss",
                history.key,
                write.accepted_at or 0,
                f"{write.write} was answered 202 and is not known any more: {write.lost}",
            )
        elif write.accepted_at is not None and not write.is_ended:
            yield Violation(
                "loss", history.key, write.accepted_at, f"{write.write} was answered 202 and has no end"
            )


def phantom(history: KeyHistory) -> Iterator[Violation]:
    """What is in the list was invoked and not refused, and each client was told of its own write."""
    for name, attempt in history.first_applied.items():
        write, at = history.writes.get(name), attempt.enter
        if write is None or write.invoked_at is None:
            yield Violation("phantom", history.key, at, f"{name} is in the list and nobody wrote it")
        elif write.is_refused:
            yield Violation("phantom", history.key, at, f"{name} is in the list and was told to be refused")
    for write in history.writes.values():
        if write.ok_version is not None and not _made(history, write.write, write.ok_version):
            yield Violation(
                "phantom",
                history.key,
                write.ok_at or 0,
                f"{write.write} was told that it made version {write.ok_version}, which is another's",
            )


def _made(history: KeyHistory, name: str, version: int) -> bool:
    return 1 <= version <= len(history.applied) and history.applied[version - 1].write == name


def repetitions(history: KeyHistory) -> Iterator[tuple[Attempt, Attempt]]:
    """Pairs of applications of the same write, one after the other by arrival."""
    if len(history.applied) == len(history.places):
        return
    before: dict[str, Attempt] = {}
    for attempt in history.by_arrival:
        if attempt.do == "apply":
            if attempt.write in before:
                yield before[attempt.write], attempt
            before[attempt.write] = attempt


def duplicates(history: KeyHistory, setting: Setting) -> Iterator[Violation]:
    """Applied again is only what was in doubt; and a repetition goes on to the end of what there was.

    In doubt is a write whose answer the origin did not get rid of, or that was on its way at a fault: a
    proxy that fell between the origin's answer and its own note of it cannot know.
    """
    for first, again in repetitions(history):
        if setting.deduplicates or (
            first.answered and not _is_cut_off(history, first, again, setting.faults)
        ):
            yield Violation(
                "duplicates",
                history.key,
                again.enter,
                f"{first.write} was applied again {_ms(again.enter - first.enter)} later without a doubt",
                beyond=setting.is_beyond(first) and not setting.deduplicates,
            )
    yield from _partial_replays(history, setting)


def _is_cut_off(history: KeyHistory, first: Attempt, again: Attempt, faults: Sequence[Fault]) -> bool:
    write = history.writes.get(first.write)
    told_at = None if write is None else write.ok_at
    return any(
        first.enter <= fault.until and fault.at <= again.enter and (told_at is None or told_at >= fault.at)
        for fault in faults
    )


def _partial_replays(history: KeyHistory, setting: Setting) -> Iterator[Violation]:
    """A repetition is one of the tail: no older write is applied again without all newer ones after it."""
    places: dict[str, int] = {}
    following: int | None = None  # the place that a replay has to go on with
    beyond = False  # whether that replay is an attempt that came too late, and nobody's wish
    for attempt in history.applied:
        place = places.get(attempt.write)
        if place is None:
            if following is not None and following < len(places):
                yield _partial(history, attempt, following, beyond=beyond)
            places[attempt.write] = len(places)
            following = None
            continue
        if following is not None and place > following:
            yield _partial(history, attempt, following, beyond=beyond)
        following, beyond = place + 1, setting.is_beyond(attempt)
    if following is not None and following < len(places):
        yield _partial(history, history.applied[-1], following, beyond=beyond)


def _partial(history: KeyHistory, attempt: Attempt, following: int, *, beyond: bool) -> Violation:
    missing = next(name for name, place in history.places.items() if place == following)
    return Violation(
        "duplicates",
        history.key,
        attempt.enter,
        f"older writes were applied again without {missing}, which had come after them",
        beyond=beyond,
    )


def final(history: KeyHistory, setting: Setting) -> Iterator[Violation]:
    """The list has no holes, and the key ends as the newest write left it."""
    applied = history.applied
    for place, attempt in enumerate(applied, 1):
        if attempt.version != place:
            yield Violation(
                "final", history.key, attempt.enter, f"the history lacks the write of version {place}"
            )
            return
    if applied and history.places[applied[-1].write] != len(history.places) - 1:
        yield Violation(
            "final",
            history.key,
            applied[-1].enter,
            f"the last write is {applied[-1].write}, an older one",
            beyond=setting.is_beyond(applied[-1]),
        )
    if history.final is not None and history.final != (len(applied), applied[-1].write if applied else ""):
        yield Violation(
            "final", history.key, 0, f"the origin ended at version {history.final[0]}, {history.final[1]}"
        )


def events(history: KeyHistory) -> Iterator[Violation]:
    """Each follower is told of the list in its order, once, and of a gap by a reset."""
    followers: dict[str, list[Seen]] = {}
    for seen in history.seen:
        followers.setdefault(seen.by, []).append(seen)
    told = [name for name in history.places if (w := history.writes.get(name)) and w.ok_at is not None]
    known_places = [history.places[name] for name in told]
    for by, all_seen in followers.items():
        yield from _events_of(history, by, all_seen, told, known_places)


def _events_of(
    history: KeyHistory, by: str, all_seen: list[Seen], told: list[str], known_places: list[int]
) -> Iterator[Violation]:
    last: int | None = None
    position = -1
    once: set[str] = set()
    for seen in all_seen:
        if seen.write is None:
            last = None
            continue
        place = history.places.get(seen.write)
        wrong = ""
        if place is None:
            wrong = "is not in the list"
        elif seen.write in once:
            wrong = "was told twice"
        elif seen.position <= position:
            wrong = f"has position {seen.position}, not above {position}"
        elif last is not None and place < last:
            wrong = "was told after a newer one"
        elif last is not None:
            between = told[bisect_right(known_places, last) : bisect_left(known_places, place)]
            if between:
                wrong = f"was told, {between[0]} before it was not, and no reset"
        if wrong:
            yield Violation("events", history.key, seen.at, f"to {by}: {seen.write} {wrong}")
        once.add(seen.write)
        position = max(position, seen.position)
        last = place if place is not None else last


def reads(history: KeyHistory, setting: Setting) -> Iterator[Violation]:
    """Nobody reads what is older than an answer that was there before, or what never was."""
    floors = _floors(history, setting)
    for read in history.reads:
        wrong = _never_was(history, read)
        if wrong:
            yield Violation("reads", history.key, read.began, f"{read.by} read {wrong}")
            continue
        if read.settled and read.version != len(history.applied):
            yield Violation(
                "reads",
                history.key,
                read.began,
                f"{read.by} read version {read.version} when all had ended with {len(history.applied)}",
                beyond=any(map(setting.is_beyond, history.applied[read.version :])),
            )
        times, versions = floors.get(_scope(read.by, read.via, setting), ([], []))
        place = bisect_right(times, read.began)
        if place and read.version < versions[place - 1]:
            answered = times[place - 1]
            yield Violation(
                "reads",
                history.key,
                read.began,
                f"{read.by} read version {read.version} {_ms(read.began - answered)} or more after "
                f"the answer to the write that made {versions[place - 1]}",
            )


def _scope(by: str, via: str, setting: Setting) -> tuple[str, str]:
    return ("" if setting.reads_of_all else by, via)


def _floors(history: KeyHistory, setting: Setting) -> dict[tuple[str, str], tuple[list[int], list[int]]]:
    """By reader: times of answers, and the highest version that was answered by then."""
    answers: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for write in history.writes.values():
        first = history.first_applied.get(write.write)
        if write.ok_at is not None and first is not None:
            scope = _scope(write.by, write.via, setting)
            answers.setdefault(scope, []).append((write.ok_at, first.version or 0))
    floors = {}
    for scope, pairs in answers.items():
        times, versions, highest = [], [], 0
        for at, version in sorted(pairs):
            highest = max(highest, version)
            times.append(at)
            versions.append(highest)
        floors[scope] = (times, versions)
    return floors


def _never_was(history: KeyHistory, read: Read) -> str:
    if read.version == 0:
        return "" if read.last == "" else f"version 0 with {read.last}"
    if not _made(history, read.last, read.version):
        return f"version {read.version} with {read.last}, which it never had"
    early = history.applied[read.version - 1].enter - read.at
    return f"version {read.version} {_ms(early)} before it was written" if early > 0 else ""


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.3f} ms"
