"""Names to targets: one look-up for all who wait, old answers kept, health kept with its target."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from proxy.errors import OriginTimeout, OriginUnreachable
from proxy.origin.address import parse_address
from proxy.origin.balancer import Target
from proxy.origin.resolver import RETRY_LOOK_UP_S, TargetGroup, is_literal
from tests.origin.manual_clock import ManualClock
from tests.origin.waiting import Gate, soon, turns, until


class Names:
    """A resolver whose answers a test sets; looks at `gate` first."""

    def __init__(self) -> None:
        self.hosts: dict[str, Sequence[str] | OSError] = {}
        self.asked: list[str] = []
        self.gate: Gate | None = None

    async def look_up(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if self.gate is not None:
            await self.gate.passed()
        answer = self.hosts[host]
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture
def names() -> Names:
    return Names()


Make = Callable[..., TargetGroup]


@pytest.fixture
def make(names: Names, clock: ManualClock) -> Make:
    def group(*texts: str, gone: list[Target] | None = None, timeout_s: float = 5) -> TargetGroup:
        return TargetGroup(
            [parse_address(text) for text in texts],
            origin="shop",
            look_up=names.look_up,
            interval_s=30,
            timeout_s=timeout_s,
            clock=clock,
            on_gone=(gone if gone is not None else []).append,
        )

    return group


def hosts(group: TargetGroup) -> list[str]:
    return [target.host for target in group.targets]


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("http://10.0.0.1", True),
        ("http://[::1]:80", True),
        ("unix:/run/x", True),
        ("http://shop.example", False),
    ],
)
def test_which_addresses_need_no_look_up(text: str, literal: bool) -> None:
    assert is_literal(parse_address(text)) is literal


async def test_literals_are_never_looked_up(make: Make, names: Names, clock: ManualClock) -> None:
    group = make("http://10.0.0.1", "unix:/run/x")
    clock.advance(1000)
    await soon(group.ready())
    assert hosts(group) == ["10.0.0.1", "/run/x"]
    assert names.asked == []


async def test_all_who_wait_share_the_first_look_up(make: Make, names: Names) -> None:
    names.hosts["a"] = ["10.0.0.1", "::2"]
    names.gate = Gate()
    group = make("http://a")
    waiting = [asyncio.get_running_loop().create_task(group.ready()) for _ in range(5)]
    await until(lambda: names.gate is not None and names.gate.reached)
    waiting[0].cancel()  # the one that started it may leave
    await turns()
    names.gate.open()
    await soon(asyncio.gather(*waiting[1:]))
    assert names.asked == ["a"]
    assert hosts(group) == ["10.0.0.1", "::2"]


async def test_a_look_up_that_is_due_happens_behind_the_request(
    make: Make, names: Names, clock: ManualClock
) -> None:
    gone: list[Target] = []
    names.hosts["a"] = ["10.0.0.1", "10.0.0.2"]
    group = make("http://a", gone=gone)
    await soon(group.ready())
    first, second = group.targets
    names.hosts["a"] = ["10.0.0.3", "10.0.0.2"]
    clock.advance(30)
    await soon(group.ready())
    assert group.targets == (first, second)
    await until(lambda: hosts(group) == ["10.0.0.3", "10.0.0.2"])
    assert group.targets[1] is second  # with its health and its connections
    assert gone == [first]


async def test_a_failed_look_up_keeps_the_old_answer_and_is_repeated_soon(
    make: Make, names: Names, clock: ManualClock
) -> None:
    names.hosts["a"] = ["10.0.0.1"]
    group = make("http://a")
    await soon(group.ready())
    names.hosts["a"] = OSError("down")
    clock.advance(30)
    await soon(group.ready())
    await until(lambda: len(names.asked) == 2)
    await turns()
    assert hosts(group) == ["10.0.0.1"]
    names.hosts["a"] = ["10.0.0.9"]
    clock.advance(RETRY_LOOK_UP_S)
    await soon(group.ready())
    await until(lambda: hosts(group) == ["10.0.0.9"])


async def test_one_name_that_fails_leaves_the_others(make: Make, names: Names) -> None:
    names.hosts.update(a=OSError("down"), b=["10.0.0.2"])
    group = make("http://a", "http://b")
    await soon(group.ready())
    assert hosts(group) == ["10.0.0.2"]


async def test_no_name_at_all_is_an_error_that_is_remembered_for_a_moment(
    make: Make, names: Names, clock: ManualClock
) -> None:
    names.hosts["a"] = OSError("down")
    group = make("http://a")
    for _ in range(3):
        with pytest.raises(OriginUnreachable, match="http://a"):
            await soon(group.ready())
    assert len(names.asked) == 1
    names.hosts["a"] = ["10.0.0.1"]
    clock.advance(RETRY_LOOK_UP_S)
    await soon(group.ready())
    assert hosts(group) == ["10.0.0.1"]


async def test_a_resolver_that_hangs_is_a_time_out(make: Make, names: Names) -> None:
    names.gate = Gate()
    with pytest.raises(OriginTimeout):
        await soon(make("http://a", timeout_s=0.01).ready())


async def test_a_look_up_ends_when_the_group_is_closed(make: Make, names: Names) -> None:
    names.gate = Gate()
    group = make("http://a")
    waiting = asyncio.get_running_loop().create_task(group.ready())
    await until(lambda: names.asked)
    await soon(group.close())
    with pytest.raises(asyncio.CancelledError):
        await waiting
