"""The query of a request to the admin listener: what is mistyped is refused, never overlooked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs

from aiohttp import web

from proxy.errors import ClientError
from proxy.writes.orders import MAX_PAGE, MAX_WAIT_S

_MAX_QUERY_FIELDS: Final = 50
_PAGE: Final = 100


class Query:
    """The fields of a query, each read once."""

    def __init__(self, request: web.Request) -> None:
        """Raises: ClientError."""
        try:
            self._fields = parse_qs(
                request.rel_url.raw_query_string,
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_MAX_QUERY_FIELDS,
            )
        except UnicodeDecodeError:
            raise ClientError("the query holds octets that are no UTF-8; no key and no id does") from None
        except ValueError:
            raise ClientError(f"the query has more than {_MAX_QUERY_FIELDS} fields") from None
        self._known: list[str] = []

    def several(self, name: str) -> list[str]:
        """All values of this field."""
        self._known.append(name)
        return self._fields.pop(name, [])

    def one(self, name: str) -> str | None:
        """Its value; None without one. Raises: ClientError if there are several."""
        values = self.several(name)
        if len(values) > 1:
            raise ClientError(f"{name} is given {len(values)} times; give it once")
        return values[0] if values else None

    def text(self, name: str) -> str:
        """The same, empty without one."""
        return self.one(name) or ""

    def page(self) -> int:
        """`limit`. Raises: ClientError."""
        text = self.one("limit")
        if text is None:
            return _PAGE
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 0 < int(text) <= MAX_PAGE:
            raise ClientError(f"limit is {text[:80]!r}; write a number from 1 to {MAX_PAGE}")
        return int(text)

    def wait_s(self) -> float:
        """`wait`, in seconds. Raises: ClientError."""
        text = self.one("wait")
        if text is None:
            return 0.0
        if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) or float(text) > MAX_WAIT_S:
            raise ClientError(f"wait is {text[:80]!r}; write seconds from 0 to {MAX_WAIT_S:g}")
        return float(text)

    def no_more(self) -> None:
        """A field that nobody read was mistyped, and would change what is told. Raises: ClientError."""
        for name in self._fields:
            raise ClientError(f"the query has {shown(name)}; {nearest(name, self._known)}")


def nearest(name: str, known: Sequence[str]) -> str:
    """What was perhaps meant, else what there is."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"


def shown(value: object) -> str:
    """A value as an error names it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
