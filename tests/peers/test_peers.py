"""Whom a worker asks and whom it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.settings import Config, OriginSettings
from proxy.errors import OriginTimeout
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.peers.order import order_of
from proxy.peers.peers import Peers, arrangement_of, share_of_origin
from proxy.peers.question import NOBODY, Question
from proxy.peers.word import Trouble
from proxy.workers.place import WorkerPlace
from tests.origin.manual_clock import ManualClock

KEYS = [b"key%d" % n for n in range(200)]


def config(**route: object) -> Config:
    return Config.model_validate(
        {"origins": {"shop": {"addresses": ["http://a.example"]}}, "routes": [{"origin": "shop", **route}]}
    )


def peers(slot: int, directory: Path, *, slots: int = 3) -> Peers:
    return Peers(config(), WorkerPlace(slot, slots, directory), clock=ManualClock())


@pytest.fixture
def three(tmp_path: Path) -> list[Peers]:
    return [peers(slot, tmp_path) for slot in range(3)]


def test_all_agree_on_the_owner_and_it_alone_asks_nobody(three: list[Peers]) -> None:
    for key in KEYS:
        owners = {one.owner_of(key) for one in three}
        assert len(owners) == 1
        assert [one.asks(key, alone=False) for one in three] == [slot not in owners for slot in range(3)]


def test_of_two_workers_one_answers_the_other(three: list[Peers]) -> None:
    """So that no ring of questions can close."""
    for key in KEYS:
        order = order_of(key, 3)
        for slot in range(3):
            for asker in range(3):
                answers = three[slot].answers(key, asker)
                assert answers == (order.index(slot) < order.index(asker))


def test_a_slot_that_there_is_not_is_answered_nothing(three: list[Peers]) -> None:
    assert not any(one.answers(KEYS[0], 7) for one in three)


async def test_trouble_is_raised_and_what_was_declined_is_not(three: list[Peers]) -> None:
    key = next(key for key in KEYS if order_of(key, 3)[0] == 1)
    question = Question(key, RequestHead("GET", b"/", Fields()), NOBODY)
    link = _Scripted(Trouble("OriginTimeout", "slow"), Trouble("NotStored", "nothing"), None)
    asker = three[order_of(key, 3)[1]]
    asker._links[1] = link  # type: ignore[assignment]  # a scripted one
    with pytest.raises(OriginTimeout, match="slow"):
        await asker.ask(question, None)
    assert await asker.ask(question, None) is None
    assert await asker.ask(question, None) is None
    counted = asker.statistics(answers=dict).questions
    assert {reply.value: count for reply, count in counted.items() if count} == {
        "trouble": 1,
        "declined": 1,
        "lost": 1,
    }


class _Scripted:
    """Gives these, one after the other."""

    reachable = True
    waited_for = 0

    def __init__(self, *given: object) -> None:
        self._given = list(given)

    async def ask(self, *_question: object, **_named: object) -> object:
        return self._given.pop(0)


def test_workers_with_other_routes_origins_or_numbers_are_arranged_otherwise(tmp_path: Path) -> None:
    place = WorkerPlace(0, 3, tmp_path)
    ours = arrangement_of(config(), place)
    assert arrangement_of(config(), WorkerPlace(2, 3, tmp_path)) == ours
    assert arrangement_of(config(), WorkerPlace(0, 2, tmp_path)) != ours
    assert arrangement_of(config(path="/b"), place) != ours


@pytest.mark.parametrize(
    ("limit", "slots", "share"),
    [
        pytest.param(100, 1, 100, id="alone"),
        pytest.param(100, 4, 25, id="even"),
        pytest.param(100, 3, 34, id="rounded-up"),
        pytest.param(1, 3, 1, id="one-each-at-least"),
    ],
)
def test_the_limit_of_an_origin_is_shared(tmp_path: Path, limit: int, slots: int, share: int) -> None:
    settings = OriginSettings(addresses=("http://a.example",), max_concurrency=limit)
    assert share_of_origin(settings, WorkerPlace(0, slots, tmp_path)).max_concurrency == share
    assert share_of_origin(settings, None) == settings
