from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientError
from proxy.policy.purge_order import PurgeOrder, labels, parse_order
from proxy.policy.purges import PurgeKind


@pytest.mark.parametrize(
    ("document", "order"),
    [
        ({"url": "https://a/"}, PurgeOrder(PurgeKind.URL, ("https://a/",))),
        ({"tag": "a", "soft": True}, PurgeOrder(PurgeKind.TAG, ("a",), soft=True)),
        ({"tags": ["a", "b"]}, PurgeOrder(PurgeKind.TAG, ("a", "b"))),
        ({"prefix": "https://a/b"}, PurgeOrder(PurgeKind.PREFIX, ("https://a/b",))),
        ({"pattern": "x$"}, PurgeOrder(PurgeKind.PATTERN, ("x$",))),
        ({"everything": True, "soft": False}, PurgeOrder(PurgeKind.EVERYTHING)),
    ],
)
def test_an_order_names_one_thing(document: object, order: PurgeOrder) -> None:
    assert parse_order(document) == order


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "the body is []; write an object"),
        ({}, "found none of them"),
        ({"soft": True}, "found none of them"),
        ({"url": "https://a/", "tag": "a"}, "found url and tag"),
        ({"tga": "a"}, "'tga' is not known; did you mean tag?"),
        ({"tag": "a", "hard": True}, "'hard' is not known; there are: url"),
        ({"tag": ""}, "a tag is ''"),
        ({"tag": 1}, "a tag is 1"),
        ({"tag": "a\n"}, r"a tag is 'a\n'"),
        ({"tag": "\ud800"}, "holds half of a character"),
        ({"tags": []}, "tags is []; write a list of 1 to 1000 tags"),
        ({"tags": "a"}, "tags is 'a'"),
        ({"url": ["x"]}, "url is ['x']; write text"),
        ({"pattern": "("}, "the pattern '(' is no regular expression: missing )"),
        ({"pattern": "x" * 2000}, "the pattern has 2000 characters; at most 1024"),
        ({"everything": False}, "everything is False; write true"),
        ({"everything": True, "soft": "yes"}, "soft is 'yes'; write true or false"),
    ],
)
def test_what_is_not_meant_so_is_refused_with_the_fix(document: object, told: str) -> None:
    with pytest.raises(ClientError) as refused:
        parse_order(document)
    assert told in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["tag", "soft"]), inner),
)


@given(JSON)
def test_any_document_is_an_order_or_refused(document: object) -> None:
    try:
        order = parse_order(document)
    except ClientError:
        return
    assert isinstance(order, PurgeOrder)


def test_labels_are_octets() -> None:
    assert labels(parse_order({"tags": ["a", "ä"]})) == {b"a", "ä".encode()}
