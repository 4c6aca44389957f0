"""What a flight and its seats make of the word of a key's owner, where that answered in the origin's place.

The machine is one cache to its clients: who is answered by the owner's store has a hit, although the worker
it is connected to had nothing. What differs from an answer of the origin is that it may be older than the
flight: then it is not for those who want nothing that was asked for before they came.
"""

from __future__ import annotations

from proxy.coalesce.answer import Answer, Outcome
from proxy.coalesce.outcomes import Role
from proxy.config.settings import RouteSettings
from proxy.http.messages import RequestHead
from proxy.peers.word import OwnersWord
from proxy.policy.cache_control import RequestDirectives
from proxy.policy.decide import ServeStored, decide
from proxy.policy.terms import Terms


def tell(answer: Answer, word: OwnersWord) -> Answer:
    """The answer with what became of the request at the owner."""
    waiter = answer.role is Role.WAITER
    if word.from_store:
        answer.outcome = Outcome(word.answered)
        answer.forward = answer.forward_status = answer.collapsed = None
        answer.stored = False
        return answer
    answer.forward = word.forward or answer.forward
    answer.forward_status = word.forward_status
    if not waiter and answer.outcome is not Outcome.RELEASED:
        answer.outcome, answer.collapsed, answer.stored = (
            Outcome(word.answered),
            word.collapsed,
            word.stored,
        )
    return answer


def is_for(
    request: RequestHead, word: OwnersWord, terms: Terms, *, age_s: float, route: RouteSettings
) -> bool:
    """Whether a waiter may have it: it joined a flight, and gets what was asked for before that perhaps.

    Source: RFC 9111 §5.2.1.
    """
    fields = request.fields
    if word.asked_for_us or (b"cache-control" not in fields and b"pragma" not in fields):
        return True
    honours = route.cache.honour_no_cache
    directives = RequestDirectives.parse(request.fields)
    if word.from_store:
        return isinstance(decide(directives, terms, age_s=age_s, honour_no_cache=honours), ServeStored)
    return not (honours and (directives.no_cache or directives.max_age == 0))
