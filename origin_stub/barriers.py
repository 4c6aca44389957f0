"""Barriers: requests for a path stop until they are released, before the head or within the body."""

from __future__ import annotations

from dataclasses import dataclass

from origin_stub.changes import Changes


@dataclass(slots=True)
class _Barrier:
    after_bytes: int | None
    held: int = 0
    open: bool = False


class Barriers:
    """At most one barrier per path; `*` holds every path that has none of its own.

    A released barrier is gone: who comes later is not held.
    """

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._by_path: dict[str, _Barrier] = {}

    def hold(self, path: str, *, after_bytes: int | None = None) -> None:
        """Hold requests for the path: before the head, or when `after_bytes` of the body have been sent."""
        self.release(path)
        self._by_path[path] = _Barrier(after_bytes)

    def release(self, path: str | None = None) -> None:
        """Let go who is held at the path's barrier, or at all of them."""
        for name in (path,) if path is not None else tuple(self._by_path):
            barrier = self._by_path.pop(name, None)
            if barrier is not None:
                barrier.open = True
        self._changes.notify()

    def held(self, path: str) -> int:
        """Requests that stand at the barrier of this path now."""
        barrier = self._by_path.get(path)
        return barrier.held if barrier is not None else 0

    def position(self, path: str) -> int | None:
        """Octets of the body after which an answer for the path stops; None if it does not."""
        barrier = self._find(path)
        return barrier.after_bytes if barrier is not None else None

    async def pass_head(self, path: str) -> None:
        """Wait where the path is held before its head."""
        barrier = self._find(path)
        if barrier is not None and barrier.after_bytes is None:
            await self._wait_at(barrier)

    async def pass_body(self, path: str) -> None:
        """Wait where the path is held within its body; the caller has sent as much as `position()` said."""
        barrier = self._find(path)
        if barrier is not None and barrier.after_bytes is not None:
            await self._wait_at(barrier)

    def _find(self, path: str) -> _Barrier | None:
        return self._by_path.get(path) or self._by_path.get("*")

    async def _wait_at(self, barrier: _Barrier) -> None:
        barrier.held += 1
        self._changes.notify()
        try:
            await self._changes.wait_until(lambda: barrier.open)
        finally:
            barrier.held -= 1
            self._changes.notify()
