"""What a write changes, by rules; and rules that say something wrong are refused."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientError, EntityMissing
from proxy.http.fields import Fields
from proxy.writes.front.entities import MAX_KEY_CHARACTERS, Entities, EntityRules, compile_rule

JSON = Fields([(b"Content-Type", b"application/json"), (b"X-Cart", b"7"), (b"Host", b"Example.org:80")])


def entities_of(
    path: bytes, *rules: dict[str, object], query: bytes = b"", body: bytes = b"", fields: Fields = JSON
) -> Entities | None:
    compiled = EntityRules(compile_rule(**rule) for rule in rules)  # type: ignore[arg-type]
    return compiled.entities_of(path, query, fields, body)


def keys_of(path: bytes, *rules: dict[str, object], query: bytes = b"", body: bytes = b"") -> tuple[str, ...]:
    found = entities_of(path, *rules, query=query, body=body)
    assert found is not None
    return found.keys


# which rule, which entity

ANY = {"path": "/**"}
POSTS = {"path": "/posts/{id}/**"}
TRANSFERS = {"path": "/transfers", "keys": ["/accounts/{json:from}", "/accounts/{json:to.id}"]}


@pytest.mark.parametrize(
    ("path", "rule", "keys"),
    [
        pytest.param(b"/a/b", ANY, ("/a/b",), id="without-a-key-each-path-is-an-entity"),
        pytest.param(b"/", ANY, ("/",), id="the-root-too"),
        pytest.param(b"/posts/1", POSTS, ("/posts/1",), id="the-rest-may-be-none"),
        pytest.param(b"/posts/1/comments/2", POSTS, ("/posts/1",), id="the-rest-does-not-count"),
        pytest.param(b"/posts/a%2fb/x", POSTS, ("/posts/a%2Fb",), id="a-value-is-escaped"),
        pytest.param(b"/posts/1", {"path": "/posts/{id}"}, ("/posts/1",), id="no-rest"),
        pytest.param(b"/posts/", {"path": "/posts"}, ("/posts",), id="a-slash-at-the-end"),
        pytest.param(b"/posts", {"path": "/posts/"}, ("/posts",), id="a-slash-at-the-rule's-end"),
        pytest.param(b"/", {"path": "/"}, ("/",), id="the-root-alone"),
        pytest.param(b"/p%6Fsts/1", {"path": "/%70osts/{id}"}, ("/posts/1",), id="both-spelled-otherwise"),
        pytest.param(
            b"/a/b", {"path": "/a/**", "keys": ["{path}:{header:x-cart}"]}, ("/a/b:7",), id="header"
        ),
        pytest.param(b"/a", {"path": "/a", "keys": ["{host}{path}"]}, ("example.org/a",), id="host"),
        pytest.param(b"/a", {"path": "/a", "keys": ["all"]}, ("all",), id="one-lane-for-all"),
    ],
)
def test_the_entity_of_a_path(path: bytes, rule: dict[str, object], keys: tuple[str, ...]) -> None:
    assert keys_of(path, rule) == keys


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (b"/posts", POSTS),
        (b"/Posts/1", POSTS),
        (b"/posts/1/x", {"path": "/posts/{id}"}),
        (b"/posts%2F1", POSTS),
        (b"/posts/../1", POSTS),
        (b"/a", {"path": "/"}),
    ],
)
def test_a_path_that_no_rule_has_has_no_entity(path: bytes, rule: dict[str, object]) -> None:
    assert entities_of(path, rule) is None


def test_rules_cover_the_paths_that_have_entities() -> None:
    rules = EntityRules([compile_rule("/posts/{id}/**"), compile_rule("/carts")])
    for path in (b"/posts/1", b"/p%6fsts//1/x", b"/carts/"):
        assert rules.covers(path)
        assert rules.entities_of(path, b"", JSON, b"") is not None
    for path in (b"/", b"/posts", b"/carts/1"):
        assert not rules.covers(path)
        assert rules.entities_of(path, b"", JSON, b"") is None
    assert not EntityRules([]).covers(b"/")


def test_the_first_rule_that_matches_counts() -> None:
    assert keys_of(b"/posts/new", {"path": "/posts/new", "keys": ["new"]}, POSTS) == ("new",)
    assert keys_of(b"/posts/1", {"path": "/posts/new", "keys": ["new"]}, POSTS) == ("/posts/1",)


def test_a_write_of_several_entities_has_them_sorted_and_each_once() -> None:
    assert keys_of(b"/transfers", TRANSFERS, body=b'{"from": "b", "to": {"id": "a"}}') == (
        "/accounts/a",
        "/accounts/b",
    )
    assert keys_of(b"/transfers", TRANSFERS, body=b'{"from": 1, "to": {"id": "1"}}') == ("/accounts/1",)


def test_an_entity_is_one_whichever_rule_names_it() -> None:
    accounts = {"path": "/accounts/{id}/**"}
    for text in ("a-1", "ü", "a/b", "a b", "a%b", "a:b"):
        spelled = quote(text, safe="").encode()
        body = b'{"from": "%b", "to": {"id": "%b"}}' % ((text.encode(),) * 2)
        assert keys_of(b"/accounts/" + spelled, accounts) == keys_of(b"/transfers", TRANSFERS, body=body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", r"{json:from}: the body is not JSON"),
        (b'{"from": 1}', r"{json:to.id}: the body has no member 'to'"),
        (b'{"from": 1, "to": 2}', r"{json:to.id}: the body has no object around 'to.id'"),
        (b'{"from": [1], "to": {"id": 2}}', r"{json:from}: it is an object or array"),
        (b'{"from": 1, "from": 2, "to": {"id": 2}}', r"{json:from}: the body has 'from' more than once"),
    ],
)
def test_a_write_that_does_not_say_what_it_changes_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(EntityMissing, match=why) as caught:
        keys_of(b"/transfers", TRANSFERS, body=body)
    assert isinstance(caught.value, ClientError)
    assert caught.value.status == 400


_VALUES = st.text(min_size=1, max_size=4).filter(lambda text: text not in (".", ".."))
TWO = compile_rule("/{a}/{b}", keys=["x-{a}:{b}"])


@given(_VALUES, _VALUES, _VALUES, _VALUES)
def test_two_pairs_of_values_never_make_one_entity(a: str, b: str, c: str, d: str) -> None:
    def key(*parts: str) -> tuple[str, ...]:
        path = "".join("/" + quote(part, safe="", errors="surrogatepass") for part in parts)
        found = EntityRules([TWO]).entities_of(path.encode(), b"", Fields(), b"")
        assert found is not None
        return found.keys

    assert (key(a, b) == key(c, d)) == ((a, b) == (c, d))


@given(st.text(alphabet="ab/.%2eEfF-+ \xe9", min_size=1, max_size=12))
def test_normalising_twice_changes_nothing(path: str) -> None:
    (key,) = keys_of(b"/" + path.encode(), ANY)
    assert keys_of(key.encode(), ANY) == (key,)


def test_a_long_entity_is_cut_and_told_apart_by_a_digest() -> None:
    long = b"/" + b"a" * (MAX_KEY_CHARACTERS - 1)
    assert keys_of(long, ANY) == (long.decode(),)
    one, other = keys_of(long + b"1", ANY)[0], keys_of(long + b"2", ANY)[0]
    assert len(one) == len(other) == MAX_KEY_CHARACTERS
    assert one != other
    assert keys_of(one.encode(), ANY) != (one,), "nobody can write the digest into a path"


# what else becomes untrue


def changed(body: bytes = b"", path: bytes = b"/posts/1", **rule: list[str]) -> Entities:
    found = entities_of(path, {"path": "/posts/{id}/**", **rule}, body=body)
    assert found is not None
    return found


def test_targets_and_tags_are_filled_in() -> None:
    found = changed(
        b'{"author": "anna"}',
        path=b"/posts/%31/likes",
        invalidates=["/posts/{id}", "/feeds/{json:author}", "{path}?full"],
        tags=["post-{id}", "author-{json:author}"],
    )
    assert found.changed_targets == (b"/posts/1", b"/feeds/anna", b"/posts/1/likes?full")
    assert found.changed_tags == (b"post-1", b"author-anna")


def test_a_target_is_spelled_as_clients_spell_it() -> None:
    found = changed(
        '{"author": "a@b é/"}'.encode(), invalidates=["/f/{json:author}", "/f?by={json:author}&x={id}"]
    )
    assert found.changed_targets == (
        b"/f/a%40b%20%C3%A9%2F",
        b"/f/a@b%20%C3%A9%2F",
        b"/f?by=a%40b%20%C3%A9%2F&x=1",
        b"/f?by=a%40b+%C3%A9%2F&x=1",
    )


@pytest.mark.slow
@given(st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()))
def test_a_target_is_always_one_and_a_tag_a_label(value: str) -> None:
    found = changed(
        b'{"a": "%b"}' % value.replace("\\", "\\\\").replace('"', '\\"').encode(),
        invalidates=["/f/{json:a}?q={json:a}"],
        tags=["t-{json:a}"],
    )
    assert all(32 < octet < 127 and octet != ord("#") for one in found.changed_targets for octet in one)
    assert all(one.count(b"?") == 1 for one in found.changed_targets)
    assert all(32 < octet < 127 and octet != ord(",") for one in found.changed_tags for octet in one)


def test_a_tag_holds_values_as_they_are_but_for_what_no_tag_holds() -> None:
    assert changed(b'{"a": "x:y/z, 1%"}', tags=["t-{json:a}"]).changed_tags == (b"t-x:y/z%2C%201%",)


def test_a_target_whose_variable_is_not_there_is_left_out() -> None:
    found = changed(invalidates=["/feeds/{json:author}", "/posts/{id}"], tags=["a-{json:author}", "p-{id}"])
    assert found == Entities(("/posts/1",), (b"/posts/1",), (b"p-1",))


def test_a_target_that_no_request_can_have_is_left_out() -> None:
    assert changed(
        b'{"a": "%b"}' % (b"x" * 20_000), invalidates=["/{json:a}"], tags=["{json:a}"]
    ) == Entities(("/posts/1",))


# rules that are refused


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"path": "posts"}, r"path is 'posts': a path begins with /"),
        ({"path": "/a?b"}, r"path is '/a\?b': a path has neither query"),
        ({"path": "/**/a"}, r"\*\* stands for any rest, and only at the end"),
        ({"path": "/a*"}, "has a star"),
        ({"path": "/a/*"}, "has a star"),
        ({"path": "/a/{id}.json"}, r"'\{id\}.json' is neither text nor one variable"),
        ({"path": "/a/{}"}, "neither text nor one variable"),
        ({"path": "/a/{id"}, "neither text nor one variable"),
        ({"path": "/a/{json:x}"}, "neither text nor one variable"),
        ({"path": "/{id}/{id}"}, r"\{id\} is there twice"),
        ({"path": "/a/{path}"}, "name the segment otherwise"),
        ({"path": "/{host}"}, "name the segment otherwise"),
        ({"path": "/a//b"}, "'' is no segment of a normal path"),
        ({"path": "/a/./b"}, "'.' is no segment"),
        ({"path": "/a/%2e%2e/b"}, "'%2e%2e' is no segment"),
        ({"path": "/a/{id}", "keys": ["x", "{ip}"]}, r"keys\[1\] is '\{ip\}': \{ip\} is not in the path"),
        ({"path": "/a/{id}", "keys": ["{id}{id}"]}, r"keys\[0\] .*two entities could get one name"),
        ({"path": "/a", "invalidates": ["b"]}, r"invalidates\[0\] is 'b': a target begins with /"),
        ({"path": "/a", "tags": ["b c"]}, r"tags\[0\] is 'b c': a tag is visible ASCII"),
    ],
)
def test_a_bad_rule_is_refused_with_its_place_and_what_to_do(rule: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        compile_rule(**rule)  # type: ignore[arg-type]
