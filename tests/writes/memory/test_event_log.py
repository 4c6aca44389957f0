"""The last events of a process, with positions that no later process gives again."""

from __future__ import annotations

from proxy.writes.events import CommitEvent, Gap, LoggedEvent
from proxy.writes.memory.event_log import MemoryLog
from tests.writes.backends import event_of, take
from tests.writes.making import make_write


def filled(
    count: int, *, ring_events: int = 4, shards: int = 2, now: float = 1000.0
) -> tuple[MemoryLog, list[CommitEvent]]:
    log = MemoryLog(ring_events=ring_events)
    assert log.begin_at(now, shards=shards) == now * 1e6
    events = [event_of(make_write(shard=n % shards)) for n in range(count)]
    for event in events:
        log.append(event)
    return log, events


async def test_positions_rise_by_one_from_the_microsecond_of_the_start() -> None:
    log, events = filled(3)
    assert await take(log.follow({}), 3) == [
        LoggedEvent(1_000_000_001 + n, event) for n, event in enumerate(events)
    ]
    assert log.ends() == {0: 1_000_000_003, 1: 1_000_000_002}


async def test_a_reader_is_told_what_the_ring_has_dropped() -> None:
    log, events = filled(10)
    at_the_start = {0: 1_000_000_000, 1: 1_000_000_000}
    found = await take(log.follow(at_the_start), 6)
    assert found[:2] == [Gap(0, 1_000_000_006), Gap(1, 1_000_000_007)]
    assert [one.event for one in found[2:] if isinstance(one, LoggedEvent)] == events[6:]
    assert [one for one in await take(log.follow({}), 4) if isinstance(one, Gap)] == []


async def test_nothing_is_missing_while_the_ring_holds_it() -> None:
    log, events = filled(4)
    found = await take(log.follow({0: 1_000_000_000, 1: 1_000_000_000}), 4)
    assert [one.event for one in found if isinstance(one, LoggedEvent)] == events


async def test_a_reader_of_an_earlier_process_is_told_that_something_is_missing() -> None:
    earlier, _ = filled(4)
    later, _ = filled(0, now=1000.5)
    assert await take(later.follow(earlier.ends()), 2) == [Gap(0, 1_000_500_001), Gap(1, 1_000_500_001)]
