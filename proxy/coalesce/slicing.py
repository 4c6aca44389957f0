"""Slicing: answers from slices, each fetched, coalesced and stored by itself.

    usable stored whole, flight for the whole, remembered as whole ──► the coalescer, as without slices
       │ else
       └─ ask for the slice that is wanted first ─┬─ 206, shared, strong validator ─► an answer from slices
                                                  ├─ 206 with all there is ──► stored and given as a whole
                                                  ├─ 200 ──► the same flight, as one for the whole; remembered
                                                  ├─ any other answer ──► given as it is, under the URL's key
                                                  └─ 206 of no use ──► remembered as whole, and asked again

Theory of operation. A request for a slice is an `Ask` like any other, with a Range of ours and a key of its
own (`Ask.of_slice`); flights, cache, disk and purges know nothing more of slices than that. The head of the
first slice decides about the answer: conditions, ranges and lengths are worked out on the whole that it is
part of. The slices after it must be of the same representation (`partial.Representation`): they are asked
for with If-Range, and an answer of another one ends in a cut of the client's connection, never in a mix.
Then every stored slice of what is no more is dropped, by the label that they share, so that the next request
begins with the new; which of two representations is the older is told by when they were asked for.

While an answer goes on, slices of its representation are taken whether they are fresh or not: that its first
slice was fresh, or was validated, says so of all that have its strong validator (RFC 9111 §3.4, §4.3.4).

While nothing is known of a URL, all who come ask for the slice that the first one asked for: so a herd
learns with one request how the URL is to be fetched, and an origin that ignores Range is asked once.

Requests with Authorization are answered without slices.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from proxy.cache.entry import Entry
from proxy.coalesce.answer import Answer, Outcome, PassThrough
from proxy.coalesce.ask import Ask, Wait
from proxy.coalesce.coalescer import Coalescer, Unsliced
from proxy.coalesce.flight import State
from proxy.coalesce.next_step import Serve, look_up
from proxy.coalesce.representations import Representations
from proxy.coalesce.slice_memory import Known, SliceMemory, known_from, known_of_entry
from proxy.coalesce.slice_source import Source
from proxy.coalesce.sliced_answer import SlicedAnswer
from proxy.coalesce.sliced_body import Opening, SlicedBody
from proxy.config.settings import PartialRule
from proxy.errors import NotStored
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.cache_status import ForwardReason
from proxy.policy.conditional import not_modified
from proxy.policy.multipart_ranges import Several, ranges
from proxy.policy.partial import (
    Slice,
    as_whole,
    first_number,
    numbers_of,
)
from proxy.policy.ranges import Partial, Span, Unsatisfiable

MAX_TRIES = 4
"""After so many beginnings an exchange is answered without slices: an origin that changes its object with
each request must not keep a client from ever being answered."""

FORESEEN_SLICES = 64
"""So many of the slices that an answer wants are looked for, to tell whether it is a hit."""


class Slicing:
    """Answers requests on routes that fetch in slices."""

    def __init__(self, coalescer: Coalescer, *, max_keys: int) -> None:
        self._coalescer = coalescer
        self._cache = coalescer.cache
        self._clock = coalescer.cache.clock
        self._memory = SliceMemory(clock=self._clock, max_keys=max_keys)
        self._newest = Representations(self._cache, self._memory)

    def __repr__(self) -> str:
        return f"<Slicing {self._memory!r}>"

    def takes(self, ask: Ask) -> bool:
        """Whether the request is answered from slices, as far as can be told now; nothing happens."""
        if ask.route.cache.partial is not PartialRule.SLICES or ask.with_authorization:
            return False
        if ask.slice is not None or ask.whole:  # another worker asks, who has chosen
            return False
        glance = self._cache.glance()
        ask = ask.placed(glance)
        if self._memory.is_whole(ask.key):
            return False
        flight = self._coalescer.running(ask)
        if flight is not None and flight.state in (State.ASKING, State.OPEN):
            return False
        entry = glance.get(ask.key, glance.variant_of(ask.key, ask.request))
        if entry is None:
            return True
        look = look_up(ask, stored=glance, now_mono=self._clock.mono())
        return not (entry.head.status == 200 or (isinstance(look, Serve) and not look.behind))

    def foreseen(self, ask: Ask) -> Ask:
        """What the request would ask for first: a slice, if it is answered from slices; nothing happens."""
        if not self.takes(ask):
            return ask
        return ask.of_slice(Slice(self._first_number(ask), ask.route.cache.slice_bytes))

    def lacks(self, ask: Ask, first: Entry, number: int) -> bool:
        """Whether slices are missing of an answer that begins with this stored one; nothing happens."""
        known = known_of_entry(first, number)
        if known is None:
            return False
        head, length = as_whole(first.head), known.representation.length
        wanted = _wanted(ask.request, head, length=length, now=self._clock.now())
        slice_bytes = ask.route.cache.slice_bytes
        return self._lacks(self._source(ask, known, slice_bytes), numbers_of(wanted, slice_bytes=slice_bytes))

    def at_hand(self, ask: Ask) -> Answer | None:
        """The answer, if it begins with a slice that is stored fresh; of a request that `takes` accepts.

        Raises: NotStored (504).
        """
        if ask.route.cache.refresh_ahead:
            return None  # a hit may be the occasion
        part = Slice(self._first_number(ask), ask.route.cache.slice_bytes)
        first = self._coalescer.stored_now(ask.of_slice(part))
        return None if first is None else self._from_slices(ask, part, first)

    async def answer(self, ask: Ask, wait: Wait) -> Answer | PassThrough:
        """The answer, once its head is known. Raises: as `Coalescer.answer`."""
        takes = self.takes(ask)
        if takes:
            key = ask.placed(self._cache).key
            if self._cache.may_recall(key, ask.request):
                await self._cache.recall(key, ask.request)  # the whole may be on disk
                takes = self.takes(ask)
        tries = 0
        while takes and tries < MAX_TRIES:
            tries += 1
            found = await self._begin(ask, wait, alone=tries > 1)
            if found is not None:
                return found
            takes = self.takes(ask)
        return await self._coalescer.answer(ask, wait)

    # beginning

    async def _begin(self, ask: Ask, wait: Wait, *, alone: bool) -> Answer | PassThrough | None:
        """Ask for the first slice. None: look again how the request is to be answered.

        Who comes back asks for a slice of its own choice: the first one may have been another's.
        """
        number = self._first_number(ask) if alone else self._number_to_begin(ask)
        return await self._begin_with(ask, wait, number)

    async def _begin_with(self, ask: Ask, wait: Wait, number: int) -> Answer | PassThrough | None:
        part = Slice(number, ask.route.cache.slice_bytes)
        slice_wait = Wait(wait.arrived_mono, wait.deadline_mono, wait.regroups)
        try:
            answer = await self._coalescer.answer(ask.of_slice(part), slice_wait)
        except Unsliced as unsliced:
            if unsliced.useless:
                self._mark_whole(ask.placed(self._cache))
            if unsliced.again or unsliced.useless:
                return None
            wait.regroups = slice_wait.regroups
            return await self._coalescer.answer(ask, wait)
        if isinstance(answer, PassThrough):
            return answer
        if answer.head.status != 206:
            return await self._without_slices(ask, wait, answer, number)
        return self._from_slices(ask, part, answer)

    def _number_to_begin(self, ask: Ask) -> int:
        """The slice to ask for; while nothing is known of the URL, that which is asked for already."""
        number = self._first_number(ask)
        placed = ask.placed(self._cache)
        if self._known(placed) is not None:
            return number
        begun = self._memory.begun(placed.key)
        if begun is not None:
            flight = self._coalescer.running(ask.of_slice(Slice(begun, ask.route.cache.slice_bytes)))
            if flight is not None and flight.state is State.ASKING:
                return begun
        self._memory.begin(placed.key, number)
        return number

    def _first_number(self, ask: Ask) -> int:
        known = self._known(ask.placed(self._cache))
        if known is not None and ask.request.method == "HEAD":
            return known.number
        length = None if known is None else known.representation.length
        return first_number(ask.request, slice_bytes=ask.route.cache.slice_bytes, length=length)

    def _known(self, placed: Ask) -> Known | None:
        return self._newest.current(placed.key, self._cache.variant_of(placed.key, placed.request))

    async def _without_slices(
        self, ask: Ask, wait: Wait, answer: Answer, number: int
    ) -> Answer | PassThrough | None:
        """An answer that is no slice: that to the request, unless the Range made it what it is."""
        placed = ask.placed(self._cache)
        if answer.head.status == 416:
            answer.close()
            if number == 0:  # an empty object, mostly
                self._mark_whole(placed)
                return None
            return await self._begin_with(ask, wait, 0)  # what is wanted lies behind the end: of what?
        if answer.head.status == 200 and answer.forward_status == 200:
            self._mark_whole(placed)
        return answer

    def _mark_whole(self, placed: Ask) -> None:
        self._memory.mark_whole(placed.key, for_s=placed.route.cache.whole_for_s)

    def _from_slices(self, ask: Ask, part: Slice, first: Answer) -> Answer | None:
        """The answer that begins with this slice."""
        met = known_from(first, part.number)
        if met is None:  # not for sharing: slices of it would serve nobody
            first.close()
            self._mark_whole(ask.placed(self._cache))
            return None
        known = self._newest.notice(met)
        if known is None:
            first.close()
            return None
        try:
            return self._put_together(ask, part, first, self._source(ask, known, part.slice_bytes))
        except BaseException:
            first.close()
            raise

    def _source(self, ask: Ask, known: Known, slice_bytes: int) -> Source:
        return Source(known, ask, slice_bytes=slice_bytes, coalescer=self._coalescer, newest=self._newest)

    def _lacks(self, source: Source, numbers: Iterable[int]) -> bool:
        """Whether one of the slices, as far as is looked, is not stored."""
        return not all(source.is_stored(number) for number in islice(numbers, FORESEEN_SLICES))

    def _put_together(self, ask: Ask, part: Slice, first: Answer, source: Source) -> Answer:
        head, length = as_whole(first.head), source.known.representation.length
        wanted = _wanted(ask.request, head, length=length, now=self._clock.now())
        numbers = numbers_of(wanted, slice_bytes=part.slice_bytes)
        others = (number for number in numbers if number != part.number)
        if ask.directives.only_if_cached:
            if not all(source.is_stored(number) for number in others):
                raise NotStored("only-if-cached was asked for, and not all of its slices are stored")
            missing = False
        else:
            missing = first.outcome in (Outcome.HIT, Outcome.STALE) and self._lacks(source, others)
        return SlicedAnswer(
            head=head,
            body=SlicedBody(
                source,
                length=length,
                slice_bytes=part.slice_bytes,
                ahead=ask.route.cache.slices_ahead,
                opening=Opening(part.number, first),
            ),
            outcome=Outcome.MISS if missing else first.outcome,
            memo=first.memo,
            received_at=first.received_at,
            age_s=first.age_s,
            ttl_s=first.ttl_s,
            forward=ForwardReason.PARTIAL if missing else first.forward,
            forward_status=first.forward_status,
            stored=first.stored,
            collapsed=first.collapsed,
            wait_s=first.wait_s,
            origin_s=first.origin_s,
            role=first.role,
        )


def _wanted(request: RequestHead, head: ResponseHead, *, length: int, now: float) -> tuple[Span, ...]:
    """The octets that the answer to the request will have."""
    if request.method == "HEAD" or length == 0 or not_modified(request, head, now=now):
        return ()
    found = ranges(request, head, length=length)
    if isinstance(found, Unsatisfiable):
        return ()
    if isinstance(found, Partial):
        return ((found.first, found.last),)
    return found.spans if isinstance(found, Several) else ((0, length - 1),)
