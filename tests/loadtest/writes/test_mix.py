from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace

from loadtest.writes.mix import Chance, Mix, Plan


def _plans(mix: Mix, *, seed: int = 1, client: str = "c", number: int = 5_000) -> list[Plan]:
    chance = Chance(mix, seed=seed, client=client)
    return [chance.plan() for _ in range(number)]


def test_shares_are_kept() -> None:
    plans = _plans(Mix())
    modes = Counter(plan.mode for plan in plans)
    assert 0.27 < modes["async"] / len(plans) < 0.33
    assert 0.08 < modes["wait"] / len(plans) < 0.12
    assert 0.45 < sum(plan.keyed for plan in plans) / len(plans) < 0.55
    keys = Counter(plan.keys[0] for plan in plans)
    assert 0.04 < keys["hot"] / len(plans) < 0.06
    assert keys["k0"] > 2 * keys["k9"]


def test_the_same_seed_and_client_do_the_same_and_others_do_not() -> None:
    assert _plans(Mix(), number=50) == _plans(Mix(), number=50)
    assert _plans(Mix(), number=50) != _plans(Mix(), number=50, seed=2)
    assert _plans(Mix(), number=50) != _plans(Mix(), number=50, client="d")


def test_a_pair_is_of_two_keys() -> None:
    plans = _plans(replace(Mix(), pairs=1, keys=3))
    assert {len(set(plan.keys)) for plan in plans if len(plan.keys) == 2} == {2}
    assert Plan(("a", "b"), "PUT", "sync", False).target == "/pairs/a/b"
    assert Plan(("a",), "PUT", "sync", False).target == "/lists/a"


def test_every_field_is_an_option() -> None:
    parser = argparse.ArgumentParser()
    Mix.add_arguments(parser)
    assert Mix.of(parser.parse_args([])) == Mix()
    assert Mix.of(parser.parse_args(["--respond-async", "0.9", "--keys", "7"])) == replace(
        Mix(), respond_async=0.9, keys=7
    )
