from __future__ import annotations

from proxy.config.problems import Mark, Problems
from proxy.config.reading import read_tree
from proxy.config.tree import Table, inner_path, merged, moved, plain, size_of, step, without


def tree_of(text: str) -> Table:
    problems = Problems("f.yaml")
    tree = read_tree(text, problems=problems, environ={})
    assert tree is not None
    assert not problems
    return tree


def test_every_value_knows_its_place_and_path() -> None:
    tree = tree_of("a:\n  - {b: 5}\n")
    inner = step(step(step(tree, "a"), 0), "b")
    assert inner is not None
    assert (inner.mark, inner.path) == (Mark(2, 9), "a[0].b")


def test_a_moved_tree_keeps_its_marks_and_takes_the_new_path() -> None:
    tree = moved(tree_of("a: [{b: 5}]"), "x.y")
    inner = step(step(step(tree, "a"), 0), "b")
    assert inner is not None
    assert (inner.mark, inner.path) == (Mark(1, 9), "x.y.a[0].b")


def test_merging_joins_mappings_and_replaces_the_rest() -> None:
    below, above = tree_of("a: {b: 1, c: [1, 2]}\nd: 1\n"), tree_of("a: {c: [3], e: 4}\nd: {f: 1}\n")
    assert plain(merged(below, above)) == {"a": {"b": 1, "c": [3], "e": 4}, "d": {"f": 1}}
    assert plain(below) == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_a_step_beside_the_tree_leads_nowhere() -> None:
    tree = tree_of("a: [1]")
    assert step(tree, "b") is None
    assert step(step(tree, "a"), 1) is None
    assert step(step(tree, "a"), "x") is None
    assert step(None, "a") is None


def test_keys_are_left_out_and_values_counted() -> None:
    tree = tree_of("a: [1, {b: 2}]\nc: 3\n")
    assert size_of(tree) == 6
    assert plain(without(tree, frozenset({"a"}))) == {"c": 3}


def test_a_path_is_written_as_one_line() -> None:
    assert inner_path("routes", 0) == "routes[0]"
    assert inner_path("", "cache") == "cache"
    assert inner_path("a", "b\nc") == "a.'b\\nc'"
    assert inner_path("a", "") == "a.''"
