"""The invariants of DESIGN.md, D3 and D4, checked on everything that clients, origin and cache see.

What is found is collected, not raised: an exception inside a client's task would be one more thing for the
code under test to handle.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.cache.entry import Entry
from proxy.coalesce.answer import Answer, Outcome
from proxy.coalesce.body import ReaderLagged
from proxy.coalesce.flight import State
from proxy.config.settings import OnWaitTimeout
from proxy.errors import FlightFailed, NotStored, OriginError, ProxyError, RefusedError, WaitTimedOut
from proxy.http.messages import ResponseHead
from proxy.tasks import _running as running_tasks
from tests.simulation import kinds
from tests.simulation.client import Client
from tests.simulation.kinds import For
from tests.simulation.origin import FIRST_BYTE_TIMEOUT_S, QUEUE_TIMEOUT_S, Forwarded
from tests.simulation.schedule import GERMAN

if TYPE_CHECKING:
    from tests.simulation.world import World

INSTANT_S = 0.001
"""What happens at once takes some turns of the loop."""

ROUNDING_S = 0.6
"""A heuristic lifetime is a tenth of a time that is known to the second, and counted up to the head."""

MARKED_FOR_S = 10.0
UNREACHABLE_FOR_S = 1.0


@dataclass(frozen=True, slots=True)
class Purged:
    """A purge that was acknowledged: its place among all that happened, and the keys it covers."""

    order: int
    keys: frozenset[int]
    soft: bool


class Checks:
    """Of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[str] = []

    def expect(self, holds: bool, message: str, *about: object) -> None:
        """Note a violation unless it holds."""
        if not holds:
            at = self.world.clock.mono()
            self.violations.append(f"{at:.6f}: {message}: {', '.join(map(repr, about))}")

    # identities

    def granted_by(self, head: ResponseHead) -> Forwarded:
        """The forward request whose answer lets this response be used: its own, or the last validation."""
        number = head.fields.get(b"x-validated") or head.fields.get(b"x-body") or b""
        return self.world.origin.forwards[int(number)]

    def body_of(self, head: ResponseHead) -> Forwarded | None:
        """The forward request that the body came from; None for a 304 that goes to a client."""
        number = head.fields.get(b"x-body")
        return None if number is None else self.world.origin.forwards[int(number)]

    def _slack_s(self, grant: Forwarded) -> float:
        return ROUNDING_S if grant.kind is kinds.HEURISTIC else INSTANT_S

    def _age_s(self, grant: Forwarded) -> float:
        return grant.kind.age_s + self.world.clock.mono() - grant.built_at

    # answers

    def answered(self, client: Client, answer: Answer) -> None:
        """A client has its answer's head."""
        grant, body = self.granted_by(answer.head), self.body_of(answer.head)
        stale = answer.outcome is Outcome.STALE
        self.expect(grant.client.key == client.key, "the answer is for another key", client, grant)
        self.expect(body is None or body.tag == grant.tag, "the body of another validation", body, grant)
        if grant.client is not client:
            self._may_have(client, grant, stale=stale)
        self._after_purges(client, grant, body, stale=stale)
        if client.traits.says(b"no-cache"):
            self.expect(grant.order > client.order, "no-cache got an older answer", client, grant)
        if answer.outcome is Outcome.HIT:
            age_s = self._age_s(grant)
            self.expect(
                age_s < grant.kind.lifetime_s + self._slack_s(grant),
                "a hit is not fresh",
                client,
                grant,
                age_s,
            )
            demanded = client.traits.says(b"max-age=0") and not self._had_reason_for_stale(client)
            self.expect(not demanded, "max-age=0 got a hit", client, grant)
        if stale:
            self._stale_is_allowed(client, grant)
        elif answer.head.status >= 500 and grant.kind.whom is For.NOBODY and client.seated is not None:
            self._no_stale_was_owed(client)

    def _could_have(self, client: Client, grant: Forwarded, *, stale: bool) -> bool:
        """Whether the answer may reach this client, as far as both of them and its kind go."""
        one, other = client.traits, grant.client.traits
        authorization = one.has(b"authorization") or other.has(b"authorization")
        credentials = authorization or one.has(b"cookie") or other.has(b"cookie")
        asked_before = grant.head_order is not None and client.order < grant.head_order
        allowed = {
            For.ALL: True,
            For.WITHOUT_AUTHORIZATION: not authorization,
            For.WITHOUT_CREDENTIALS: not credentials,
            For.THOSE_WAITING: not credentials and (stale or asked_before),
            For.THOSE_WAITING_WITHOUT_AUTHORIZATION: not authorization and (stale or asked_before),
            For.NOBODY: False,
        }[grant.kind.whom]
        # a 304 to one language freshens the other that has the same representation
        alike = grant.status == 304 and (one.lang == GERMAN.lang) == (other.lang == GERMAN.lang)
        return allowed and (alike or one.lang == other.lang or not grant.kind.varies)

    def _may_have(self, client: Client, grant: Forwarded, *, stale: bool) -> None:
        allowed = self._could_have(client, grant, stale=stale)
        self.expect(allowed, "one client's answer reached another", client, grant)
        self.expect(grant.status != 206, "a part for one client reached another", client, grant)
        asked_before = grant.head_order is not None and client.order < grant.head_order
        if not stale and not asked_before:
            age_s = self._age_s(grant)
            fresh = age_s < grant.kind.lifetime_s + self._slack_s(grant)
            self.expect(fresh, "who came after the head got what is not fresh", client, grant, age_s)

    def _after_purges(self, client: Client, grant: Forwarded, body: Forwarded | None, *, stale: bool) -> None:
        for purged in self.world.purges:
            if client.key not in purged.keys or purged.order > client.order:
                continue
            if not (purged.soft and stale):
                self.expect(grant.order > purged.order, "an answer from before the purge", client, grant)
            if not purged.soft and body is not None:
                self.expect(body.order > purged.order, "a body from before the purge", client, body)

    def _stale_is_allowed(self, client: Client, grant: Forwarded) -> None:
        behind_s, failing_s, asked_s = grant.kind.stale_s
        staleness_s = self._age_s(grant) - grant.kind.lifetime_s - self._slack_s(grant)
        if any(purged.soft and client.key in purged.keys for purged in self.world.purges):
            staleness_s = min(staleness_s, 0.0)
        if behind_s and staleness_s < behind_s:
            return
        if client.traits.says(b"max-stale") and asked_s and staleness_s < min(10.0, asked_s):
            return
        self.expect(bool(failing_s) and staleness_s < failing_s, "stale for too long", client, grant)
        self.expect(self._had_reason_for_stale(client), "stale for no reason", client, grant)

    def _had_reason_for_stale(self, client: Client) -> bool:
        setup, now_s = self.world.schedule.setup, self.world.clock.mono()
        timed_out = now_s >= client.asked_at + setup.wait_timeout_s - INSTANT_S
        return timed_out or self._failed_lately(client) or (client.crowded or self.crowded(client))

    def _varies_otherwise(self, grant: Forwarded) -> bool:
        """Whether an answer for storing told since then that the key varies on something else.

        It need not have come to its end: what is stored is under another variant from then on.
        """
        return any(
            other.client.key == grant.client.key
            and (other.head_order or 0) > (grant.head_order or 0)
            and other.kind.stored
            and other.kind.varies != grant.kind.varies
            for other in self.world.origin.forwards
        )

    def _failed_lately(self, client: Client) -> bool:
        since_s = client.asked_at - UNREACHABLE_FOR_S - INSTANT_S
        return any(key == client.key and at >= since_s for key, at in self.world.origin.failures)

    def crowded(self, client: Client) -> bool:
        others = sum(other.key == client.key and not other.ended for other in self.world.clients)
        return others > self.world.schedule.setup.max_waiters

    def refused(self, client: Client, error: ProxyError) -> None:
        """A client was told an error instead of an answer: it must be explained by what happened to it."""
        setup, now_s = self.world.schedule.setup, self.world.clock.mono()
        match error:
            case NotStored():
                explained = client.traits.says(b"only-if-cached")
            case WaitTimedOut():
                late = now_s >= client.asked_at + setup.wait_timeout_s - INSTANT_S
                explained = late and setup.on_wait_timeout is OnWaitTimeout.ERROR
            case RefusedError():
                explained = client.crowded or self.crowded(client)
            case OriginError():
                explained = self._failed_lately(client)
            case _:
                explained = False
        self.expect(explained, "an error that nothing explains", client, error)
        if isinstance(error, FlightFailed):
            self.expect("abandoned" not in str(error), "a flight was abandoned under a client", client, error)
        if not isinstance(error, NotStored):
            self._no_stale_was_owed(client)

    def _no_stale_was_owed(self, client: Client) -> None:
        """A client gets no help from the origin: then nothing stored could have helped."""
        if client.traits.says(b"no-cache"):
            return
        for entry in self.world.entries():
            grant = self.granted_by(entry.head)
            found = entry.variant in ((), (client.traits.lang,))
            mine = found and grant.client.key == client.key and self._could_have(client, grant, stale=True)
            staleness_s = self._age_s(grant) - grant.kind.lifetime_s + self._slack_s(grant)
            if entry.softened_mono is not None:  # stale since then, whatever its age
                since_s = self.world.clock.mono() - entry.softened_mono
                staleness_s = max(staleness_s, since_s + self._slack_s(grant))
            owed = mine and staleness_s < grant.kind.stale_s[1] and not self._varies_otherwise(grant)
            self.expect(not owed, "stale was stored and allowed, and not served", client, grant)

    def in_time(self, client: Client) -> None:
        """A client has its answer or its error: in time."""
        setup = self.world.schedule.setup
        waited_s = self.world.clock.mono() - client.asked_at
        paced_s = len(self.world.clients) / (setup.release_rate or 100.0)
        most_s = setup.wait_timeout_s + 2 * (FIRST_BYTE_TIMEOUT_S + QUEUE_TIMEOUT_S) + paced_s + INSTANT_S
        self.expect(waited_s <= most_s, "answered too late", client, waited_s)

    # bodies

    def whole(self, client: Client, answer: Answer, received: bytes, *, part: bool) -> None:
        """A client took its answer for complete."""
        source = self.body_of(answer.head)
        if source is not None and not part:
            self.expect(not source.broken, "a broken body was taken for whole", client, source)
            self.expect(received == source.body, "the body is not whole", client, source, received)

    def octets(self, client: Client, answer: Answer, received: bytes, first: int) -> None:
        """A client has these octets, from `first` on."""
        source = self.body_of(answer.head)
        expected = b"" if source is None else source.body[first : first + len(received)]
        self.expect(received == expected, "the body of another answer", client, source, received)

    def broke_off(self, client: Client, answer: Answer, error: ProxyError) -> None:
        """A client's body broke off: only if the origin's did, or it did not read."""
        source = self.body_of(answer.head)
        lagged = isinstance(error, ReaderLagged) and client.pace_s > 0
        explained = lagged or (source is not None and source.broken)
        self.expect(explained, "a body broke off for no reason", client, source, error)

    # forward requests

    def built(self, forwarded: Forwarded) -> None:
        """A forward request was built; its flight starts in the same step."""
        client = forwarded.client
        if client.sent_away_at is not None:
            self._released_at_once(client, client.sent_away_at)
            client.sent_away_at = None
        if forwarded.alone:
            self._goes_alone_for_a_reason(client)
        elif not client.traits.says(b"no-cache") and not self._asks_again(forwarded):
            self._asks_for_no_flights_answer(client)

    def _asks_again(self, forwarded: Forwarded) -> bool:
        """Whether a flight that was told 304 of something else asks once more, for those it has."""
        before = [one for one in self.world.origin.forwards if one.client is forwarded.client]
        return len(before) > 1 and before[-2].mismatched

    def _released_at_once(self, client: Client, released_at: float) -> None:
        rate = self.world.schedule.setup.release_rate
        paced_s = len(self.world.clients) / rate if rate else 0.0
        waited_s = self.world.clock.mono() - released_at
        self.expect(waited_s <= paced_s + INSTANT_S, "released one after the other", client, waited_s)

    def _goes_alone_for_a_reason(self, client: Client) -> None:
        waited_s = self.world.clock.mono() - client.asked_at
        timed_out = waited_s >= self.world.schedule.setup.wait_timeout_s
        if not client.traits.plain or client.sent_away or client.regroups > 3 or timed_out:
            return
        since_s = self.world.clock.mono() - MARKED_FOR_S - INSTANT_S
        marked = any(
            other.head_at is not None and other.head_at >= since_s and other.marks(client)
            for other in self.world.origin.forwards
            if other.client.key == client.key
        )
        self.expect(marked, "asked alone for no reason", client)

    def _asks_for_no_flights_answer(self, client: Client) -> None:
        """One flight asks for a key, variant and generation; `mismatched` is the one that asks again."""
        cache = self.world.cache
        key = self.world.key_of(client.key)
        variant = cache.variant_of(key, client.request)
        for flight in self.world.flights():
            asked = self.world.forwarded_by(flight)
            same = flight.plan.key == key and flight.plan.variant == variant
            if not same or flight.state is not State.ASKING or asked.alone or asked.mismatched:
                continue
            covered = cache.fences.crossed(flight.epoch, key)
            self.expect(covered, "a second flight asks for the same", client, asked)

    # what is stored, what is left

    def stored(self) -> None:
        """Everything in the cache is whole, may be stored, and is not from before a purge."""
        for entry in self.world.entries():
            self._entry(entry)

    def _entry(self, entry: Entry) -> None:
        grant, body = self.granted_by(entry.head), self.body_of(entry.head)
        assert body is not None, f"stored without a body: {entry!r}"
        whole = entry.body.whole and b"".join(entry.body.pieces) == body.body
        self.expect(whole and not body.broken, "stored, but not whole", entry.body, body)
        self.expect(grant.kind.stored, "stored, but not for storing", grant)
        self.expect(body.status not in (206, 304), "a part is stored", body)
        with_authorization = grant.client.traits.has(b"authorization")
        self.expect(not with_authorization or grant.kind.whom is For.ALL, "stored with Authorization", grant)
        for purged in self.world.purges:
            if grant.client.key in purged.keys:
                softly = purged.soft and entry.purged_softly
                self.expect(softly or grant.order > purged.order, "stored from before a purge", grant)
                self.expect(purged.soft or body.order > purged.order, "freshened across a purge", body, grant)

    def all_over(self) -> None:
        """Nothing is left of what ran."""
        world = self.world
        statistics = world.coalescer.statistics()
        self.expect(statistics.running == statistics.seats == 0, "flights are left", statistics)
        counted = sum(statistics.endings.values())
        self.expect(statistics.started == counted, "flights and endings do not add up", statistics)
        flights = world.coalescer._flights
        self.expect(not flights._joinable and not flights._places, "the table is not empty", flights._places)
        fences = world.cache.fences
        self.expect(not fences._running and not fences._fences, "fences are left", fences)
        origin = world.origin
        self.expect(origin.heads == 0, "a flight asked with HEAD", origin.heads)
        left = (origin.outstanding, origin.queued, origin.open_answers)
        self.expect(left == (0, 0, 0), "slots, a queue or answers are left", left)
        self.expect(origin.outstanding_peak <= world.schedule.setup.concurrency, "too many at the origin")
        self.expect(world.cache.fill_budget.taken_bytes == 0, "budget is left", world.cache.fill_budget)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        self.expect(not tasks and not running_tasks, "tasks are left", tasks)
        for client in world.clients:
            self.expect(client.ended, "a client was never answered", client)
