from __future__ import annotations

import pytest

from proxy.server import gate_keeper
from proxy.server.standing import Standing
from tests.server.connecting import until
from tests.server.twins import Twins

HEAD = b"GET /long?size=300 HTTP/1.1\r\nHost: shop\r\n\r\n"


async def standing(twins: Twins, times: int = 6) -> None:
    twins.connect()
    for _ in range(times):
        await twins.send(HEAD)


async def test_an_answer_that_nobody_asked_for_between_two_sweeps_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate_keeper, "NOT_A_HIT_S", 0.0)
    monkeypatch.setattr(gate_keeper, "SWEEP_S", 0.001)
    twins = Twins()
    await standing(twins)
    keeper = twins.with_gate.proxy._gate_keeper
    assert keeper is not None
    await until(lambda: not keeper._active)
    assert keeper._joined_bytes == 0
    await twins.send(HEAD)
    assert twins.agree
    counted, alike = (twin.proxy.statistics().exchanges for twin in twins.both)
    assert counted == alike
    twins.close()


async def test_beyond_the_bound_answers_are_sent_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_keeper, "NOT_A_HIT_S", 0.0)
    monkeypatch.setattr(gate_keeper, "JOINED_BYTES", 100)
    twins = Twins()
    await standing(twins)
    keeper = twins.with_gate.proxy._gate_keeper
    assert keeper is not None
    assert keeper._joined_bytes == 0
    assert keeper.known > 0
    assert twins.agree
    twins.close()


async def test_what_is_no_hit_is_not_looked_at_again_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    twins = Twins()
    head = HEAD.replace(b"/long", b"/private")
    twins.connect()
    for _ in range(4):
        await twins.send(head)
    keeper = twins.with_gate.proxy._gate_keeper
    assert keeper is not None
    looked = []
    render = keeper._render

    def noted(standing: Standing, now_mono: float) -> bool:
        looked.append(standing)
        return render(standing, now_mono)

    monkeypatch.setattr(keeper, "_render", noted)
    for _ in range(3):
        await twins.send(head)
    assert not looked
    twins.clock.advance(gate_keeper.NOT_A_HIT_S)
    for _ in range(3):
        await twins.send(head)
    assert len(looked) == 1
    assert twins.agree
    twins.close()
