"""The stored entries that a forward request asks about, and which of them a 304 is about.

Mostly that is the one entry that the request would be answered with, were it fresh. Where the request
selects a variant of which nothing is stored, it is the entries of other variants: several of them may be
the same representation, and then the origin need not send it once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.cache.entry import Entry
from proxy.config.settings import RouteSettings
from proxy.http.fields import Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.profile import choices_of
from proxy.policy.sharing import may_take
from proxy.policy.validation import may_be_selected, selected_by, validators_of


@dataclass(frozen=True, slots=True)
class Validating:
    """Entries with the conditions that ask about them; without conditions there are no entries.

    `own` says that there is one, of the variant that the request selects; else all are of other variants,
    the most recent last.
    """

    entries: tuple[Entry, ...] = ()
    conditions: tuple[Pair, ...] = ()
    own: bool = True

    @property
    def own_entry(self) -> Entry | None:
        """What is stored for the request's variant, if that is asked about."""
        return self.entries[0] if self.own and self.entries else None

    def selected_by(self, validation: ResponseHead, *, route: RouteSettings) -> Entry | None:
        """The entry that a 304 is about; None if it matches none: then ask again without condition.

        Source: RFC 9111 §4.3.4.
        """
        heads = [entry.head for entry in self.entries]
        bare_matches = choices_of(route.cache).bare_304_matches
        place = selected_by(validation, heads, own=self.own, bare_matches=bare_matches)
        return None if place is None else self.entries[place]


NOTHING = Validating()


def validating_own(entry: Entry | None) -> Validating:
    """To ask about the entry of the request's own variant."""
    if entry is None:
        return NOTHING
    conditions = validators_of([entry.head])
    return Validating((entry,), conditions) if conditions else NOTHING


def validating_others(request: RequestHead, entries: Sequence[Entry], *, route: RouteSettings) -> Validating:
    """To ask whether one of the entries of other variants is what this request selects.

    Source: RFC 9111 §4.1, §4.3.1.
    """
    offered = tuple(
        entry
        for entry in entries
        if may_be_selected(request, entry.head)
        and may_take(request, entry.head, entry.terms, route=route) is None
    )
    conditions = validators_of([entry.head for entry in offered], own=False)
    return Validating(offered, conditions, own=False) if conditions else NOTHING
