"""Who has which idempotency key. Owned by the writer thread, so that look-up and claim are one step.

    free ──claim──► pending ──its write is kept──► kept ──ended without being sent, or expired──► free
                       └──unclaimed, refused, or the process ends──► free

A pending claim is in memory only: until its write is kept nothing was promised, and a crash frees it. Kept
ones are rows, by a digest: a key may be as telling as a token.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from proxy.writes.port import Claim, ClaimKind
from proxy.writes.write import Idempotency, Write

_Row = tuple[bytes, bytes, str, float]


@dataclass(frozen=True, slots=True)
class _Pending:
    digest: bytes
    fingerprint: bytes
    write_id: str
    expires_at: float


class Claims:
    """The keys of one journal."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._by_digest: dict[bytes, _Pending] = {}
        self._by_id: dict[str, _Pending] = {}
        self._running = {
            write_id for (write_id,) in connection.execute("SELECT id FROM queued WHERE claims = 1")
        }

    def __repr__(self) -> str:
        return f"<Claims pending={len(self._by_id)}>"

    def claim(self, idempotency: Idempotency, write_id: str, *, expires_at: float, now: float) -> Claim:
        """Take the key for a write, or tell who has it. Raises: sqlite3.Error."""
        digest = _digest(idempotency)
        held = self._held(digest, now=now)
        if held is None:
            pending = _Pending(digest, idempotency.fingerprint, write_id, expires_at)
            self._by_digest[digest] = self._by_id[write_id] = pending
            return Claim(ClaimKind.OURS, write_id, expires_at)
        if held.write_id == write_id:
            return Claim(ClaimKind.OURS, write_id, held.expires_at)
        if held.fingerprint != idempotency.fingerprint:
            return Claim(ClaimKind.MISMATCH, held.write_id, held.expires_at)
        runs = held.write_id in self._running or held.write_id in self._by_id
        kind = ClaimKind.RUNNING if runs else ClaimKind.FINISHED
        return Claim(kind, held.write_id, held.expires_at)

    def _held(self, digest: bytes, *, now: float) -> _Pending | None:
        pending = self._by_digest.get(digest)
        if pending is not None:
            return pending
        row = self._connection.execute(
            "SELECT fingerprint, id, expires_at FROM claim WHERE k = ?", (digest,)
        ).fetchone()
        if row is None:
            return None
        fingerprint, write_id, expires_at = row
        # An expired key of a write that still runs stays taken: two of them would be at the origin.
        if expires_at <= now and write_id not in self._running:
            return None
        return _Pending(digest, fingerprint, write_id, expires_at)

    def rows(self, writes: Iterable[Write]) -> list[_Row]:
        """The rows that make the pending claims of these writes last."""
        return [
            (pending.digest, pending.fingerprint, pending.write_id, pending.expires_at)
            for write in writes
            if write.idempotency is not None and (pending := self._by_id.get(write.id)) is not None
        ]

    def kept(self, write_id: str) -> None:
        """The claim lasts now: its write was kept."""
        if self._drop(write_id):
            self._running.add(write_id)

    def void(self, write_id: str) -> None:
        """The write was not kept, and its key is free."""
        self._drop(write_id)

    def ended(self, write_id: str) -> None:
        """The write has ended; its claim goes on to lead to the result."""
        self._running.discard(write_id)

    def _drop(self, write_id: str) -> bool:
        pending = self._by_id.pop(write_id, None)
        if pending is not None:
            del self._by_digest[pending.digest]
        return pending is not None

    def unclaim(self, write_id: str) -> None:
        """Free the key of a write. Raises: sqlite3.Error."""
        self._drop(write_id)
        self._running.discard(write_id)
        self._connection.execute("DELETE FROM claim WHERE id = ?", (write_id,))

    def forget_expired(self, *, now: float, limit: int) -> int:
        """Remove some claims that are over, and whose writes are, too; how many. Raises: sqlite3.Error."""
        ids = [
            (write_id,)
            for (write_id,) in self._connection.execute(
                "SELECT id FROM claim WHERE expires_at <= ? LIMIT ?", (now, limit)
            )
            if write_id not in self._running
        ]
        self._connection.executemany("DELETE FROM claim WHERE id = ?", ids)
        return len(ids)


def _digest(idempotency: Idempotency) -> bytes:
    scope = idempotency.scope.encode("utf-8", "surrogatepass")
    key = idempotency.key.encode("utf-8", "surrogatepass")
    return sha256(b"%d:%b%b" % (len(scope), scope, key)).digest()
