from __future__ import annotations

import pytest

from proxy.config.loading import from_text
from proxy.config.problems import Problems
from proxy.config.reading import read_tree
from proxy.config.tree import plain
from tests.config.refusals import only_refusal, refusals, with_right

EMPTY = (
    "f.yaml:1:1: the file is empty; the least it needs is origins and routes "
    "(or use `lockgate serve --origin URL`, without a file)"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", EMPTY, id="nothing"),
        pytest.param("# only this\n", EMPTY, id="comments-only"),
        pytest.param("---\n", EMPTY, id="an-empty-document"),
        pytest.param("- a\n", "f.yaml:1:1: the file is a list; write settings as `name: value`", id="a-list"),
        pytest.param("a\n", "f.yaml:1:1: the file is 'a'; write settings as `name: value`", id="a-value"),
        pytest.param(
            "a: 1\n---\nb: 2\n",
            "f.yaml:2:1: a second document begins here; a file holds one",
            id="two-documents",
        ),
        pytest.param(
            "a:\n\t- b\n",
            "f.yaml:2:1: not YAML: while scanning for the next token found character '\\t' that cannot start "
            "any token; indent with spaces, not tabs",
            id="tabs",
        ),
        pytest.param(
            "a: b: c\n",
            "f.yaml:1:5: not YAML: mapping values are not allowed here; quote a value that holds `: `, "
            "or check the indentation",
            id="colon-in-a-value",
        ),
        pytest.param(
            "a: [${X}]\n",
            "f.yaml:1:6: not YAML: while parsing a flow sequence expected ',' or ']', but got '{'; "
            'inside [ ] and { }, and before a colon, quote it: "${NAME}"',
            id="unquoted-variable-in-brackets",
        ),
        pytest.param("a: \x00\n", "f.yaml:1:4: the character U+0000 is not allowed", id="nul"),
        pytest.param(
            "a: 1\nb: \x07\n", "f.yaml:2:4: the character U+0007 is not allowed", id="bell-in-line-2"
        ),
        pytest.param(
            "? [a]\n: b\n",
            "f.yaml:1:3: has a list or mapping as a key; quote the key if it is text",
            id="a-list-as-key",
        ),
        pytest.param(
            "a: &b 1\n*b : 2\n",
            "f.yaml:2:1: has the alias *b as a key; write the key itself",
            id="alias-as-key",
        ),
        pytest.param(
            "a: *b\n",
            "f.yaml:1:4: a uses *b, but no complete value before it is marked &b",
            id="unknown-alias",
        ),
        pytest.param(
            "a: &b [*b]\n",
            "f.yaml:1:8: a[0] uses *b, but no complete value before it is marked &b",
            id="alias-within-itself",
        ),
        pytest.param(
            "a: {<<: {}}\n",
            "f.yaml:1:5: a.<< is a merge key, which is not read; "
            "what routes have in common goes under `defaults`",
            id="merge-key",
        ),
        pytest.param(
            "a: " + "[" * 100,
            "f.yaml:1:35: the file is nested deeper than 32 levels; no setting is",
            id="deeply-nested",
        ),
    ],
)
def test_a_text_that_is_no_configuration_is_refused_in_one_line(text: str, said: str) -> None:
    assert only_refusal(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "event_loop: uvloop\nevent_loop: asyncio",
            "f.yaml:4:1: event_loop is set twice, first in line 3; the second would hide it: remove one",
            id="key-twice",
        ),
        pytest.param(
            "event_loop: !!python/name:os.system asyncio",
            "f.yaml:3:13: event_loop has the tag tag:yaml.org,2002:python/name:os.system; tags are not read: "
            "quote text instead",
            id="tag",
        ),
        pytest.param(
            'event_loop: "\\ud800"',
            "f.yaml:3:13: event_loop holds half of a surrogate pair; write the character itself",
            id="half-a-character",
        ),
    ],
)
def test_a_key_or_value_that_cannot_be_read_is_told_with_its_place(text: str, said: str) -> None:
    assert only_refusal(with_right(text)) == said


@pytest.mark.slow
def test_aliases_that_multiply_are_refused_before_they_are_expanded() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20)
    )
    assert only_refusal(bomb).endswith("the file holds more than 50000 values, each use of an alias counted")


def test_an_alias_stands_for_the_value_it_marks() -> None:
    text = """\
        origins:
          one: {addresses: &where ["http://127.0.0.1:9000"]}
          two: {addresses: *where}
        routes: [{origin: two}]
        """
    assert refusals(text) == []


def test_an_error_in_an_aliased_value_is_told_where_it_is_written_under_both_names() -> None:
    text = """\
        origins:
          one: {addresses: &where ["ftp://a"]}
          two: {addresses: *where}
        routes: [{origin: two}]
        """
    assert [line.split()[:2] for line in refusals(text)] == [
        ["f.yaml:2:28:", "origins.one.addresses[0]"],
        ["f.yaml:2:28:", "origins.two.addresses[0]"],
    ]


def test_keys_are_text_whatever_they_look_like() -> None:
    problems = Problems("f.yaml")
    tree = read_tree("8080: a\non: b\nnull: c\n", problems=problems, environ={})
    assert tree is not None
    assert plain(tree) == {"8080": "a", "on": "b", "null": "c"}
    assert not problems


def test_a_key_that_would_break_the_line_is_written_escaped() -> None:
    assert only_refusal(with_right('"a\\nb": 1')).startswith("f.yaml:3:1: 'a\\nb' is not a setting")


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    text = "origins: {app: {addresses: ['http://a']}}\r\nroutes:\r\n  - origin: app\r\n"
    assert from_text(text, source="f.yaml", environ={}).routes[0].origin == "app"
