"""How a seat in a flight may end, and how a flight may end: the table of DESIGN.md, D3, as types.

ending           leader      waiters
SHARED           Stream      Stream; Regroup (another variant, or a purge in between); Released (not for it)
WAITING_ONLY     Stream      the same; nobody joins later
NOT_FOR_SHARING  Stream      Released, all at once
ORIGIN_FAILED    Stream*     Failed           * the shell prefers a stale copy where one is allowed
ABOUT_LEADER     Stream      Regroup once, then Released
UNREACHABLE      Failed      Failed
BODY_CUT         its Stream breaks off, and so does that of each waiter
ABANDONED        nobody is left
any, before the head came    TimedOut, at the waiter's own deadline
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.cache.entry import HeadMemo
from proxy.errors import ProxyError
from proxy.http.messages import ResponseHead
from proxy.peers.word import OwnersWord
from proxy.policy.sharing import Reason
from proxy.policy.terms import Terms


class Role(StrEnum):
    """Of an exchange in a flight."""

    LEADER = "leader"
    WAITER = "waiter"
    ALONE = "alone"
    """Its forward request is nobody else's: released, marked as not shareable, or with Authorization."""


class Ending(StrEnum):
    """Of a flight."""

    SHARED = "shared"
    WAITING_ONLY = "waiting-only"
    NOT_FOR_SHARING = "not-for-sharing"
    ORIGIN_FAILED = "origin-failed"
    ABOUT_LEADER = "about-leader"
    UNREACHABLE = "unreachable"
    BODY_CUT = "body-cut"
    ABANDONED = "abandoned"


@dataclass(slots=True, eq=False)
class Stream:
    """Take the answer from the flight's body as it comes; never changed.

    `head` is end-to-end fields as the origin sent them. `stored` says whether it will be stored, as far as
    the head can tell. `terms` is None where the answer is for the leader alone. `origin_s` is the time from
    asking to the head. `failed` marks a 5xx that a stale copy may stand in for. `word` is that of the key's
    owner, if it was asked.
    """

    head: ResponseHead
    terms: Terms | None
    stored: bool
    forward_status: int
    initial_age_s: float
    received_mono: float
    received_at: float
    origin_s: float
    memo: HeadMemo
    failed: bool = False
    word: OwnersWord | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """The answer is not for this request; make your own, beside the others."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Regroup:
    """Look up and join again: another variant, a purge in between, or a leader that was at fault itself."""

    reelection: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no answer; `error` is why."""

    error: ProxyError


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The deadline passed before the head came."""


Outcome = Stream | Released | Regroup | Failed | TimedOut
