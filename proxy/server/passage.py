"""A request that is passed through, as the cache sees it: what its answer makes untrue, and what it teaches.

Theory of operation. Nobody waits for such an answer, and mostly it is only asked what it invalidates. Two
kinds say more:

    HEAD    shows that what is stored for the GET is another representation by now, which makes that stale,
            or still the same, which freshens it (RFC 9111 §4.3.5)
    POST    may say in every respect that it is the answer to a GET of its target, too (`policy.post`); then
            it is stored as that one when its body is whole

Both are fills, so to speak, and are fenced like fills: a purge between the request and its answer makes the
answer one from before the purge. The POST itself is such a purge. What the cache is asked before, though,
is about *other* writes: one that was answered while the POST was on its way may have been applied after it.
So the fences are looked at before the POST raises its own, and from there anew.
"""

from __future__ import annotations

from dataclasses import replace

from proxy.cache.cache import ResponseCache
from proxy.cache.entry import Entry
from proxy.coalesce.body import SharedBody
from proxy.http.messages import RequestHead, ResponseHead
from proxy.origin.port import Framing, OriginResponse
from proxy.policy.conditional import freshen
from proxy.policy.freshness import initial_age_s
from proxy.policy.hop_by_hop import end_to_end
from proxy.policy.key_parts import key_under
from proxy.policy.keys import cache_key, variant_of, vary_names
from proxy.policy.no_vary_search import search_variance
from proxy.policy.post import may_store_post
from proxy.policy.purges import labels_of
from proxy.policy.sharing import judge, terms_to_store
from proxy.policy.surrogate_keys import uri_origin
from proxy.policy.terms import Terms, terms_of
from proxy.policy.validation import head_freshens, head_invalidates
from proxy.server.invalidating import Invalidating
from proxy.server.prepared import Prepared

_TEACHING_METHODS = frozenset({"HEAD", "POST"})


class Passage:
    """One request that is passed through; whoever begins it closes it."""

    __slots__ = (
        "_asked_mono",
        "_budget_bytes",
        "_cache",
        "_entry",
        "_epoch",
        "_invalidating",
        "_prepared",
    )

    def __init__(self, prepared: Prepared, *, cache: ResponseCache, invalidating: Invalidating) -> None:
        self._prepared = prepared
        self._cache = cache
        self._invalidating = invalidating
        self._asked_mono = cache.clock.mono()
        self._epoch: int | None = None
        self._entry: Entry | None = None
        self._budget_bytes = 0
        if prepared.request.method in _TEACHING_METHODS and prepared.route.settings.cache.enabled:
            self._epoch = cache.fences.enter()

    def __repr__(self) -> str:
        return f"<Passage {self._prepared.request.method} {self._entry!r}>"

    @property
    def keeps(self) -> bool:
        """Whether the body is kept, to be stored."""
        return self._entry is not None

    async def answered(self, response: OriginResponse) -> None:
        """The head came. What it makes untrue is gone, for good, before any of it is passed on (D4)."""
        prepared, method = self._prepared, self._prepared.request.method
        entry = None
        if self._epoch is not None and method == "HEAD":
            self._shown_by_head(response.head, self._epoch)
        elif self._epoch is not None and method == "POST":
            entry = self._entry_of_post(response, self._epoch)
        self._invalidating.answered(prepared, response.head)
        if entry is not None:
            self._leave()
            self._epoch = self._cache.fences.enter()
            self._entry = entry
        await self._cache.durable()

    def unknown(self) -> None:
        """It was sent, and no head came."""
        self._invalidating.unknown(self._prepared)

    def take(self, piece: bytes) -> None:
        """Some of the body came."""
        if self._entry is None:
            return
        body = self._entry.body
        fits = body.received_bytes + len(piece) <= self._cache.max_entry_bytes
        if fits and self._cache.fill_budget.take(len(piece)):
            self._budget_bytes += len(piece)
            body.append(piece)
        else:
            self._entry = None

    def whole(self) -> None:
        """The body came to its proper end."""
        if self._entry is not None:
            self._entry.body.finish()
            self._store(self._entry)

    def close(self) -> None:
        """It is over, however it ended. Idempotent."""
        self._entry = None
        self._cache.fill_budget.give_back(self._budget_bytes)
        self._budget_bytes = 0
        self._leave()

    def _leave(self) -> None:
        if self._epoch is not None:
            self._cache.fences.leave(self._epoch)
            self._epoch = None

    def _store(self, entry: Entry) -> None:
        assert self._epoch is not None, f"{self!r} teaches nothing"
        max_variants = self._prepared.route.settings.cache.max_variants
        if self._cache.store(entry, began=self._epoch, max_variants=max_variants):
            self._cache.keys.learn_search(entry.key, search_variance(entry.head.fields))

    def _shown_by_head(self, head: ResponseHead, began: int) -> None:
        """RFC 9111 §4.3.5. What one user is told says nothing of what others would be."""
        cache, key, seen = self._cache, self._prepared.key, self._prepared.seen
        if key is None or b"cookie" in seen.fields or b"authorization" in seen.fields:
            return
        key = cache.placed(key)
        stored = cache.get(key, cache.variant_of(key, seen))
        if stored is None or stored.requested_mono > self._asked_mono or cache.fences.crossed(began, key):
            return  # nothing is told of what was asked for later
        length = stored.body.received_bytes
        if head_invalidates(stored.head, head, length=length):
            now_mono = cache.clock.mono()
            if stored.ttl_s(now_mono) >= 0:  # copies of what is stale are stale: nothing to tell, each time
                cache.tell_others(key, soft=True)
            stored.soften(now_mono)
        elif head_freshens(stored.head, head, length=length):
            self._freshen(stored, head, replace(seen, method="GET"))

    def _freshen(self, stored: Entry, head: ResponseHead, asked: RequestHead) -> None:
        route = self._prepared.route.settings
        merged = freshen(stored.head, head)
        verdict = judge(asked, merged, route=route, now=self._cache.clock.now())
        terms = terms_to_store(verdict)
        if terms is None:
            self._cache.discard(stored)
            self._cache.tell_others(stored.key, soft=False)
        else:
            self._store(self._made(asked, merged, stored.body, terms, came=head))

    def _entry_of_post(self, response: OriginResponse, began: int) -> Entry | None:
        """What a POST's answer is stored as once its body is whole; None if it is not."""
        prepared, cache, head = self._prepared, self._cache, response.head
        route = prepared.route.settings
        if may_store_post(prepared.request, head, route=route, now=cache.clock.now()) is not None:
            return None
        if response.framing is Framing.CLOSE or (response.length or 0) > cache.max_entry_bytes:
            return None
        asked = replace(prepared.seen, method="GET")
        terms = terms_of(head, cache=route.cache, now=cache.clock.now())
        bare = replace(head, fields=end_to_end(head.fields))
        entry = self._made(asked, bare, SharedBody(response.length), terms, came=head)
        if not cache.admission.admits(entry.key, min_uses=route.cache.min_uses):
            return None
        return None if cache.fences.crossed(began, entry.key, entry.tags) else entry

    def _made(
        self,
        asked: RequestHead,
        head: ResponseHead,
        body: SharedBody,
        terms: Terms,
        *,
        came: ResponseHead,
    ) -> Entry:
        """The entry under `head`; `came` is what the origin has just sent."""
        now, now_mono = self._cache.clock.now(), self._cache.clock.mono()
        names = vary_names(head)
        assert names is not None, "what varies on everything is not for storing"
        route = self._prepared.route
        key = cache_key(route.name, asked, route=route.settings)
        return Entry(
            key=key_under(key, search_variance(head.fields)),
            varies_on=names,
            variant=variant_of(names, asked),
            head=head,
            body=body,
            terms=terms,
            initial_age_s=initial_age_s(
                came, requested_at=now - (now_mono - self._asked_mono), received_at=now
            ),
            requested_mono=self._asked_mono,
            received_mono=now_mono,
            received_at=now,
            tags=labels_of(head.fields, origin=uri_origin(asked)),
        )
