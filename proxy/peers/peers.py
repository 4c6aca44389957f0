"""The other workers, as a worker asks them: who owns a key, who is asked instead, and what came of it.

Theory of operation. Each key has an order of slots (`order.py`). A worker asks the first in it that can be
reached; when that is itself, it asks the origin. So it asks only workers that stand *before* it in the key's
order, and a worker answers only those that stand *behind* it. Waiting therefore never goes in a circle,
whatever two workers think of a third: the answer to a question may wait for another question's answer
(a flight that was joined), and that one's again, but each step is one further to the front.

When the owner is gone, all ask the next in its order, so that its keys cost one more fetch and not one for
each worker; when it is back, they return to it. All of this holds among workers that are arranged alike: the
same slots, routes and origins. A question carries a fingerprint of these, and a worker that is arranged
otherwise (in the middle of a reload) declines; then the asker goes to the origin itself.

What is not for sharing is fetched by whoever is asked for it. A key's first answer of that kind comes by its
owner, to the question that led the flight there; the other questions are told so, and their askers release
their own herds at once. The mark on the key (hit-for-miss) then stands with the asker as well. For requests
with credentials, which mark nothing, it is remembered here for as long that the owner could not help.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, OrderedDict
from collections.abc import Callable

from proxy import __version__
from proxy.clock import Clock
from proxy.coalesce.answer import Outcome
from proxy.config.settings import Config, OriginSettings
from proxy.errors import NotShared, NotStored
from proxy.origin.port import OnInformational
from proxy.peers.answer import OwnersAnswer
from proxy.peers.link import Link
from proxy.peers.order import order_of
from proxy.peers.question import Question
from proxy.peers.statistics import PeerStatistics, Reply
from proxy.peers.word import Answered, Trouble
from proxy.policy.keys import CacheKey
from proxy.workers.place import WorkerPlace

_MAX_IN_VAIN = 10_000
"""Keys remembered of which the owner had nothing for a request with credentials."""

_IN_VAIN_S = 10.0
"""As `coalesce.not_shareable_for_s` by default, which is the same for whole keys."""

_DECLINED = NotStored.__name__


class Peers:
    """The others of one worker's generation."""

    def __init__(self, config: Config, place: WorkerPlace, *, clock: Clock) -> None:
        self.place = place
        self.arrangement = arrangement_of(config, place)
        """What both must have in common."""
        self._clock = clock
        self._links = {
            slot: Link(
                slot,
                place.socket_path(slot),
                asker=place.slot,
                timeout_s=config.workers.owner_timeout_s,
                clock=clock,
            )
            for slot in place.others
        }
        self._questions: Counter[Reply] = Counter()
        self._in_vain: OrderedDict[CacheKey, float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Peers of {self.place.slot}: {list(self._links.values())}>"

    def rearrange(self, config: Config) -> None:
        """Another configuration is in use here."""
        self.arrangement = arrangement_of(config, self.place)

    def owner_of(self, key: CacheKey) -> int:
        """The slot that owns a key."""
        return self._order(key)[0]

    def _order(self, key: CacheKey) -> tuple[int, ...]:
        return order_of(key, self.place.slots)

    def asks(self, key: CacheKey, *, alone: bool) -> bool:
        """Whether somebody else may be asked; `alone` is a request whose answer is for its client only."""
        if self.owner_of(key) == self.place.slot:
            return False
        return not alone or self._in_vain.get(key, -math.inf) < self._clock.mono()

    def answers(self, key: CacheKey, asker: int) -> bool:
        """Whether this worker answers that one: it stands before it in the key's order."""
        order = self._order(key)
        return asker in order and order.index(self.place.slot) < order.index(asker)

    async def ask(self, question: Question, on_informational: OnInformational | None) -> OwnersAnswer | None:
        """The answer of whoever is first in the key's order and can be reached.

        None if that is this worker, or has nothing to give. Raises: what the other one could not get past
        (OriginError and its kin), and NotShared.
        """
        for slot in self._order(question.key):
            if slot == self.place.slot:
                return None
            link = self._links[slot]
            if not link.reachable:
                continue
            answer = await link.ask(question, on_informational, arrangement=self.arrangement)
            if answer is None:
                self._questions[Reply.LOST] += 1
            elif isinstance(answer, OwnersAnswer):
                return self._answered(question, answer)
            else:
                self._troubled(answer)
                return None
        raise AssertionError(f"slot {self.place.slot} is not in the order of its own key")

    def _troubled(self, trouble: Trouble) -> None:
        if trouble.name == _DECLINED:
            self._questions[Reply.DECLINED] += 1
            return
        error = trouble.error()
        self._questions[Reply.RELEASED if isinstance(error, NotShared) else Reply.TROUBLE] += 1
        raise error

    def _answered(self, question: Question, answer: OwnersAnswer) -> OwnersAnswer:
        word = answer.word
        assert word is not None, "an owner has a word"
        self._questions[Reply(word.answered)] += 1
        if question.alone and word.answered is Answered.PASSED:
            self._in_vain.pop(question.key, None)
            self._in_vain[question.key] = self._clock.mono() + _IN_VAIN_S
            if len(self._in_vain) > _MAX_IN_VAIN:
                self._in_vain.popitem(last=False)
        return answer

    def statistics(self, *, answers: Callable[[], dict[Outcome, int]]) -> PeerStatistics:
        """Counters since the start; `answers` are those of the door."""
        return PeerStatistics(
            questions={reply: self._questions[reply] for reply in Reply},
            answers=answers(),
            asking=sum(link.waited_for for link in self._links.values()),
            unreachable=sum(not link.reachable for link in self._links.values()),
        )

    async def close(self) -> None:
        """Ask nothing more."""
        for link in self._links.values():
            await link.close()


def arrangement_of(config: Config, place: WorkerPlace) -> str:
    """What workers that ask each other must have in common, as a fingerprint."""
    arranged = {
        "version": __version__,
        "slots": place.slots,
        "routes": [route.model_dump(mode="json") for route in config.routes],
        "origins": {name: origin.model_dump(mode="json") for name, origin in config.origins.items()},
    }
    return hashlib.sha256(json.dumps(arranged, sort_keys=True).encode()).hexdigest()[:16]


def share_of_origin(settings: OriginSettings, place: WorkerPlace | None) -> OriginSettings:
    """One worker's part of an origin's limits, rounded up, so that together they keep to them.

    Not by the owner, who fetches what is shared anyway: what is not for sharing would go through two
    processes only to be counted.
    """
    if place is None or place.slots == 1:
        return settings
    return settings.model_copy(
        update={
            "max_concurrency": math.ceil(settings.max_concurrency / place.slots),
            "max_queue": math.ceil(settings.max_queue / place.slots),
            "max_idle_connections": math.ceil(settings.max_idle_connections / place.slots),
        }
    )
