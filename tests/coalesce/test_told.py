"""What becomes of an answer when the key's owner gave it."""

from __future__ import annotations

import pytest

from proxy.cache.entry import HeadMemo
from proxy.coalesce.answer import Answer, Outcome
from proxy.coalesce.body import SharedBody
from proxy.coalesce.outcomes import Role
from proxy.coalesce.told import is_for, tell
from proxy.config.settings import RouteCacheSettings, RouteSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead
from proxy.peers.word import Answered, OwnersWord
from proxy.policy.cache_control import ResponseDirectives
from proxy.policy.cache_status import ForwardReason
from proxy.policy.terms import terms_from

HEAD = ResponseHead(200, Fields(((b"Cache-Control", b"max-age=60"),)))


def answer(role: Role, outcome: Outcome) -> Answer:
    return Answer(
        head=HEAD,
        body=SharedBody(window_bytes=1),
        outcome=outcome,
        memo=HeadMemo(),
        received_at=0.0,
        forward=ForwardReason.URI_MISS,
        forward_status=200,
        stored=role is Role.LEADER,
        collapsed=True if role is Role.WAITER else None,
        role=role,
    )


def word(answered: Answered) -> OwnersWord:
    return OwnersWord(
        answered, 0.0, 0.0, age_s=10.0, forward=ForwardReason.STALE, forward_status=304, stored=True,
        collapsed=True if answered is Answered.COLLAPSED else None,
    )  # fmt: skip


@pytest.mark.parametrize("role", [Role.LEADER, Role.WAITER])
@pytest.mark.parametrize("answered", [Answered.HIT, Answered.STALE])
def test_what_the_owner_had_is_a_hit_for_all(role: Role, answered: Answered) -> None:
    told = tell(answer(role, Outcome.MISS), word(answered))
    assert told.outcome == answered.value
    assert (told.forward, told.forward_status, told.collapsed, told.stored) == (None, None, None, False)


def test_who_led_here_is_what_it_was_at_the_owner() -> None:
    told = tell(answer(Role.LEADER, Outcome.MISS), word(Answered.COLLAPSED))
    assert told.outcome is Outcome.COLLAPSED
    assert told.collapsed
    assert (told.forward, told.forward_status) == (ForwardReason.STALE, 304)


def test_who_waited_here_has_waited() -> None:
    told = tell(answer(Role.WAITER, Outcome.COLLAPSED), word(Answered.MISS))
    assert told.outcome is Outcome.COLLAPSED
    assert told.collapsed
    assert not told.stored


@pytest.mark.parametrize(
    ("control", "answered", "honoured", "expected"),
    [
        pytest.param(None, Answered.HIT, True, True, id="no-wishes"),
        pytest.param("no-cache", Answered.HIT, True, False, id="no-cache-and-stored"),
        pytest.param("no-cache", Answered.COLLAPSED, True, False, id="no-cache-and-asked-for-before"),
        pytest.param("no-cache", Answered.MISS, True, True, id="no-cache-and-asked-for-now"),
        pytest.param("no-cache", Answered.HIT, False, True, id="not-honoured"),
        pytest.param("max-age=5", Answered.HIT, True, False, id="too-old"),
        pytest.param("max-age=15", Answered.HIT, True, True, id="young-enough"),
        pytest.param("max-age=5", Answered.COLLAPSED, True, True, id="just-fetched"),
        pytest.param("min-fresh=55", Answered.HIT, True, False, id="not-fresh-for-long-enough"),
    ],
)
def test_a_waiter_gets_no_older_answer_than_it_would_take(
    control: str | None, answered: Answered, honoured: bool, expected: bool
) -> None:
    route = RouteSettings(origin="shop", cache=RouteCacheSettings(honour_no_cache=honoured))
    fields = Fields() if control is None else Fields(((b"Cache-Control", control.encode()),))
    terms = terms_from(HEAD, ResponseDirectives.parse(HEAD.fields), cache=route.cache, now=0.0)
    request = RequestHead("GET", b"/", fields)
    assert is_for(request, word(answered), terms, age_s=10.0, route=route) is expected
