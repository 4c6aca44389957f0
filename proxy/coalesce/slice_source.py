"""Where the slices of one answer come from: stored, or fetched; all of one representation, or none.

A slice that is stored under the representation's label is taken, whether it is fresh or not. Any other is
asked for with If-Range, and what comes must have that label, too; else the answer cannot be ended. Of two
representations that meet, that which was asked for earlier is dropped from the cache (`representations.py`).
"""

from __future__ import annotations

from dataclasses import replace

from proxy.cache.entry import Entry
from proxy.coalesce.answer import Answer
from proxy.coalesce.ask import Ask
from proxy.coalesce.body import SharedBody
from proxy.coalesce.coalescer import Coalescer, Unsliced
from proxy.coalesce.representations import Representations
from proxy.coalesce.slice_memory import Known, known_from
from proxy.coalesce.sliced_body import Reached
from proxy.errors import FlightFailed, ProxyError, RepresentationChanged
from proxy.policy.cache_control import RequestDirectives
from proxy.policy.partial import Slice
from proxy.policy.sharing import may_take


class Source:
    """The slices of one representation, for one answer; a `SliceSource`."""

    def __init__(
        self, known: Known, ask: Ask, *, slice_bytes: int, coalescer: Coalescer, newest: Representations
    ) -> None:
        self.known = known
        self._coalescer = coalescer
        self._cache = coalescer.cache
        self._newest = newest
        self._slice_bytes = slice_bytes
        if ask.request.method == "HEAD":
            ask = replace(ask, request=replace(ask.request, method="GET"))
        self._ask = ask.without_range()

    def __repr__(self) -> str:
        return f"<Source of {self.known!r}>"

    def stored(self, number: int) -> SharedBody | None:
        """The slice, if it is stored and at hand, fresh or not."""
        ask = self._of(number)
        entry = self._cache.get(ask.key, self._cache.variant_of(ask.key, ask.request))
        return entry.body if entry is not None and self._fits(entry, ask) else None

    def is_stored(self, number: int) -> bool:
        """Whether it is stored, at hand or on disk; no use of it."""
        ask, glance = self._of(number), self._cache.glance()
        entry = glance.get(ask.key, glance.variant_of(ask.key, ask.request))
        return self._fits(entry, ask) if entry is not None else glance.may_recall(ask.key, ask.request)

    def reach(self, number: int) -> Reached | None:
        """A seat in the flight of the slice; what goes wrong with it is told when the slice is wanted."""
        ask = self._of(number)
        wait = self._coalescer.wait_for(ask)
        try:
            step = self._coalescer.try_now(ask, wait)
        except ProxyError:
            return None
        return None if step is None or isinstance(step, Answer) else Reached(step, wait)

    async def fetch(self, number: int, reached: Reached | None) -> Answer:
        """The slice. Raises: RepresentationChanged, FlightFailed, and what `Coalescer.answer` raises."""
        answer = await self._asked(number, reached)
        if self._is_obsolete(answer):
            answer.close()
            answer = await self._asked(number, None)
        met = known_from(answer, number)
        if met is not None and met.label == self.known.label:
            return answer
        answer.close()
        raise self._refusal(answer.head.status, met, number)

    async def _asked(self, number: int, reached: Reached | None) -> Answer:
        ask = self._of(number)
        wait = self._coalescer.wait_for(ask) if reached is None else reached.wait
        joined = None if reached is None else reached.joined
        while True:
            try:
                answer = await self._coalescer.answer(ask, wait, joined=joined)
            except Unsliced as unsliced:
                if unsliced.again and wait.regroups == 0:  # what came was about who asked for it
                    wait.regroups, joined = 1, None
                    continue
                raise self._changed(f"what came for slice {number} is not for sharing") from None
            assert isinstance(answer, Answer), "a GET is not passed through by the coalescer"
            return answer

    def _of(self, number: int) -> Ask:
        part = Slice(number, self._slice_bytes, self.known.representation)
        return self._ask.of_slice(part, directives=RequestDirectives()).placed(self._cache)

    def _fits(self, entry: Entry, ask: Ask) -> bool:
        if self.known.label not in entry.tags:
            return False
        return may_take(ask.request, entry.head, entry.terms, route=ask.route) is None

    def _is_obsolete(self, answer: Answer) -> bool:
        """Whether it is a stored slice of an older representation than that which the answer began with."""
        met = None if answer.entry is None else known_from(answer, 0)
        if met is None or met.label == self.known.label or met.asked_mono >= self.known.asked_mono:
            return False
        self._newest.drop(met)
        return True

    def _refusal(self, status: int, met: Known | None, number: int) -> ProxyError:
        """Why an answer that is no slice of the representation ends what was begun."""
        if status >= 500:  # which says nothing of the representation
            return FlightFailed(f"the origin answered {status} to the request for slice {number}")
        if met is not None:
            self._newest.notice(met)
        return self._changed(f"the origin answered {status} to the request for slice {number}")

    def _changed(self, what: str) -> RepresentationChanged:
        self._newest.superseded(self.known)
        return RepresentationChanged(f"{what}; the answer began with {self.known.representation.validator!r}")
