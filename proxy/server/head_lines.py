"""The field lines of response heads as clients get them, remembered for heads that come again.

An origin's heads repeat themselves, and the same octets are the same object (`origin/response_head.py`). So a
head is looked up by its place in memory, as in `http/remembered.py`, and beside it the route that decides on
its lines and whatever else does.
"""

from __future__ import annotations

from collections.abc import Hashable

from proxy.config.settings import RouteSettings
from proxy.http.messages import ResponseHead
from proxy.http.remembered import KNOWN_HEADS, may_come_again


class HeadLines:
    """Lines by head, by route, and by `what` else they depend on; beyond `KNOWN_HEADS` all are forgotten."""

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
        """Remember them, if the head may come again; not without Date: the lines hold when it came."""
        if b"date" not in head.fields or not may_come_again(head):
            return
        if len(self._known) >= KNOWN_HEADS:
            self._known.clear()
        self._known[id(head), id(route), what] = (head, route, lines)
