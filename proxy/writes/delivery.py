"""A write in the hands of its owner."""

from __future__ import annotations

from proxy.writes.write import Write


class Delivery:
    """One write handed to the owner of its shard. An adapter may derive its own; compared by identity.

    `position` rises within a shard. `epoch` is the ownership in which it was delivered: of another one,
    every call is without effect. `redelivered` tells that an earlier owner, or this process before it
    ended, may have sent it: its key waits for the grace, and the attempts before count as unknown.
    `attempts` are those that are known.
    """

    __slots__ = ("attempts", "epoch", "position", "redelivered", "write")

    def __init__(
        self, write: Write, *, position: int, epoch: int = 0, redelivered: bool = False, attempts: int = 0
    ) -> None:
        self.write = write
        self.position = position
        self.epoch = epoch
        self.redelivered = redelivered
        self.attempts = attempts

    def __repr__(self) -> str:
        again = " redelivered" if self.redelivered else ""
        return f"<Delivery {self.write.id} {self.write.keys} at {self.write.shard}:{self.position}{again}>"
