"""What the owner of a key says of its answer beside the answer: where it comes from and how old it is.

The asker tells its client what became of the request on the whole machine, as if there were one process, and
needs to know when the owner asked the origin: for Age, for the order of entries, and for clients that want
nothing which was asked for before they came. All times are of the monotonic clock, which all processes of a
machine share.

It travels as the *last* field of the response head, so that an origin which sends such a field says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from proxy.errors import (
    ClientError,
    FlightFailed,
    HeadTooLarge,
    NotForAsker,
    NotShared,
    NotStored,
    OriginBodyCut,
    OriginError,
    OriginOverloaded,
    OriginProtocolError,
    OriginTimeout,
    OriginUnreachable,
    ProxyError,
    RefusedError,
    UnknownMethod,
    WaitTimedOut,
)
from proxy.http.fields import Pair
from proxy.policy.cache_status import ForwardReason

FIELD = b"Lockgate-Word"

_LONGEST_TEXT = 1000


class Answered(StrEnum):
    """How the owner came to its answer; the words of `coalesce.answer.Outcome`."""

    HIT = "hit"
    STALE = "stale"
    MISS = "miss"
    COLLAPSED = "collapsed"
    RELEASED = "released"
    PASSED = "passed"


FROM_STORE = frozenset({Answered.HIT, Answered.STALE})


@dataclass(frozen=True, slots=True)
class OwnersWord:
    """Of an answer. `age_s` was its age at `at_mono`; None where it may not be shared and has the origin's.

    `began_mono` is when the owner asked the origin for it. `forward`, `forward_status`, `stored` and
    `collapsed` are what Cache-Status tells; None leaves a parameter out. `ends_with_connection` says that the
    origin's body did, so that nobody knows whether it is whole.
    """

    answered: Answered
    began_mono: float
    at_mono: float
    age_s: float | None = None
    forward: ForwardReason | None = None
    forward_status: int | None = None
    stored: bool = False
    collapsed: bool | None = None
    ends_with_connection: bool = False

    @property
    def from_store(self) -> bool:
        """Whether nobody asked the origin for it now."""
        return self.answered in FROM_STORE

    @property
    def is_stale(self) -> bool:
        """Whether it was not fresh at the owner, whatever its age: a soft purge cannot be told from that."""
        return self.answered is Answered.STALE

    @property
    def asked_for_us(self) -> bool:
        """Whether the origin was asked for this very question, and not before it."""
        return not self.from_store and self.answered is not Answered.COLLAPSED

    def age_at_s(self, now_mono: float) -> float | None:
        """Its age by now: the time on the way counts, once."""
        return None if self.age_s is None else self.age_s + max(0.0, now_mono - self.at_mono)


@dataclass(frozen=True, slots=True)
class Trouble:
    """The owner has no answer, and why: an error of ours by the name of its class."""

    name: str
    text: str

    def error(self) -> ProxyError:
        """The same error on this side; it has the status and the consequences that it has there."""
        return _ERRORS.get(self.name, FlightFailed)(self.text)


_ERRORS: dict[str, type[ProxyError]] = {
    kind.__name__: kind
    for kind in (
        ClientError,
        FlightFailed,
        HeadTooLarge,
        NotForAsker,
        NotShared,
        NotStored,
        OriginBodyCut,
        OriginError,
        OriginOverloaded,
        OriginProtocolError,
        OriginTimeout,
        OriginUnreachable,
        RefusedError,
        UnknownMethod,
        WaitTimedOut,
    )
}


def trouble_of(error: ProxyError) -> Trouble:
    """What is said of an error: its class, or the next of its bases that the other side knows."""
    known = (kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    return Trouble(next(known, FlightFailed.__name__), str(error)[:_LONGEST_TEXT])


def word_field(word: OwnersWord | Trouble) -> Pair:
    """The field that goes last."""
    if isinstance(word, Trouble):
        told: dict[str, object] = {"trouble": word.name, "text": word.text}
    else:
        told = {name: getattr(word, name) for name in OwnersWord.__slots__}
    return FIELD, json.dumps(told, separators=(",", ":")).encode("ascii")


def word_in(pairs: Sequence[Pair]) -> OwnersWord | Trouble:
    """The word in a response head. Raises: ValueError if there is none."""
    value = next((value for name, value in reversed(pairs) if name == FIELD), None)
    if value is None:
        raise ValueError(f"a worker's answer has a {FIELD.decode()}")
    told = json.loads(value)
    try:
        if "trouble" in told:
            return Trouble(str(told["trouble"]), str(told["text"]))
        told["answered"] = Answered(told["answered"])
        if told["forward"] is not None:
            told["forward"] = ForwardReason(told["forward"])
        return OwnersWord(**told)
    except (KeyError, TypeError) as error:
        raise ValueError(f"a worker's word lacks {error}") from error


def without_word(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The fields less the word, which is the last of its name."""
    place = max(index for index, (name, _) in enumerate(pairs) if name == FIELD)
    return (*pairs[:place], *pairs[place + 1 :])
