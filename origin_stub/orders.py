"""Behaviour on command: the control API tells how the next requests for a path are answered."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from origin_stub.behaviour import Behaviour


@dataclass(slots=True)
class _Order:
    parameters: tuple[tuple[str, str], ...]
    left: int | None


class Orders:
    """One order per path; a path that ends in `*` is a prefix, and the longest that fits applies."""

    def __init__(self) -> None:
        self._by_path: dict[str, _Order] = {}

    def give(self, path: str, behaviour: str, *, times: int | None = None) -> None:
        """Answer the next `times` requests (None: all) with this query over their own.

        Raises: BadBehaviour.
        """
        parameters = tuple(parse_qsl(behaviour, keep_blank_values=True))
        Behaviour().with_parameters(parameters)
        self._by_path[path] = _Order(parameters, times)

    def clear(self) -> None:
        """Every request is answered as it asks again."""
        self._by_path.clear()

    def take(self, path: str) -> tuple[tuple[str, str], ...]:
        """The parameters that apply to one request for the path; uses the order up by one."""
        name = self._find(path)
        if name is None:
            return ()
        order = self._by_path[name]
        if order.left is not None:
            order.left -= 1
            if order.left <= 0:
                del self._by_path[name]
        return order.parameters

    def _find(self, path: str) -> str | None:
        if path in self._by_path:
            return path
        prefixes = [name for name in self._by_path if name.endswith("*") and path.startswith(name[:-1])]
        return max(prefixes, key=len, default=None)
