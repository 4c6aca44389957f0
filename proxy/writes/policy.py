"""How the writes of one route are to be treated: values that the configuration is turned into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class AfterDead(StrEnum):
    """What follows a dead letter in its lane."""

    CONTINUE = "continue"
    """Each write says the whole state: the latest one counts."""
    HALT = "halt"
    """Each write says a difference: later ones of the key wait for an operator."""


@dataclass(frozen=True, slots=True)
class Retry:
    """When a write is tried again, in its place.

    After attempt n comes a pause of `first_s` × `factor`ⁿ⁻¹, at most `longest_s`, of which chance takes a
    part (full jitter); the origin's Retry-After is heeded where it is longer. All attempts are begun
    within `budget_s` of the first one.
    """

    max_attempts: int = 5
    first_s: float = 0.2
    factor: float = 2.0
    longest_s: float = 30.0
    budget_s: float = 60.0

    def pause_s(self, attempt: int, *, chance: float, at_least_s: float = 0.0) -> float:
        """Seconds from the end of attempt `attempt` (from 1) to the next; `chance` is in [0, 1)."""
        exponent = min(attempt - 1, 64)  # beyond it the power overflows, and the limit holds anyhow
        return max(at_least_s, chance * min(self.longest_s, self.first_s * self.factor**exponent))


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """One route's rules.

    `retry_methods` has the methods that are not tried again as `retry` says.
    `repeat_methods` may be sent again after an attempt of which nobody knows what became (RFC 9110 §9.2.2);
    with `origin_idempotent`, since the origin knows our Idempotency-Key again, every method may.
    `origin_timeout_s` is the longest that an attempt is at the origin, from its first octet, answered or not;
    `settle_s` is how much of it the key waits for an attempt of which nobody knows what became (None is all
    of it); `origin_lag_s` is how long the origin's replicas may answer with what was before.
    `stale_reads_s` is how old a stored answer may grow after a commit: 0 is read-your-writes.
    `max_answer_bytes` of an answer's body are kept. `unrecorded` says that writes may run
    that leave no mark (sync ones without an Idempotency-Key): after a crash every key is in doubt.
    """

    origin: str
    retry: Retry = Retry()
    retry_methods: Mapping[str, Retry] = field(default_factory=dict)
    repeat_methods: frozenset[str] = frozenset({"PUT", "DELETE"})
    origin_idempotent: bool = False
    send_key: bool = True
    after_dead: AfterDead = AfterDead.CONTINUE
    max_concurrency: int = 100
    max_lane: int = 1000
    max_sync_lane: int = 100
    max_queued: int = 100_000
    origin_timeout_s: float = 60.0
    settle_s: float | None = None
    origin_lag_s: float = 0.0
    stale_reads_s: float = 0.0
    max_answer_bytes: int = 1024 * 1024
    unrecorded: bool = True

    def retry_of(self, method: str) -> Retry:
        """When a write of this method is tried again."""
        return self.retry_methods.get(method, self.retry)

    def may_repeat(self, method: str) -> bool:
        """Whether a second application does no harm."""
        return self.origin_idempotent or method in self.repeat_methods

    def grace_s(self) -> float:
        """How long after its first octet an attempt that was lost sight of may do harm at the origin.

        None, where the origin knows our key again: what comes late there was applied by its repetition.
        """
        if self.origin_idempotent:
            return 0.0
        return self.origin_timeout_s if self.settle_s is None else min(self.settle_s, self.origin_timeout_s)
