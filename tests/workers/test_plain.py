"""Statistics as JSON values, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from proxy.server.server import ServerStatistics
from proxy.workers.plain import made, plain
from tests.server.stage import Stage


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    count: int
    share_s: float


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner
    colours: dict[Colour, int]
    statuses: dict[int, int]
    several: tuple[Inner, ...]
    pair: tuple[int, str]
    names: list[str]
    absent: Inner | None
    present: Inner | None
    flag: bool


OUTER = Outer(
    Inner(1, 2.0),
    {Colour.RED: 3},
    {200: 4},
    (Inner(5, 6.5), Inner(7, 8.0)),
    (9, "nine"),
    ["ten"],
    None,
    Inner(11, 0.0),
    True,
)


def test_a_value_comes_out_as_it_went_in() -> None:
    found = made(Outer, json.loads(json.dumps(plain(OUTER))))
    assert found == OUTER
    assert [type(key) for key in found.colours] == [Colour]


async def test_so_do_the_statistics_of_a_server() -> None:
    stage = Stage()
    server = stage.server(access_log={"enabled": True})
    statistics = server.statistics()
    assert made(ServerStatistics, json.loads(json.dumps(plain(statistics)))) == statistics
    await server.close()
