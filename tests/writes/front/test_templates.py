"""Templates are refused when they are compiled, or they cannot go wrong later."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.writes.front.normal_path import escaped, normal_path
from proxy.writes.front.templates import (
    Source,
    Template,
    Variable,
    compile_key,
    compile_tag,
    compile_target,
    compile_template,
)

IDS = ("id", "name")


def test_the_parts_of_a_template_are_read_in_order() -> None:
    template = compile_key("/a/{id}:{query:q}:{header:X-A}:{json:to.id}:{path}:{host}", segments=IDS)
    assert template.variables == (
        Variable(Source.SEGMENT, ("id",)),
        Variable(Source.QUERY, ("q",)),
        Variable(Source.HEADER, ("X-A",)),
        Variable(Source.JSON, ("to", "id")),
        Variable(Source.PATH, ("path",)),
        Variable(Source.HOST, ("host",)),
    )
    assert template.fill(str) == "/a/{id}:{query:q}:{header:X-A}:{json:to.id}:{path}:{host}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "is empty; write a name", id="empty"),
        pytest.param("/a/{id", "'{' at character 4 has no partner", id="open-brace"),
        pytest.param("/a/id}", "'}' at character 6 has no partner", id="closing-brace"),
        pytest.param("/a/{{id}}", "'{' at character 4 has no partner", id="doubled-braces"),
        pytest.param("{}", "names nothing", id="no-name"),
        pytest.param(
            "{other}", r"{other} is not in the path, whose variables are: {id}, {name}", id="unknown"
        ),
        pytest.param("{cookie:a}", "of no known kind; there are", id="unknown-kind"),
        pytest.param("{header:}", "names nothing; write {header:NAME}", id="no-field"),
        pytest.param("{header:X A}", "no header field", id="no-field-name"),
        pytest.param("{header:Authorization}", "holds credentials", id="credentials"),
        pytest.param("{header:COOKIE}", "holds credentials", id="cookies"),
        pytest.param("{header:host}", "write {host}", id="host"),
        pytest.param("{header:Connection}", "belongs to the connection", id="hop-by-hop"),
        pytest.param("{query:}", "names nothing; write {query:NAME}", id="no-parameter"),
        pytest.param("{json:}", "empty name", id="no-member"),
        pytest.param("{json:a..b}", "empty name", id="no-member-between"),
        pytest.param("{json:a.b.c.d.e.f.g.h.i}", "9 names deep; at most 8", id="deep"),
        pytest.param("100%", "only as %25", id="lone-percent"),
        pytest.param("a\nb", "control character", id="control"),
    ],
)
def test_a_bad_template_is_refused_with_what_to_do(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        compile_template(text, segments=IDS)


def test_a_path_without_variables_says_so() -> None:
    with pytest.raises(ValueError, match="whose variables are: none"):
        compile_template("{id}", segments=())


@pytest.mark.parametrize(
    ("text", "normal"),
    [("/gr%c3%b6%C3%9Fe", "/gr%C3%B6%C3%9Fe"), ("/größe", "/gr%C3%B6%C3%9Fe"), ("/%7eme%2D", "/~me-")],
)
def test_text_is_spelled_as_values_are(text: str, normal: str) -> None:
    assert compile_key(text, segments=()).parts == (normal,)


@pytest.mark.parametrize("between", ["", "-", "_", ".", "~", "and", "-x-", "%2D", "%3A"])
def test_variables_that_could_run_into_each_other_are_refused(between: str) -> None:
    with pytest.raises(ValueError, match=r"two entities could get one name.*\{id\}:\{name\}"):
        compile_key(f"/a/{{id}}{between}{{name}}", segments=IDS)


@pytest.mark.parametrize("between", ["/", ":", " ", "/x/", "-:-", "|"])
def test_variables_with_a_delimiter_between_them_are_taken(between: str) -> None:
    assert len(compile_key(f"/a/{{id}}{between}{{name}}", segments=IDS).variables) == 2


def test_a_slash_does_not_delimit_a_whole_path() -> None:
    with pytest.raises(ValueError, match=r"\{path\}:\{id\}"):
        compile_key("{path}/{id}", segments=IDS)
    with pytest.raises(ValueError, match=r"\{path\}:\{path\}"):
        compile_key("{path}{path}", segments=IDS)
    compile_key("{path}:{id}", segments=IDS)


def test_a_path_delimits_itself_from_what_is_before_it() -> None:
    assert compile_key("{host}{path}", segments=IDS).fill(str) == "{host}{path}"
    compile_key("{id}-{path}", segments=IDS)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a/{id}", "begins with /"),
        ("{id}", "begins with /"),
        ("https://example.org/{id}", "begins with /"),
        ("/a b", "neither a space"),
        ("/a#{id}", "nor a fragment"),
    ],
)
def test_what_is_no_target_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        compile_target(text, segments=IDS)


@pytest.mark.parametrize("text", ["a b", "a,{id}", "é{id}"])
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII without a comma"):
        compile_tag(text, segments=IDS)


@pytest.mark.parametrize("text", ["{path}", "{path}/comments", "/a?b={id}&c={name}-{id}", "/"])
def test_targets(text: str) -> None:
    assert compile_target(text, segments=IDS).fill(str) == text


def test_values_may_run_into_each_other_in_targets_and_tags() -> None:
    compile_target("/{id}-{name}", segments=IDS)
    compile_tag("{id}-{name}", segments=IDS)


# the rule for keys, held against all templates that it lets pass

_PARTS = st.lists(
    st.sampled_from(["{id}", "{name}", "{path}", "{host}"]) | st.text("a-/:%.~", min_size=1, max_size=2),
    min_size=2,
    max_size=5,
)
_VALUE = st.text("a-/:%", min_size=1, max_size=3).map(str.encode)
_VALUES = st.fixed_dictionaries(
    {"id": _VALUE, "name": _VALUE, "host": _VALUE, "path": st.lists(_VALUE, max_size=2)}
)


def _filled(template: Template, values: dict[str, bytes | list[bytes]]) -> str:
    def write(variable: Variable) -> str:
        value = values[variable.names[0]]
        return escaped(value) if isinstance(value, bytes) else normal_path(value)

    return template.fill(write)


@pytest.mark.slow
@given(_PARTS, _VALUES, _VALUES)
def test_no_template_that_is_taken_gives_two_entities_one_name(
    parts: list[str], one: dict[str, bytes | list[bytes]], other: dict[str, bytes | list[bytes]]
) -> None:
    try:
        template = compile_key("".join(parts), segments=IDS)
    except ValueError:
        assume(False)
        return
    names = {variable.names[0] for variable in template.variables}
    differ = any(one[name] != other[name] for name in names)
    assert (_filled(template, one) != _filled(template, other)) == differ
