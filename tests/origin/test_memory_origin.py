"""The origin in memory: counts, barriers, and hours that pass at once on a virtual clock."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

import pytest

from proxy.config.settings import OriginSettings
from proxy.errors import OriginTimeout, OriginUnreachable
from tests.origin.asking import get, read_all
from tests.origin.memory_origin import MemoryOrigin
from tests.origin.planned import Answer
from tests.origin.waiting import Gate, soon, until


class _Jump(selectors.DefaultSelector):
    """Waits for nothing: the time that would have been waited is added to the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits and no timer is set: a deadlock"
        self.passed_s += timeout
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.passed_s


def virtually(coroutine: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        runner.run(coroutine)


def test_an_hour_of_the_origins_delay_takes_no_time() -> None:
    async def run() -> None:
        origin = MemoryOrigin(settings=OriginSettings(addresses=("http://a",), first_byte_timeout_s=7200))
        origin.plan.on(b"/a", Answer(body=b"late", delay_s=3600))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert await read_all(await origin.send(get())) == b"late"
        assert 3600 <= loop.time() - begun < 3601

    virtually(run())


def test_time_limits_pass_on_the_virtual_clock() -> None:
    async def run() -> None:
        origin = MemoryOrigin(settings=OriginSettings(addresses=("http://a",)))
        origin.plan.on(b"/a", Answer(head_gate=Gate()), Answer(body=b"xy", body_gate=Gate(), gate_at=1))
        with pytest.raises(OriginTimeout):
            await origin.send(get())
        response = await origin.send(get())
        assert await response.read() == b"x"
        with pytest.raises(OriginTimeout):
            await response.read()
        response.close()
        assert origin.outstanding == 0

    virtually(run())


async def test_it_counts_what_it_was_asked_and_what_is_open() -> None:
    origin = MemoryOrigin(settings=OriginSettings(addresses=("http://a",), max_concurrency=2))
    gate = Gate()
    origin.plan.on(b"/a", Answer(head_gate=gate))
    asking = [asyncio.get_running_loop().create_task(origin.send(get())) for _ in range(4)]
    await until(lambda: gate.reached == 2)
    assert (origin.outstanding, origin.queued, origin.asked[b"/a"]) == (2, 2, 2)
    gate.open()
    for task in asking:
        await read_all(await soon(task))
    assert (origin.outstanding, origin.outstanding_peak, origin.asked[b"/a"]) == (0, 2, 4)
    assert origin.open_answers == 0


async def test_it_refuses_until_told_otherwise() -> None:
    origin = MemoryOrigin()
    origin.refuse()
    with pytest.raises(OriginUnreachable):
        await origin.send(get())
    origin.refusing = None
    assert await read_all(await origin.send(get())) == b"plain"
