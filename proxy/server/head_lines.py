"""The field lines of response heads as clients get them, remembered for heads that come again.

An origin's heads repeat themselves, and the same octets are the same object (`origin/response_head.py`). So a
head is looked up by its place in memory, as in `http/remembered.py`, and beside it the route that decides on
its lines and whatever else does.
"""

from __future__ import annotations

from collections.abc import Hashable

from proxy.config.settings import RouteSettings
from proxy.http.messages import ResponseHead

MOST = 256
"""Heads with a route whose lines are remembered; beyond it all are forgotten."""


class HeadLines:
    """Lines by head, by route, and by `what` else they depend on."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        # Head and route stay alive in here, so that no other object can get their places.
        self._known: dict[Hashable, tuple[ResponseHead, RouteSettings, bytes]] = {}

    def __repr__(self) -> str:
        return f"<HeadLines {len(self._known)}>"

    def __len__(self) -> int:
        return len(self._known)

    def find(self, head: ResponseHead, route: RouteSettings, what: Hashable = None) -> bytes | None:
        """The lines, if they were kept."""
        found = self._known.get((id(head), id(route), what))
        return None if found is None else found[2]

    def keep(self, head: ResponseHead, route: RouteSettings, lines: bytes, what: Hashable = None) -> None:
        """Remember them; not those of a head without Date, which hold the time at which it came."""
        if b"date" not in head.fields:
            return
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[id(head), id(route), what] = (head, route, lines)
