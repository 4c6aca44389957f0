"""A write as it is shown to clients: a JSON object without body and credentials.

Fewer members than an operator gets (`proxy/writes/documents.py`), and none that is not known: clients are
programs of others, for whom it stays as it is.
"""

from __future__ import annotations

from typing import Protocol

from proxy.writes.documents import rfc3339, shown
from proxy.writes.port import WriteStatus
from proxy.writes.states import State


class Places(Protocol):
    """Knows where in its lanes a write is: `service.Writes`."""

    def ahead(self, write_id: str) -> int | None: ...

    def state(self, write_id: str) -> State | None: ...


def status_document(status: WriteStatus, places: Places) -> dict[str, object]:
    """The members that are known; times as RFC 3339 writes them."""
    document: dict[str, object] = {
        "id": status.id,
        "state": (places.state(status.id) or status.state).value,
        "key": status.keys[0],
        "method": status.method,
        "target": shown(status.target),
        "mode": status.mode.value,
        "attempts": status.attempts,
        "accepted_at": rfc3339(status.accepted_at),
        "not_after": rfc3339(status.not_after),
    }
    if len(status.keys) > 1:
        document["keys"] = list(status.keys)
    ahead = places.ahead(status.id)
    if ahead is not None:
        document["ahead"] = ahead
    for name, at in (("started_at", status.started_at), ("finished_at", status.finished_at)):
        if at is not None:
            document[name] = rfc3339(at)
    if status.status is not None:
        document["status"] = status.status
    if status.problem is not None:
        document["problem"] = {"type": status.problem.type.value, "detail": status.problem.detail}
    return document
