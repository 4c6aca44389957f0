"""How a client is told the end of its write."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.config.settings import Config
from proxy.routing import route_name
from proxy.server.writes.routes import WriteRoute, write_routes
from proxy.server.writes.telling import Telling
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State
from proxy.writes.waiting import Ending
from proxy.writes.write import Mode, Result
from tests.writes.making import make_write

RESULT = Result(State.COMMITTED, attempts=1, taken=True, finished_at=0.0, status=204)


@dataclass
class _Answers:
    """Remembers what it was to write; `at_hand` is whether it could."""

    at_hand: bool = True
    said: list[tuple[object, bool]] = field(default_factory=list)

    def problem(self, exchange: object, problem: Problem, *, write_id: str, retry_safe: bool) -> None:
        self.said.append((problem.type, retry_safe))

    def ended_at_once(
        self, exchange: object, ending: Ending, *, route: object, write_id: str, retry_safe: bool
    ) -> bool:
        self.said.append((ending, retry_safe))
        return self.at_hand


@dataclass
class _Writes:
    """So many wait for each write."""

    count: int = 1
    cancelled: list[str] = field(default_factory=list)

    def waiting(self, write_id: str) -> int:
        return self.count

    def cancel(self, write_id: str) -> None:
        self.cancelled.append(write_id)


class _Scene:
    def __init__(self, **writes: object) -> None:
        config = Config.model_validate(
            {
                "listen": [{"address": "127.0.0.1:0"}],
                "origins": {"app": {"addresses": ["http://127.0.0.1:1"]}},
                "routes": [{"origin": "app", "writes": writes}],
            }
        )
        self.answers, self.writes = _Answers(), _Writes()
        self.exchange = SimpleNamespace(started_mono=10.0, origin_s=0.0)
        clock = SimpleNamespace(mono=lambda: 12.5)
        self.route: WriteRoute = write_routes(config.routes)[route_name(config.routes[0])]
        self.telling = Telling(
            config, answers=cast(Any, self.answers), writes=cast(Any, self.writes), clock=cast(Any, clock)
        )


@pytest.mark.parametrize("at_hand", [True, False])
def test_an_end_is_told_with_the_time_that_it_took(at_hand: bool) -> None:
    scene, ending = _Scene(), Ending(RESULT)
    scene.answers.at_hand = at_hand
    told = scene.telling.at_once(cast(Any, scene.exchange), scene.route, make_write(), ending)
    assert (told, scene.exchange.origin_s) == (at_hand, 2.5)
    assert scene.answers.said == [(ending, True)], "a PUT may be sent again"


def test_without_an_end_its_outcome_is_unknown() -> None:
    scene = _Scene()
    assert scene.telling.at_once(cast(Any, scene.exchange), scene.route, make_write(method="POST"), None)
    assert scene.answers.said == [(ProblemType.UNKNOWN_OUTCOME, False)]


def test_a_client_is_kept_waiting_for_longer_than_a_write_may_take() -> None:
    scene = _Scene(origin_timeout_s=3, retry={"budget_s": 7})
    write = make_write(accepted_at=100.0, not_after=150.0)
    assert scene.telling.patience_s(scene.route, write) == 50 + 7 + 2 * 3


@pytest.mark.parametrize(
    ("rule", "mode", "waiting", "cancels"),
    [
        ("cancel", Mode.SYNC, 1, True),
        ("cancel", Mode.SYNC, 2, False),
        ("cancel", Mode.ASYNC, 1, False),
        ("keep", Mode.SYNC, 1, False),
    ],
)
def test_a_write_is_taken_back_where_that_is_wanted_and_nobody_else_waits(
    rule: str, mode: Mode, waiting: int, cancels: bool
) -> None:
    scene, write = _Scene(client_gone=rule), make_write(mode=mode)
    scene.writes.count = waiting
    scene.telling.left(scene.route, write)
    assert scene.writes.cancelled == ([write.id] if cancels else [])
