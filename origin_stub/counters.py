"""What the stub was asked, per path."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

from origin_stub.changes import Changes

RECENT_REQUESTS = 1000


@dataclass(slots=True)
class PathCounter:
    """Counts for one path, all queries together."""

    requests: int = 0
    """Requests whose head has come."""
    in_progress: int = 0
    """Requests being answered now."""
    peak: int = 0
    """Most of them at one time."""
    aborted: int = 0
    """Requests whose client went away before the end of the answer."""
    methods: dict[str, int] = field(default_factory=Counter)
    """Requests per method."""
    statuses: dict[int, int] = field(default_factory=Counter)
    """Answers per status, those cut on purpose included."""
    body_bytes: int = 0
    """Octets of request bodies that were read."""
    last_target: str = ""
    """Request target of the latest request, as it came."""
    last_headers: tuple[tuple[str, str], ...] = ()
    """Header fields of the latest request, in order."""

    def as_values(self) -> dict[str, object]:
        """The counts by their names; JSON can carry it."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {"methods": dict(self.methods), "statuses": dict(self.statuses)}


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request in the order of arrival."""

    number: int
    method: str
    target: str


class Counters:
    """Counts by path, and the latest requests in order of arrival.

    Reading a path that was never asked for gives zeros and leaves no trace.
    """

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._by_path: dict[str, PathCounter] = {}
        self._recent: deque[SeenRequest] = deque(maxlen=RECENT_REQUESTS)
        self._total = 0

    def __getitem__(self, path: str) -> PathCounter:
        return self._by_path.get(path) or PathCounter()

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_path)

    def __len__(self) -> int:
        return len(self._by_path)

    @property
    def requests(self) -> int:
        """Requests for all paths since the last reset."""
        return self._total

    @property
    def recent(self) -> tuple[SeenRequest, ...]:
        """The last thousand requests, oldest first."""
        return tuple(self._recent)

    def reset(self) -> None:
        """Forget everything but the requests in progress, which end on counters that nobody sees."""
        self._by_path.clear()
        self._recent.clear()
        self._total = 0

    def snapshot(self) -> dict[str, dict[str, object]]:
        """All counters as plain values, by path."""
        return {path: counter.as_values() for path, counter in self._by_path.items()}

    @contextmanager
    def counting(
        self, path: str, *, method: str, target: str, headers: tuple[tuple[str, str], ...]
    ) -> Iterator[tuple[int, PathCounter]]:
        """Count one request while it is answered; gives its number, from 1, and the path's counter."""
        self._total += 1
        number = self._total
        counter = self._by_path.setdefault(path, PathCounter())
        counter.requests += 1
        counter.in_progress += 1
        counter.peak = max(counter.peak, counter.in_progress)
        counter.methods[method] += 1
        counter.last_target = target
        counter.last_headers = headers
        self._recent.append(SeenRequest(number, method, target))
        self._changes.notify()
        try:
            yield number, counter
        finally:
            counter.in_progress -= 1
            self._changes.notify()
