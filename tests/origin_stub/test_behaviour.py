from __future__ import annotations

import random

import pytest

from origin_stub.behaviour import BadBehaviour, Behaviour, Cut, Delay, DelayKind, Failure


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        pytest.param("delay", "0.2", Delay(DelayKind.FIXED, 0.2), id="fixed-delay"),
        pytest.param("delay", "0.1-0.5", Delay(DelayKind.RANGE, 0.1, 0.5), id="delay-range"),
        pytest.param("delay", "pareto:0.05", Delay(DelayKind.PARETO, 0.05), id="heavy-tail"),
        pytest.param("size", "10240", 10240, id="size"),
        pytest.param("status", "404", 404, id="status"),
        pytest.param("cc", "max-age=60, public", "max-age=60, public", id="cache-control"),
        pytest.param("unique", "1", True, id="flag-on"),
        pytest.param("unique", "0", False, id="flag-off"),
        pytest.param("fail", "0.1", Failure(0.1, "503"), id="failure-rate"),
        pytest.param("fail", "0.1:reset", Failure(0.1, "reset"), id="failure-kind"),
        pytest.param("fail", "1:404", Failure(1.0, "404"), id="failure-status"),
        pytest.param("cut", "17", Cut(17), id="cut"),
        pytest.param("cut", "17:reset", Cut(17, reset=True), id="cut-with-reset"),
        pytest.param("raw", "garbage", "garbage", id="raw"),
    ],
)
def test_a_parameter_is_read(name: str, text: str, value: object) -> None:
    assert getattr(Behaviour().with_parameters([(name, text)]), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("delay", "soon", id="delay-no-number"),
        pytest.param("delay", "-1", id="delay-negative"),
        pytest.param("delay", "0.5-0.1", id="range-backwards"),
        pytest.param("delay", "inf", id="delay-infinite"),
        pytest.param("size", "-1", id="size-negative"),
        pytest.param("size", "²", id="size-no-ascii-digit"),
        pytest.param("status", "100", id="status-not-final"),
        pytest.param("unique", "yes", id="flag"),
        pytest.param("fail", "2", id="rate-above-one"),
        pytest.param("fail", "0.1:explode", id="failure-kind"),
        pytest.param("cut", "1:softly", id="cut"),
        pytest.param("raw", "well-formed", id="raw"),
        pytest.param("cc", "a\r\nb: c", id="control-characters"),
        pytest.param("header", "no colon", id="header"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named(name: str, text: str) -> None:
    with pytest.raises(BadBehaviour, match=f"^{name}="):
        Behaviour().with_parameters([(name, text)])


def test_other_names_in_a_query_change_nothing() -> None:
    assert Behaviour().with_parameters([("v", "7"), ("user", "x")]) == Behaviour()


def test_later_parameters_win_and_header_fields_add_up() -> None:
    behaviour = Behaviour().with_parameters(
        [("size", "1"), ("size", "2"), ("header", "A: 1"), ("header", "B: 2")]
    )
    assert behaviour.size == 2
    assert behaviour.header == (("A", "1"), ("B", "2"))


def test_a_number_of_chunks_means_chunked() -> None:
    assert Behaviour().with_parameters([("chunks", "3")]).chunked


def test_delays_are_drawn_within_their_bounds() -> None:
    chance = random.Random(1)
    between = Delay(DelayKind.RANGE, 0.1, 0.5)
    heavy = Delay(DelayKind.PARETO, 0.05)
    assert Delay(DelayKind.FIXED, 0.2).draw(chance) == 0.2
    assert all(0.1 <= between.draw(chance) <= 0.5 for _ in range(1000))
    draws = sorted(heavy.draw(chance) for _ in range(10_000))
    assert draws[0] >= 0.05
    assert draws[9_990] > 10 * draws[5_000], "one in a thousand is far slower than the median"
    assert draws[-1] <= 30
