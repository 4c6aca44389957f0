"""One entity has one path, however it is spelled."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.writes.front.normal_path import escaped, normal_path, segments_of

SEGMENTS = st.lists(
    st.binary(min_size=1, max_size=6).filter(lambda one: one not in (b".", b"..")), max_size=5
)


@pytest.mark.parametrize(
    "path",
    [
        b"/posts/my-post",
        b"/posts/my%2Dpost",
        b"/posts/my%2dpost",
        b"/%70osts/my-post",
        b"//posts///my-post",
        b"/posts/my-post/",
        b"/./posts/./my-post/.",
        b"/posts/%2e/my-post",
        b"/posts/other/../my-post",
        b"/posts/other/%2E%2e/my-post",
        b"/../../posts/my-post",
    ],
)
def test_spellings_of_one_path_meet(path: bytes) -> None:
    assert normal_path(segments_of(path)) == "/posts/my-post"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(b"/a%2Fb", b"/a/b", id="an-encoded-slash-is-no-boundary"),
        pytest.param(b"/a%252Fb", b"/a%2Fb", id="decoded-once-only"),
        pytest.param(b"/A", b"/a", id="case"),
        pytest.param(b"/a;v=1", b"/a", id="parameters-of-a-segment"),
        pytest.param(b"/a%00", b"/a", id="nul"),
        pytest.param(b"/a%20", b"/a", id="space"),
        pytest.param(b"/...", b"/", id="three-dots"),
    ],
)
def test_paths_of_two_entities_stay_apart(one: bytes, other: bytes) -> None:
    assert normal_path(segments_of(one)) != normal_path(segments_of(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [(b"/a%40b", b"/a@b"), (b"/a%2bb", b"/a+b"), (b"/a%zz", b"/a%25zz"), (b"/\xc3\xa9", b"/%C3%a9")],
)
def test_what_every_origin_decodes_alike_is_one(one: bytes, other: bytes) -> None:
    assert segments_of(one) == segments_of(other)


@given(SEGMENTS)
def test_a_normal_path_has_the_segments_it_was_made_of(segments: list[bytes]) -> None:
    path = normal_path(segments).encode()
    assert list(segments_of(path)) == segments
    everything_encoded = b"".join(b"/" + b"".join(b"%%%02x" % octet for octet in one) for one in segments)
    assert list(segments_of(everything_encoded)) == segments


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_two_values_are_never_written_alike(one: bytes, other: bytes) -> None:
    assert (escaped(one) == escaped(other)) == (one == other)
    assert set(escaped(one)) <= set(quote(bytes(range(256)), safe=""))
