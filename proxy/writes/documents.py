"""Writes, dead letters and events as JSON values: what an operator sees of them.

No body, no field, no credential, and not the principal either: that may be the value of a cookie. Targets are
octets that a client sent; those that are no text stand escaped.
"""

from __future__ import annotations

from datetime import UTC, datetime

from proxy.writes.events import CommitEvent, Gap, LoggedEvent
from proxy.writes.job import Job, Phase
from proxy.writes.orders import Document
from proxy.writes.port import DeadLetter, WriteStatus
from proxy.writes.problem import Problem


def ended_document(status: WriteStatus) -> Document:
    """A write that ended, or is not at its lane. Members that are not known are None."""
    return {
        "id": status.id,
        "state": status.state.value,
        "keys": list(status.keys),
        "method": status.method,
        "target": shown(status.target),
        "route": status.route,
        "mode": status.mode.value,
        "attempts": status.attempts,
        "accepted_at": _time(status.accepted_at),
        "not_after": _time(status.not_after),
        "started_at": _time(status.started_at),
        "finished_at": _time(status.finished_at),
        "status": status.status,
        "problem": None if status.problem is None else problem_document(status.problem),
    }


def job_document(job: Job, *, ahead: int, now_mono: float) -> Document:
    """A write in its lanes, `ahead` of it others; `rests_s` are left of its rest, if it rests."""
    document = ended_document(_status(job)) | {"phase": job.phase.name.lower(), "ahead": ahead}
    if job.phase is Phase.RESTING:
        document["rests_s"] = round(max(0.0, job.not_before_mono - now_mono), 3)
    return document


def _status(job: Job) -> WriteStatus:
    write = job.write
    return WriteStatus(
        id=write.id,
        route=write.route,
        keys=write.keys,
        shard=write.shard,
        position=job.delivery.position,
        method=write.method,
        target=write.target,
        mode=write.mode,
        state=job.state,
        attempts=job.attempts,
        accepted_at=write.accepted_at,
        not_after=write.not_after,
    )


def letter_document(letter: DeadLetter) -> Document:
    """A dead letter, with what went wrong, and when."""
    write = letter.write
    return {
        "id": write.id,
        "keys": list(write.keys),
        "method": write.method,
        "target": shown(write.target),
        "route": write.route,
        "accepted_at": _time(write.accepted_at),
        "dead_at": _time(letter.at),
        "body_bytes": len(write.body),
        "problem": problem_document(letter.problem),
    }


def problem_document(problem: Problem) -> Document:
    """A problem; `status` is the origin's last answer, None without one."""
    return {"type": problem.type.value, "detail": problem.detail, "status": problem.status}


def event_document(found: LoggedEvent | Gap) -> Document:
    """An event at its place, or word that some are missing before `oldest`."""
    if isinstance(found, Gap):
        return {"shard": found.shard, "gap": True, "oldest": found.oldest}
    return {"shard": found.event.shard, "position": found.position, **_ended(found.event)}


def _ended(event: CommitEvent) -> Document:
    return {
        "id": event.write_id,
        "state": event.state.value,
        "at": _time(event.at),
        "keys": list(event.keys),
        "method": event.method,
        "target": shown(event.target),
        "route": event.route,
        "status": event.status,
        "accepted": event.accepted,
        "etag": None if event.etag is None else event.etag.decode("latin-1"),
        "invalidated": list(event.invalidated),
        "ingress": event.ingress,
    }


def shown(octets: bytes) -> str:
    """As text."""
    return octets.decode("utf-8", "backslashreplace")


def rfc3339(at: float) -> str:
    """A wall clock time, UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)
