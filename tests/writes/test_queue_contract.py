"""What every backend promises, whatever keeps its writes (`proxy/writes/port.py`).

`backend` is each of them; `keeper` each that takes in what must outlive the process, and so promises more.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.errors import QueueUnavailable
from proxy.http.fields import Fields
from proxy.writes.events import Gap, LoggedEvent
from proxy.writes.port import ClaimKind
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import DEAD_LETTERS, State
from proxy.writes.write import Idempotency, Mode
from tests.writes.backends import BACKENDS, KEEPERS, Backend, all_after, event_of, finish, result_of, take
from tests.writes.making import make_write

PROBLEM = Problem(ProblemType.ORIGIN_FAILED, "the origin answered 500 five times", 500)


@pytest.fixture(params=sorted(BACKENDS))
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    one = BACKENDS[request.param](tmp_path / "backend")
    await one.start()
    yield one
    await one.stop(clean=True)


@pytest.fixture(params=sorted(KEEPERS))
async def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    one = KEEPERS[request.param](tmp_path / "backend")
    await one.start()
    yield one
    await one.stop(clean=True)


# delivery and order


async def test_all_shards_are_gained_at_start_and_cleanly_when_there_was_nothing_before(
    backend: Backend,
) -> None:
    assert backend.owner.gains == dict.fromkeys(range(backend.queue.shards), True)
    assert backend.queue.lease_left_s(0) > 0


async def test_writes_of_a_shard_are_delivered_in_the_order_of_the_calls_of_put(backend: Backend) -> None:
    writes = [
        make_write(f"/k/{n % 3}", shard=1, mode=Mode.SYNC if n % 4 == 0 else backend.mode) for n in range(60)
    ]
    positions = await asyncio.gather(*(backend.queue.put(write) for write in writes))
    await backend.owner.until(60)
    assert backend.owner.ids == [write.id for write in writes]
    assert positions == sorted(set(positions))
    assert [one.position for one in backend.owner.deliveries] == positions
    assert not any(one.redelivered or one.attempts for one in backend.owner.deliveries)


async def test_a_write_with_nothing_to_wait_for_has_its_place_among_the_others(backend: Backend) -> None:
    assert backend.queue.puts_at_once
    writes = [make_write(shard=1, mode=Mode.SYNC if n % 2 else backend.mode) for n in range(10)]
    tasks = []
    for number, write in enumerate(writes):
        if number % 2:
            backend.queue.put_at_once(write)
        else:
            tasks.append(asyncio.ensure_future(backend.queue.put(write)))
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    await backend.owner.until(10)
    assert backend.owner.ids == [write.id for write in writes]
    positions = [backend.owner.of(write).position for write in writes]
    assert positions == sorted(set(positions))


async def test_a_write_arrives_whole(keeper: Backend) -> None:
    write = make_write(
        "/a", "/b", method="PATCH", target=b"/posts/%C3%A9?x=\xe9", body=b"\0\xff" * 300, principal="anna",
        fields=Fields([(b"Host", b"o.example"), (b"Cookie", b"\xe9"), (b"X-A", b"1"), (b"X-A", b"2")]),
        client_key=b'"k"', idempotency=Idempotency("route anna", "k", b"\0\xff"),
        accepted_at=1.25, not_after=2.5,
    )  # fmt: skip
    write = dataclasses.replace(write, forward_target=b"/inner/1", scheme="https", ingress="proxy-1")
    await keeper.queue.put(write)
    await keeper.owner.until(1)
    assert keeper.owner.deliveries[0].write == write
    owner = await keeper.restart(clean=False)
    await owner.until(1)
    assert owner.deliveries[0].write == write


@pytest.mark.parametrize("size", [0, 999, 1000, 1001, 70_000])
async def test_a_body_of_any_size_outlives_a_crash(keeper: Backend, size: int) -> None:
    write = make_write(body=b"z" * size)
    await keeper.queue.put(write)
    owner = await keeper.restart(clean=False)
    await owner.until(1)
    assert owner.deliveries[0].write.body == write.body
    await finish(keeper, write)
    owner = await keeper.restart(clean=True)
    assert await keeper.store.status(write.id) is not None
    assert owner.deliveries == []


async def test_what_was_left_comes_first_and_in_its_order_while_new_writes_come(keeper: Backend) -> None:
    left = [make_write(f"/{n % 5}", shard=n % 4) for n in range(700)]
    await asyncio.gather(*(keeper.queue.put(write) for write in left))
    owner = await keeper.restart(clean=False)
    new = [make_write("/0", shard=n % 4) for n in range(10)]
    await asyncio.gather(*(keeper.queue.put(write) for write in new))
    await owner.until(710)
    for shard in range(4):
        expected = [write.id for write in left + new if write.shard == shard]
        assert [one.write.id for one in owner.deliveries if one.write.shard == shard] == expected


async def test_positions_of_a_shard_rise_over_a_restart(backend: Backend) -> None:
    before = await backend.queue.put(make_write(mode=backend.mode))
    await backend.restart(clean=False)
    assert await backend.queue.put(make_write(mode=backend.mode)) > before


# marks and ends


async def test_a_write_that_was_not_started_is_not_redelivered_after_a_crash(keeper: Backend) -> None:
    write = make_write()
    await keeper.queue.put(write)
    owner = await keeper.restart(clean=False)
    (delivery,) = await owner.until(1)
    assert (delivery.redelivered, delivery.attempts) == (False, 0)
    assert set(owner.gains.values()) == {False}


async def test_a_write_that_was_started_and_not_done_is_redelivered_with_its_attempts(
    keeper: Backend,
) -> None:
    write = make_write()
    await keeper.queue.put(write)
    for attempt in (1, 2):
        marked = keeper.queue.started(keeper.owner.of(write), attempt=attempt)
        assert marked is not None
        await marked
    owner = await keeper.restart(clean=False)
    (delivery,) = await owner.until(1)
    assert (delivery.redelivered, delivery.attempts) == (True, 2)


async def test_a_mark_that_was_taken_back_leaves_nothing(keeper: Backend) -> None:
    write = make_write()
    await keeper.queue.put(write)
    for attempt in (1, 0):
        marked = keeper.queue.started(keeper.owner.of(write), attempt=attempt)
        assert marked is not None
        await marked
    status = await keeper.store.status(write.id)
    assert status is not None
    assert (status.state, status.started_at) == (State.QUEUED, None)
    owner = await keeper.restart(clean=False)
    (delivery,) = await owner.until(1)
    assert (delivery.redelivered, delivery.attempts) == (False, 0)


async def test_a_mark_before_put_has_returned_holds_only_once_the_write_does(keeper: Backend) -> None:
    write = make_write(body=b"b" * 5000)
    putting = asyncio.ensure_future(keeper.queue.put(write))
    await keeper.owner.until(1)
    marked = keeper.queue.started(keeper.owner.of(write), attempt=1)
    assert marked is not None
    await marked
    owner = await keeper.restart(clean=False)
    assert putting.done()
    (delivery,) = await owner.until(1)
    assert delivery.redelivered


async def test_a_client_that_leaves_while_its_write_is_being_kept_does_not_cancel_it(
    keeper: Backend,
) -> None:
    write = make_write()
    putting = asyncio.ensure_future(keeper.queue.put(write))
    await keeper.owner.until(1)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    await finish(keeper, write)
    assert await keeper.store.result(write.id) == result_of()


async def test_a_write_that_is_done_does_not_come_back(keeper: Backend) -> None:
    kept, ended = make_write(), make_write()
    await keeper.queue.put(kept)
    await keeper.queue.put(ended)
    await finish(keeper, ended)
    owner = await keeper.restart(clean=False)
    await owner.until(1)
    assert owner.ids == [kept.id]


async def test_an_unclean_end_is_told_to_the_owner(backend: Backend) -> None:
    for clean in (False, True):
        owner = await backend.restart(clean=clean)
        assert set(owner.gains.values()) == {clean}


async def test_nothing_is_kept_of_a_write_that_promised_nothing_but_its_event(backend: Backend) -> None:
    write = make_write(mode=Mode.SYNC)
    await backend.queue.put(write)
    follower = backend.events.follow(None)
    news = asyncio.ensure_future(take(follower, 1))
    await asyncio.sleep(0)
    assert backend.queue.started(backend.owner.of(write), attempt=1) is None
    await finish(backend, write)
    (found,) = await news
    assert isinstance(found, LoggedEvent)
    assert found.event == event_of(write)
    assert await backend.store.result(write.id) is None
    owner = await backend.restart(clean=True)
    assert owner.deliveries == []


async def test_a_write_that_clients_wait_for_does_not_outlive_a_crash_unless_it_is_durable(
    keeper: Backend,
) -> None:
    plain = make_write(mode=Mode.SYNC)
    keyed = make_write(mode=Mode.SYNC, idempotency=Idempotency("s", "k", b"f"))
    await keeper.queue.put(plain)
    await keeper.queue.put(keyed)
    owner = await keeper.restart(clean=False)
    await owner.until(1)
    assert owner.ids == [keyed.id]


async def test_after_the_queue_was_closed_nothing_is_taken_in(backend: Backend) -> None:
    await backend.queue.close(clean=True)
    with pytest.raises(QueueUnavailable):
        await backend.queue.put(make_write(mode=backend.mode))
    with pytest.raises(QueueUnavailable):
        backend.queue.put_at_once(make_write(mode=Mode.SYNC))


# status, results, dead letters, paused keys


async def test_a_write_that_has_not_ended_is_known(backend: Backend) -> None:
    write, other = make_write("/a", mode=backend.mode, principal="anna"), make_write("/b", mode=backend.mode)
    assert await backend.store.status(write.id) is None
    position = await backend.queue.put(write)
    await backend.queue.put(other)
    for state, attempts in ((State.QUEUED, 0), (State.STARTED, 1), (State.STARTED, 2)):
        status = await backend.store.status(write.id)
        assert status is not None
        assert (status.state, status.attempts, status.position) == (state, attempts, position)
        assert (status.keys, status.principal, status.mode) == (("/a",), "anna", backend.mode)
        assert [one.id for one in await backend.store.listing(states=frozenset({state}), limit=1)] == [
            write.id
        ]
        assert [one.id for one in await backend.store.listing(key="/b")] == [other.id]
        assert await backend.store.result(write.id) is None
        marked = backend.queue.started(backend.owner.of(write), attempt=attempts + 1)
        if marked is not None:
            await marked


async def test_a_paused_key_is_known_until_it_is_resumed(backend: Backend) -> None:
    await backend.store.pause("/a", PROBLEM)
    assert await backend.store.paused() == {"/a": PROBLEM}
    assert await backend.store.resume("/a")
    assert not await backend.store.resume("/a")
    assert await backend.store.paused() == {}


async def test_a_status_follows_the_write(keeper: Backend) -> None:
    write = make_write("/posts/7", principal="anna")
    assert await keeper.store.status(write.id) is None
    position = await keeper.queue.put(write)
    status = await keeper.store.status(write.id)
    assert status is not None
    assert (status.state, status.attempts, status.keys, status.position) == (
        State.QUEUED,
        0,
        ("/posts/7",),
        position,
    )
    marked = keeper.queue.started(keeper.owner.of(write), attempt=1)
    assert marked is not None
    await marked
    status = await keeper.store.status(write.id)
    assert status is not None
    assert (status.state, status.attempts) == (State.STARTED, 1)
    assert status.started_at is not None
    await finish(keeper, write)
    for _ in range(2):
        status = await keeper.store.status(write.id)
        assert status is not None
        assert (status.state, status.attempts, status.status, status.principal) == (
            State.COMMITTED,
            1,
            200,
            "anna",
        )
        assert (status.finished_at, status.position, status.problem) == (1_700_000_100.5, position, None)
        assert await keeper.store.result(write.id) == result_of()
        await keeper.restart(clean=False)


async def test_the_listing_is_in_the_order_of_ids_and_by_pages(keeper: Backend) -> None:
    writes = [make_write(f"/{n % 2}") for n in range(9)]
    for write in writes:
        await keeper.queue.put(write)
    for write in writes[::3]:
        await finish(keeper, write)
    ids = [write.id for write in writes]
    assert [one.id for one in await keeper.store.listing()] == ids
    first = await keeper.store.listing(limit=4)
    assert [one.id for one in first] == ids[:4]
    assert [one.id for one in await keeper.store.listing(after=first[-1].id)] == ids[4:]
    assert [one.id for one in await keeper.store.listing(key="/1")] == ids[1::2]
    found = await keeper.store.listing(states=frozenset({State.COMMITTED}))
    assert [one.id for one in found] == ids[::3]


async def bury(keeper: Backend, body: bytes = b"body") -> str:
    write = make_write(body=body)
    await keeper.queue.put(write)
    delivery = keeper.owner.of(write)
    marked = keeper.queue.started(delivery, attempt=1)
    assert marked is not None
    await marked
    result = dataclasses.replace(result_of(State.DEAD, status=500), problem=PROBLEM)
    kept = keeper.queue.bury(delivery, PROBLEM, result, event_of(write, State.DEAD, status=500))
    assert kept is not None
    await kept
    return write.id


@pytest.mark.parametrize("size", [10, 5000])
async def test_a_dead_letter_is_kept_whole_until_it_was_seen_to(keeper: Backend, size: int) -> None:
    write_id = await bury(keeper, b"d" * size)
    for _ in range(2):
        letter = await keeper.store.dead_letter(write_id)
        assert letter is not None
        assert (letter.problem, letter.write.body) == (PROBLEM, b"d" * size)
        status = await keeper.store.status(write_id)
        assert status is not None
        assert status.state in DEAD_LETTERS
        assert status.problem == PROBLEM
        owner = await keeper.restart(clean=False)
    assert owner.deliveries == []
    assert await keeper.store.discard(write_id)
    assert not await keeper.store.discard(write_id)
    assert await keeper.store.dead_letter(write_id) is None
    assert await keeper.store.dead_letters() == []


async def test_dead_letters_come_by_pages(keeper: Backend) -> None:
    ids = [await bury(keeper) for _ in range(5)]
    first = await keeper.store.dead_letters(limit=3)
    rest = await keeper.store.dead_letters(after=first[-1].write.id)
    assert [one.write.id for one in (*first, *rest)] == ids


async def test_paused_keys_outlive_a_restart(keeper: Backend) -> None:
    await keeper.store.pause("/a", PROBLEM)
    await keeper.store.pause("/b", Problem(ProblemType.SKIPPED, "by hand"))
    await keeper.restart(clean=False)
    assert await keeper.store.resume("/b")
    assert not await keeper.store.resume("/b")
    assert await keeper.store.paused() == {"/a": PROBLEM}
    await keeper.stop(clean=True)
    keeper.renew()
    assert await keeper.store.paused() == {"/a": PROBLEM}, "before the queue is started, as lanes ask"
    await keeper.queue.start(keeper.owner)


# idempotency keys

KEY = Idempotency("route anna", "key 1", b"fingerprint")


async def test_a_claimed_key_leads_to_its_write(keeper: Backend) -> None:
    write = make_write(idempotency=KEY)
    mine = await keeper.store.claim(KEY, write.id, expires_at=2e9)
    assert (mine.kind, mine.write_id) == (ClaimKind.OURS, write.id)
    assert (await keeper.store.claim(KEY, "other", expires_at=2e9)).kind is ClaimKind.RUNNING
    await keeper.queue.put(write)
    for state in (ClaimKind.RUNNING, ClaimKind.FINISHED):
        found = await keeper.store.claim(KEY, "other", expires_at=3e9)
        assert (found.kind, found.write_id, found.expires_at) == (state, write.id, 2e9)
        owner = await keeper.restart(clean=False)
        found = await keeper.store.claim(KEY, "other", expires_at=3e9)
        assert (found.kind, found.write_id, found.expires_at) == (state, write.id, 2e9)
        if state is ClaimKind.RUNNING:
            await owner.until(1)
            await finish(keeper, write)


async def test_the_same_key_with_another_request_is_a_mismatch(keeper: Backend) -> None:
    await keeper.store.claim(KEY, "w1", expires_at=2e9)
    other = dataclasses.replace(KEY, fingerprint=b"else")
    assert (await keeper.store.claim(other, "w2", expires_at=2e9)).kind is ClaimKind.MISMATCH
    elsewhere = dataclasses.replace(KEY, scope="route bert")
    assert (await keeper.store.claim(elsewhere, "w3", expires_at=2e9)).kind is ClaimKind.OURS


async def test_of_many_claims_at_once_one_is_ours(keeper: Backend) -> None:
    claims = await asyncio.gather(*(keeper.store.claim(KEY, f"w{n}", expires_at=2e9) for n in range(20)))
    assert sorted(one.kind for one in claims) == [ClaimKind.OURS] + [ClaimKind.RUNNING] * 19


async def test_a_claim_without_its_write_is_void_after_a_crash_and_when_given_back(keeper: Backend) -> None:
    await keeper.store.claim(KEY, "w1", expires_at=2e9)
    await keeper.store.unclaim("w1")
    assert (await keeper.store.claim(KEY, "w2", expires_at=2e9)).kind is ClaimKind.OURS
    await keeper.restart(clean=False)
    assert (await keeper.store.claim(KEY, "w3", expires_at=2e9)).kind is ClaimKind.OURS


@pytest.mark.parametrize("state", [State.EXPIRED, State.CANCELLED])
async def test_a_write_that_was_never_sent_frees_its_key(keeper: Backend, state: State) -> None:
    write = make_write(idempotency=KEY)
    await keeper.store.claim(KEY, write.id, expires_at=2e9)
    await keeper.queue.put(write)
    kept = keeper.queue.done(
        keeper.owner.of(write), result_of(state, attempts=0, taken=False, status=None), event_of(write, state)
    )
    assert kept is not None
    await kept
    assert (await keeper.store.claim(KEY, "w2", expires_at=2e9)).kind is ClaimKind.OURS


# events


async def commit(backend: Backend, count: int, *, shards: int = 1) -> list[str]:
    writes = [make_write(shard=n % shards, mode=backend.mode) for n in range(count)]
    await asyncio.gather(*(backend.queue.put(write) for write in writes))
    for write in writes:
        await finish(backend, write)
    return [write.id for write in writes]


async def test_events_are_followed_as_they_come_and_from_any_position(keeper: Backend) -> None:
    follower = keeper.events.follow(None)
    news = asyncio.ensure_future(take(follower, 6))
    await asyncio.sleep(0)
    ids = await commit(keeper, 6)
    live = [one for one in await news if isinstance(one, LoggedEvent)]
    assert [one.event.write_id for one in live] == ids
    positions = [one.position for one in live]
    assert positions == sorted(set(positions))
    assert keeper.events.ends()[0] == positions[-1]
    await keeper.restart(clean=True)
    for begin in range(6):
        after = {0: positions[begin - 1]} if begin else {}
        assert await all_after(keeper.events, after, until=6 - begin) == live[begin:]


async def test_each_event_comes_once_while_a_reader_catches_up(backend: Backend) -> None:
    before = await commit(backend, 40, shards=4)
    follower = backend.events.follow({})
    found = await take(follower, 5)
    after = await commit(backend, 40, shards=4)
    found += await take(follower, 75)
    events = [one for one in found if isinstance(one, LoggedEvent)]
    assert sorted(one.event.write_id for one in events) == sorted(before + after)
    for shard in range(4):
        positions = [one.position for one in events if one.event.shard == shard]
        assert positions == sorted(set(positions))


async def test_a_reader_is_told_that_events_may_be_missing_after_a_crash(backend: Backend) -> None:
    await commit(backend, 2)
    ends = dict(backend.events.ends())
    await backend.restart(clean=False)
    (write_id,) = await commit(backend, 1)
    found = await all_after(backend.events, {0: ends[0]}, until=1)
    gap, event = (one for one in found if not isinstance(one, Gap) or one.shard == 0)
    assert isinstance(gap, Gap)
    assert isinstance(event, LoggedEvent)
    assert event.event.write_id == write_id
    assert ends[0] < gap.oldest <= event.position


async def test_a_reader_from_a_position_that_was_never_given_is_told_so(backend: Backend) -> None:
    await commit(backend, 1)
    follower = backend.events.follow({0: 10**15})
    found = (await take(follower, 1))[0]
    assert isinstance(found, Gap)


async def test_followers_end_when_the_log_is_closed(backend: Backend) -> None:
    follower = backend.events.follow(None)
    ending = asyncio.ensure_future(anext(follower, None))
    await asyncio.sleep(0)
    await backend.queue.close(clean=True)
    async with asyncio.timeout(10):
        assert await ending is None
