from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.config.settings import Config, OriginSettings, RouteSettings
from proxy.config.write_settings import (
    IdempotencySettings,
    PrincipalSettings,
    RouteWritesSettings,
    WriteMode,
    WritesSettings,
)

APP = OriginSettings(addresses=("http://127.0.0.1:9000",))


def config_with(route: RouteWritesSettings) -> Config:
    return Config(
        origins={"app": APP},
        routes=(RouteSettings(origin="app", writes=route),),
        writes=WritesSettings(),
    )


@pytest.mark.parametrize(
    "route",
    [
        RouteWritesSettings(mode=WriteMode.ASYNC),
        RouteWritesSettings(idempotency=IdempotencySettings(required=True)),
    ],
    ids=["async", "keys"],
)
def test_what_promises_to_outlive_the_process_needs_a_journal(route: RouteWritesSettings) -> None:
    with pytest.raises(ValidationError, match=r"set writes\.journal\.directory"):
        config_with(route)


def test_writes_whose_clients_wait_need_no_journal() -> None:
    assert config_with(RouteWritesSettings()).writes.journal is None


@pytest.mark.parametrize(
    ("entity", "why"),
    [
        ({"path": "/posts/**/x"}, r"path is '/posts/\*\*/x': \*\* stands for any rest, and only at the end"),
        ({"path": "/a/{id}", "keys": ("/a/{ip}",)}, r"keys\[0\] is '/a/\{ip\}': \{ip\} is not in the path"),
        ({"keys": ("{path}", "{json:a}{json:b}")}, r"keys\[1\] is .*write a colon there"),
        ({"invalidates": ("posts",)}, r"invalidates\[0\] is 'posts': a target begins with /"),
        ({"tags": ("a b",)}, r"tags\[0\] is 'a b': a tag is visible ASCII"),
    ],
)
def test_an_entity_that_cannot_be_read_is_refused_with_its_place(entity: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        RouteWritesSettings(entities=({"path": "/ok"}, entity))  # type: ignore[arg-type]
    assert caught.value.errors()[0]["loc"] == ("entities", 1)


@pytest.mark.parametrize("given", [{}, {"header": "X-User", "claim": "sub"}], ids=["none", "two"])
def test_a_principal_is_named_in_one_way(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="name one of header, cookie and claim"):
        PrincipalSettings(**given)


@pytest.mark.parametrize("method", ["GET", "HEAD", "TRACE", "CONNECT", "PURGE"])
def test_what_is_answered_otherwise_is_not_said_to_be_queued(method: str) -> None:
    with pytest.raises(ValidationError, match="never queued"):
        RouteWritesSettings(methods=("POST", method))
    assert RouteWritesSettings(methods=("POST", "MKCOL")).methods == ("POST", "MKCOL")
