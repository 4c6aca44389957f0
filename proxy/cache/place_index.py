"""Where the entries of a label or of a page are: what a purge by tag, or by URL, has to look at.

A label's places are found in one step, however many entries there are beside them. Pages are kept only for
entries whose key is more than their target, or that answer for several queries: of all others the key is
known from the URL. Bounded by the entries, each of which is charged for its labels (`Entry.size_bytes`).
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.cache.entry import Entry
from proxy.policy.key_parts import page_of, target_key_of
from proxy.policy.keys import CacheKey, Variant
from proxy.policy.purges import varies_on_search

Place = tuple[CacheKey, Variant]

Places = list[Place] | dict[Place, None]
"""Places to be looked at; who has them uses them up."""


class PlaceIndex:
    """Places of entries by label and by page."""

    def __init__(self) -> None:
        self._by_label: dict[bytes, dict[Place, None]] = {}
        self._by_page: dict[bytes, dict[Place, None]] = {}

    def __repr__(self) -> str:
        return f"<PlaceIndex {len(self._by_label)} labels, {len(self._by_page)} pages>"

    def __len__(self) -> int:
        return len(self._by_label) + len(self._by_page)

    def add(self, place: Place, entry: Entry) -> None:
        """The entry is at this place now."""
        for label in entry.tags:
            self._by_label.setdefault(label, {})[place] = None
        page = _page(entry)
        if page is not None:
            self._by_page.setdefault(page, {})[place] = None

    def discard(self, place: Place, entry: Entry) -> None:
        """The entry is there no more."""
        for label in entry.tags:
            _discard(self._by_label, label, place)
        page = _page(entry)
        if page is not None:
            _discard(self._by_page, page, place)

    def labelled(self, label: bytes) -> list[Place]:
        """The places of the entries with this label."""
        return list(self._by_label.get(label, ()))

    @property
    def has_pages(self) -> bool:
        """Whether there is an entry that its URL alone does not tell."""
        return bool(self._by_page)

    def on_page(self, page: bytes) -> list[Place]:
        """The places of the entries of this page that their URL alone does not tell."""
        return list(self._by_page.get(page, ()))

    def take(self, labels: Iterable[bytes]) -> dict[Place, None]:
        """The places of the entries with one of these labels, which are to go: they are not found again.

        The largest of the tables is given away as it is. A copy of 100,000 places touches each of them, and
        those that were stored long ago are in no processor's cache: that alone holds the loop up for 10 ms.
        """
        tables = [table for label in labels if (table := self._by_label.pop(label, None)) is not None]
        if not tables:
            return {}
        taken = max(tables, key=len)
        for table in tables:
            if table is not taken:
                taken.update(table)
        return taken


def _discard(table: dict[bytes, dict[Place, None]], name: bytes, place: Place) -> None:
    places = table.get(name)
    if places is not None:
        places.pop(place, None)
        if not places:
            del table[name]


def _page(entry: Entry) -> bytes | None:
    try:
        if len(target_key_of(entry.key)) == len(entry.key) and not varies_on_search(entry.tags):
            return None
        return page_of(entry.key)
    except ValueError:  # a key of another make names no URL
        return None
