from __future__ import annotations

import pytest

from proxy.config.settings import (
    Config,
    ListenSettings,
    OriginSettings,
    RouteCacheSettings,
    TlsListenSettings,
)
from proxy.config.shape import Leaf, ListOf, MapOf, Nullable, Section, Shape, child_of, sections_of, shape_of


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, Leaf(int)),
        (float | None, Nullable(Leaf(float))),
        (tuple[str, ...], ListOf(Leaf(str))),
        (dict[str, OriginSettings], MapOf(Section(OriginSettings))),
        (TlsListenSettings | None, Nullable(Section(TlsListenSettings))),
    ],
)
def test_an_annotation_has_a_shape(annotation: object, expected: Shape) -> None:
    assert shape_of(annotation) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("listen", 3), Section(ListenSettings)),
        (("listen", 3, "tls", "key"), "leaf"),
        (("origins", "any", "tls", "verify"), Leaf(bool)),
        (("routes", 0, "cache"), Section(RouteCacheSettings)),
        (("nothing",), None),
        (("listen", "x"), None),
        (("event_loop", "x"), None),
    ],
)
def test_a_path_leads_to_a_shape(path: tuple[str | int, ...], expected: Shape | str | None) -> None:
    shape: Shape | None = Section(Config)
    for key in path:
        shape = child_of(shape, key)
    assert isinstance(shape, Leaf) if expected == "leaf" else shape == expected


def test_sections_are_named_as_in_the_file() -> None:
    paths = [path for path, _ in sections_of(Config)]
    assert paths[:3] == ["", "listen[]", "listen[].tls"]
    assert "origins.NAME.tls" in paths
    assert "routes[].coalesce" in paths
