"""Schedules: what clients, operators and the origin do, one after the other, in virtual time.

A schedule is a set-up and a flat list of steps, each some seconds after the one before: a list shrinks
well, since any step may be left out (`shrunk`). `tests/simulation/scenes.py` makes them up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace

from proxy.config.settings import OnWaitTimeout
from proxy.http.fields import Pair
from tests.simulation import kinds
from tests.simulation.kinds import Kind

KEYS = 2


@dataclass(frozen=True, slots=True)
class Traits:
    """What a client's request says."""

    fields: tuple[Pair, ...] = ()
    method: str = "GET"

    def has(self, name: bytes) -> bool:
        return any(pair[0].lower() == name for pair in self.fields)

    @property
    def lang(self) -> bytes | None:
        return next((value for name, value in self.fields if name == b"X-Lang"), None)

    def says(self, directive: bytes) -> bool:
        return any(name == b"Cache-Control" and directive in value for name, value in self.fields)

    @property
    def plain(self) -> bool:
        """Nothing in it that keeps it out of a flight."""
        return self.method == "GET" and not (self.has(b"authorization") or self.has(b"range"))


PLAIN = Traits()
COOKIE = Traits(((b"Cookie", b"user=1"),))
AUTHORIZATION = Traits(((b"Authorization", b"Basic YTpi"),))
NO_CACHE = Traits(((b"Cache-Control", b"no-cache"),))
HEAD = Traits(method="HEAD")
GERMAN, DUTCH = Traits(((b"X-Lang", b"de"),)), Traits(((b"X-Lang", b"nl"),))
NEAR, FAR = Traits(((b"Range", b"bytes=5-300"),)), Traits(((b"Range", b"bytes=9000-9010"),))
TAIL = Traits(((b"Range", b"bytes=-10"),))
CONDITIONAL = Traits(((b"If-None-Match", b'"0.1.fresh"'),))
LENIENT = Traits(((b"Cache-Control", b"max-stale=10"),))
IMPATIENT = Traits(((b"Cache-Control", b"max-age=0"),))
ONLY_STORED = Traits(((b"Cache-Control", b"only-if-cached"),))
TRAITS = (
    *(PLAIN, PLAIN, COOKIE, AUTHORIZATION, NO_CACHE, HEAD, GERMAN, DUTCH, NEAR, FAR, TAIL),
    *(CONDITIONAL, LENIENT, IMPATIENT, ONLY_STORED),
    Traits(((b"Cookie", b"user=2"), (b"X-Lang", b"de"))),
    Traits(((b"Authorization", b"Basic YTpi"), (b"Cache-Control", b"no-cache"))),
)


@dataclass(frozen=True, slots=True)
class Spec:
    """One answer: its kind, and how it comes.

    `delay_s` until the head, `pause_s` before each piece of the body; `cut` is the part of the body
    after which the connection breaks.
    """

    kind: Kind = kinds.FRESH
    delay_s: float = 0.2
    size: int = 700
    chunked: bool = False
    pause_s: float = 0.0
    cut: float | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """`count` clients ask; they read a piece each `pace_s` and leave `leave_s` after they came, if set.

    `swap` lets another one like them come in the very moment in which one leaves.
    """

    after_s: float = 0.0
    key: int = 0
    traits: Traits = PLAIN
    count: int = 1
    pace_s: float = 0.0
    leave_s: float | None = None
    swap: bool = False


@dataclass(frozen=True, slots=True)
class Purge:
    """Of `key`, by `scope`: key, tag, pattern or all."""

    after_s: float = 0.0
    key: int = 0
    scope: str = "key"
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The object at the origin gets a new version."""

    after_s: float = 0.0
    key: int = 0


@dataclass(frozen=True, slots=True)
class Behave:
    """The origin answers requests for the key with these from now on, in turn; with the last for good."""

    after_s: float = 0.0
    key: int = 0
    answers: tuple[Spec, ...] = (Spec(),)


Step = Join | Purge | Change | Behave


@dataclass(frozen=True, slots=True)
class Setup:
    """The settings that matter."""

    wait_timeout_s: float = 3.0
    on_wait_timeout: OnWaitTimeout = OnWaitTimeout.ERROR
    max_waiters: int = 100
    release_rate: float = 0.0
    concurrency: int = 100
    abandoned_bytes: int = 2_000
    fill_bytes: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole run."""

    steps: tuple[Step, ...]
    setup: Setup = field(default_factory=Setup)


def code_of(value: object) -> str:
    """The value as it is written in Python, what is as by default left out."""
    if isinstance(value, tuple):
        return f"({''.join(f'{code_of(member)}, ' for member in value)})"
    if not isinstance(value, (Schedule, Setup, Spec, Traits, *Step.__args__)):
        return repr(value)
    given = [
        f"{one.name}={code_of(getattr(value, one.name))}"
        for one in fields(value)
        if getattr(value, one.name) != one.default
    ]
    return f"{type(value).__name__}({', '.join(given)})"


def shrunk(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """The schedule without everything that it fails without too."""
    found = True
    while found:
        smaller = next((one for one in _simpler(schedule) if fails(one)), None)
        found = smaller is not None
        schedule = schedule if smaller is None else smaller
    return schedule


def _simpler(schedule: Schedule) -> Iterator[Schedule]:
    steps = schedule.steps
    for size in (8, 4, 2, 1):
        for place in range(0, len(steps), size):
            yield replace(schedule, steps=steps[:place] + steps[place + size :])
    if schedule.setup != Setup():
        yield replace(schedule, setup=Setup())
    for place, step in enumerate(steps):
        for simpler in _simpler_step(step):
            yield replace(schedule, steps=(*steps[:place], simpler, *steps[place + 1 :]))


def _simpler_step(step: Step) -> Iterator[Step]:
    """The same with one thing as by default."""
    for one in fields(step):
        if getattr(step, one.name) != one.default:
            yield replace(step, **{one.name: one.default})
    if isinstance(step, Behave):
        for place, spec in enumerate(step.answers):
            others = step.answers[:place], step.answers[place + 1 :]
            if len(step.answers) > 1:
                yield replace(step, answers=others[0] + others[1])
            for one in fields(spec):
                if getattr(spec, one.name) != one.default:
                    plainer = replace(spec, **{one.name: one.default})
                    yield replace(step, answers=(*others[0], plainer, *others[1]))
