"""An answer whose body is put together from slices."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.coalesce.answer import Answer
from proxy.coalesce.body import BodyReader
from proxy.coalesce.sliced_body import SlicedBody


@dataclass(slots=True, eq=False)
class SlicedAnswer(Answer):
    """As `Answer`; it has no seat of its own, its body has those of the slices."""

    @property
    def in_any_order(self) -> bool:
        """Yes: each part is read by a reader of its own."""
        return True

    def at_hand(self, first: int, last: int) -> bool:
        """Whether every slice of these octets is in memory."""
        assert isinstance(self.body, SlicedBody), "that is what it is made with"
        return self.body.at_hand(first, last)

    def reader(self, first: int | None = None, last: int | None = None) -> BodyReader:
        """A reader of the body, or of the octets from `first` up to and including `last`."""
        return self.body.reader(first or 0, last)

    def close(self) -> None:
        """The exchange is over: give up every slice. Idempotent."""
        assert isinstance(self.body, SlicedBody), "that is what it is made with"
        self.body.close()
