"""An origin's object that is given in ranges, as origins do: with If-Range, 416, and a strong validator."""

from __future__ import annotations

import re
from collections import Counter

from tests.scenario import World
from tests.scenario_origin import Asked, Rule

_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]+)")


class SlicedObject:
    """One object at one target. Change what is public, and the next answer is of that.

    `asked` counts requests by their Range field; `slices` says how often each first octet was asked for.
    """

    def __init__(
        self,
        world: World,
        body: bytes,
        *,
        target: str = "/a",
        etag: str | None = '"1"',
        **asked_with: str,
    ) -> None:
        self.body = body
        self.etag = etag
        self.status = 200
        self.takes_ranges = self.honours_if_range = True
        self.fields: dict[str, object] = {"cache_control": "max-age=60"}
        self.asked: Counter[str | None] = Counter()
        self.rule: Rule = world.origin.on(f"GET {target}", **asked_with).answer(self.answer)

    @property
    def slices(self) -> dict[int, int]:
        """How often which first octet was asked for."""
        counted = Counter[int]()
        for value, times in self.asked.items():
            match = _RANGE.fullmatch(value or "")
            if match is not None:
                counted[int(match[1])] += times
        return dict(counted)

    def answer(self, asked: Asked) -> None:
        """Answer as it is now."""
        wanted = asked.field("range")
        self.asked[wanted] += 1
        fields = dict(self.fields)
        if self.etag is not None:
            fields["etag"] = self.etag
        if self.status != 200:
            asked.reply(self.status, b"no", **fields)
            return
        if self.etag is not None and asked.field("if-none-match") == self.etag:
            asked.reply(304, **fields)
            return
        match = _RANGE.fullmatch(wanted or "") if self.takes_ranges else None
        if_range = asked.field("if-range") if self.honours_if_range else None
        if match is None or if_range not in (None, self.etag, fields.get("last_modified")):
            asked.reply(200, self.body, **fields)
            return
        first, last = int(match[1]), min(int(match[2]), len(self.body) - 1)
        if first >= len(self.body):
            asked.reply(416, b"", content_range=f"bytes */{len(self.body)}")
            return
        asked.reply(
            206,
            self.body[first : last + 1],
            content_range=f"bytes {first}-{last}/{len(self.body)}",
            **fields,
        )
