"""A write in its lanes: what is known of it while it is here."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum, auto
from typing import Any, Final, Protocol

from proxy.writes.delivery import Delivery
from proxy.writes.outcomes import Doubt
from proxy.writes.policy import WritePolicy
from proxy.writes.states import State, Step, after
from proxy.writes.write import Write


class Phase(Enum):
    """Where a job is between its coming and its leaving; set by `Lanes` alone."""

    WAITING = auto()
    READY = auto()
    RUNNING = auto()
    RESTING = auto()
    ENDING = auto()
    """It is never started again; its end is being kept."""
    GONE = auto()


AT_WORK: Final = (Phase.RUNNING, Phase.ENDING)
"""Phases in which a task has the job in its hands."""


class Alarm(Protocol):
    """A call that was put off."""

    def cancel(self) -> None:
        """It is not needed."""


class Mark(Protocol):
    """A mark that is being kept: a future."""

    def done(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def exception(self) -> BaseException | None: ...
    def __await__(self) -> Generator[Any, None, None]: ...


class Job:
    """One delivery at work. Compared by identity.

    `attempts` counts those that were begun, `doubt` is what they leave open. Before `not_before_mono` it is
    not started. `orphan` says that its route is gone, `withdrawn` that its put failed, `forgotten` that its
    shard was lost: of the last two no end is kept. `sent_mono` is when the last attempt sent its first octet.
    `mark` is there when its next attempt is being marked, although it does not run yet.
    """

    __slots__ = (
        "alarm", "attempts", "delivery", "doubt", "first_mono", "forgotten", "mark", "not_before_mono",
        "orphan", "phase", "policy", "sent_mono", "state", "withdrawn", "write",
    )  # fmt: skip

    def __init__(
        self, delivery: Delivery, policy: WritePolicy, *, not_before_mono: float = 0.0, orphan: bool = False
    ) -> None:
        self.delivery = delivery
        self.write: Write = delivery.write
        self.policy = policy
        self.orphan = orphan
        self.phase = Phase.WAITING
        self.state = State.QUEUED
        self.attempts = delivery.attempts
        self.doubt = Doubt.UNKNOWN if delivery.redelivered else Doubt.NONE
        self.first_mono: float | None = None
        self.not_before_mono = not_before_mono
        self.alarm: Alarm | None = None
        self.withdrawn = False
        self.forgotten = False
        self.sent_mono: float | None = None
        self.mark: Mark | None = None

    def __repr__(self) -> str:
        return (
            f"<Job {self.write.id} {self.write.keys} {self.phase.name} {self.state.value} #{self.attempts}>"
        )

    @property
    def never_sent(self) -> bool:
        """Whether no octet of it may have reached the origin, as far as its attempts ended."""
        return self.doubt is Doubt.NONE

    def step(self, step: Step) -> None:
        """Go on in the table of states."""
        self.state = after(self.state, step)
