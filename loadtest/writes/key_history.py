"""What happened to one key, put together from what its clients and the origin wrote down."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from loadtest.writes.history import BadHistory, Line


@dataclass(slots=True)
class ClientWrite:
    """One write as its client saw it. Times in nanoseconds; None for what did not happen."""

    write: str
    by: str = ""
    via: str = ""
    invoked_at: int | None = None
    tries: int = 0
    accepted_at: int | None = None
    ok_at: int | None = None
    ok_version: int | None = None
    failed_at: int | None = None
    unsure_at: int | None = None
    """When the last try ended without a word, or with the word that nobody knows."""
    lost: str | None = None

    @property
    def acknowledged_at(self) -> int | None:
        """When the proxy first answered for it: by 202, or by the answer itself."""
        times = [at for at in (self.accepted_at, self.ok_at) if at is not None]
        return min(times, default=None)

    @property
    def is_refused(self) -> bool:
        """Whether its client was told that it is not applied, and nothing speaks against that."""
        return self.failed_at is not None and self.unsure_at is None and self.ok_at is None

    @property
    def is_ended(self) -> bool:
        """Whether its client heard how it ended, be it that nobody knows."""
        return self.ended_at is not None or self.lost is not None

    @property
    def ended_at(self) -> int | None:
        """When its client heard how it ended, or heard for the last time that nobody knows."""
        return next((at for at in (self.ok_at, self.failed_at, self.unsure_at) if at is not None), None)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as the origin saw it; `version` is the one that it made or, in a replay, had made."""

    do: str
    write: str
    enter: int
    leave: int
    version: int | None
    answered: bool


@dataclass(frozen=True, slots=True)
class Read:
    """A read that ended."""

    began: int
    at: int
    by: str
    via: str
    version: int
    last: str
    settled: bool = False
    """Whether nobody wrote any more when it began."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a follower of events was told; `write` is None for a reset."""

    by: str
    at: int
    write: str | None = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something done to a proxy."""

    what: str
    at: int
    until: int


@dataclass
class KeyHistory:
    """Everything about one key. Complete before it is asked for the list."""

    key: str
    writes: dict[str, ClientWrite] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    final: tuple[int, str] | None = None
    """Version and last write that the origin had at the end; None if it did not say."""

    def add(self, line: Line) -> None:
        """Take in one line about this key. Raises: BadHistory, KeyError for a field that is missing."""
        match line["do"]:
            case "apply" | "replay" | "drop" as do:
                self.attempts.append(
                    Attempt(
                        do, line["write"], line["enter"], line["leave"], line.get("version"), line["answered"]
                    )
                )
            case "read":
                self.reads.append(
                    Read(
                        line["from"],
                        line["at"],
                        line["by"],
                        line["via"],
                        line["version"],
                        line["last"],
                        line.get("settled", False),
                    )
                )
            case "event":
                self.seen.append(Seen(line["by"], line["at"], line["write"], line["position"]))
            case "reset":
                self.seen.append(Seen(line["by"], line["at"]))
            case "final":
                self.final = (line["version"], line["last"])
            case do:
                self._add_to_write(do, line)

    def _add_to_write(self, do: str, line: Line) -> None:
        name = line["write"]
        write = self.writes.get(name)
        if write is None:
            write = self.writes[name] = ClientWrite(name)
        at = line["at"]
        match do:
            case "invoke":
                write.by, write.via = line["by"], line["via"]
                write.invoked_at = at if write.invoked_at is None else min(at, write.invoked_at)
                write.tries += 1
            case "accepted":
                write.accepted_at = at if write.accepted_at is None else min(at, write.accepted_at)
            case "ok":
                write.ok_at = at if write.ok_at is None else min(at, write.ok_at)
                write.ok_version = line.get("version", write.ok_version)
            case "fail":
                write.failed_at = at
            case "info":
                write.unsure_at = at
            case "lost":
                write.lost = line["why"]
            case _:
                raise BadHistory(f"what is {do!r}? {line}")

    @cached_property
    def applied(self) -> list[Attempt]:
        """The list as the origin has it, repetitions included."""
        return sorted(
            (attempt for attempt in self.attempts if attempt.do == "apply"),
            key=lambda attempt: attempt.version or 0,
        )

    @cached_property
    def by_arrival(self) -> list[Attempt]:
        """All attempts by when they entered."""
        return sorted(self.attempts, key=lambda attempt: attempt.enter)

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each write among first occurrences, in their order."""
        places: dict[str, int] = {}
        for attempt in self.applied:
            places.setdefault(attempt.write, len(places))
        return places

    @cached_property
    def first_applied(self) -> dict[str, Attempt]:
        """The attempt that applied each write first."""
        attempts: dict[str, Attempt] = {}
        for attempt in self.applied:
            attempts.setdefault(attempt.write, attempt)
        return attempts
