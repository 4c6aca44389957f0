"""What is counted of questions among workers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.coalesce.answer import Outcome


class Reply(StrEnum):
    """How a question ended; the first six as `word.Answered`."""

    HIT = "hit"
    STALE = "stale"
    MISS = "miss"
    COLLAPSED = "collapsed"
    RELEASED = "released"
    PASSED = "passed"
    TROUBLE = "trouble"
    """The owner asked the origin in vain, and told why."""
    DECLINED = "declined"
    """The owner has nothing to give, or is arranged otherwise; the asker goes to the origin."""
    LOST = "lost"
    """No answer, from a worker that died or stands still; the next one is asked, or the origin."""


@dataclass(frozen=True, slots=True)
class PeerStatistics:
    """Counters since the start, and who is thought to be gone.

    `questions` are this worker's own by their reply, `answers` those of others by what became of them here:
    they are no client requests. `asking` are questions that are not over: each has a seat in a flight of the
    owner, beside the clients' seats, unless it is answered from its store. `unreachable` are workers that are
    asked nothing now.
    """

    questions: dict[Reply, int]
    answers: dict[Outcome, int]
    asking: int = 0
    unreachable: int = 0
