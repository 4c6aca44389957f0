"""Schedules: what clients, operators and the origin do, one after the other, in virtual time.

A schedule is a set-up and a flat list of steps, each some seconds after the one before: a list shrinks
well, since any step may be left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from hypothesis import strategies as st

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
    """`count` clients ask; they read a piece each `pace_s` and leave `leave_s` after they came, if set."""

    after_s: float = 0.0
    key: int = 0
    traits: Traits = PLAIN
    count: int = 1
    pace_s: float = 0.0
    leave_s: float | None = None


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


SETUPS = (
    Setup(),
    Setup(wait_timeout_s=1.0),
    Setup(wait_timeout_s=0.5, on_wait_timeout=OnWaitTimeout.FETCH),
    Setup(max_waiters=2, abandoned_bytes=0),
    Setup(release_rate=20.0),
    Setup(concurrency=2, wait_timeout_s=1.0),
    Setup(fill_bytes=5_000),
)
_GAPS = st.sampled_from((0.0, 0.0, 0.001, 0.05, 0.1, 0.3))
_LONG_GAPS = st.sampled_from((0.0, 0.3, 1.0, 4.5, 5.5, 8.0))
_KEYS = st.sampled_from((0, 0, 0, 0, 1))
_KINDS = st.sampled_from(
    (*kinds.KINDS, *kinds.SHARED, *kinds.SHARED, kinds.ZERO, kinds.ZERO, *kinds.ERRORS, kinds.REFUSES)
)
_SIZES = st.sampled_from((0, 1, 700, 5_000, 60_000))
_DELAYS = st.sampled_from((0.01, 0.2, 0.2, 0.4, 2.0))
_PAUSES = st.sampled_from((0.0, 0.02, 0.3))
_CUTS = st.sampled_from((None, None, None, None, None, 0.0, 0.4, 0.999))
_SPECS = st.builds(Spec, _KINDS, _DELAYS, _SIZES, st.booleans(), _PAUSES, _CUTS)
_STEADY = st.builds(
    Spec,
    st.sampled_from((*kinds.SHARED, kinds.ZERO, kinds.OLD, kinds.ERROR_FRESH)),
    st.sampled_from((0.01, 0.2)),
    _SIZES,
    st.booleans(),
    st.sampled_from((0.0, 0.0, 0.05, 0.3)),
)
_TROUBLE = st.builds(
    Spec,
    st.sampled_from((kinds.ERROR, kinds.ERROR_NO_STORE, *kinds.FAILURES)),
    st.sampled_from((0.1, 0.4, 2.0)),
)
_PALETTES = st.sampled_from(
    (
        TRAITS,
        TRAITS,
        (PLAIN,),
        (PLAIN, COOKIE),
        (GERMAN, DUTCH, PLAIN),
        (PLAIN, AUTHORIZATION, COOKIE),
        (NO_CACHE,),
    )
)
_PACES = st.sampled_from((0.0, 0.0, 0.0, 0.03, 1.0))
_LEAVES = st.sampled_from((None, None, None, None, None, None, None, 0.0, 0.01, 0.3, 1.0))
_PURGES = st.builds(
    Purge, _GAPS, _KEYS, st.sampled_from(("key", "key", "tag", "tag", "pattern", "all")), st.booleans()
)
_CHANGES = st.builds(Change, _GAPS, _KEYS)


def _joins(palette: tuple[Traits, ...]) -> st.SearchStrategy[Join]:
    return st.builds(
        Join, _GAPS, _KEYS, st.sampled_from(palette), st.sampled_from((1, 1, 2, 4)), _PACES, _LEAVES
    )


@st.composite
def _scenes(draw: st.DrawFn) -> list[Step]:
    """The origin changes its mind, somebody asks, and others come, mostly before the answer.

    Every fourth time it answers well first, and is in trouble when what is stored is stale.
    """
    joins = _joins(draw(_PALETTES))
    steps: list[Step] = []
    answers = draw(st.tuples(_SPECS) | st.tuples(_SPECS, _SPECS) | st.tuples(_STEADY))
    behave = Behave(draw(_LONG_GAPS), draw(_KEYS), answers)
    if draw(st.integers(0, 3)) == 3:
        steps += [replace(behave, answers=(draw(_STEADY),)), replace(draw(joins), key=behave.key)]
        behave = Behave(draw(st.sampled_from((4.5, 5.5, 8.0))), behave.key, (draw(_TROUBLE),))
    steps += [behave, replace(draw(joins), key=behave.key, after_s=0.0)]
    moves = st.lists(st.one_of(joins, joins, joins, joins, _PURGES, _CHANGES), max_size=6)
    return [*steps, *draw(moves)]


@st.composite
def _schedules(draw: st.DrawFn) -> Schedule:
    steps = [step for scene in draw(st.lists(_scenes(), min_size=1, max_size=5)) for step in scene]
    return Schedule(tuple(steps), draw(st.sampled_from(SETUPS)))


SCHEDULES = _schedules()
