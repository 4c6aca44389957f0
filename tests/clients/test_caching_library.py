"""hishel, a cache of RFC 9111 for httpx, before Lockgate: two caches that know nothing of each other."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import NamedTuple
from urllib.parse import quote

import httpx
import pytest
from hishel import CacheOptions, SqliteStorage
from hishel.httpx import CacheTransport

from origin_stub import body_of
from tests.clients.place import Place

pytestmark = pytest.mark.slow


class Crossed(NamedTuple):
    """The fields of a request that went over the wire, and what came back."""

    sent: httpx.Headers
    got: httpx.Response


@dataclass(frozen=True, slots=True)
class Private:
    """A client with a cache of its own, and all that crossed the wire."""

    client: httpx.Client
    wire: list[Crossed]

    def get(self, url: str, **fields: str) -> httpx.Response:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        return self.client.get(url, headers=headers)


class _Recorded(httpx.HTTPTransport):
    """The wire below the cache."""

    def __init__(self, wire: list[Crossed]) -> None:
        super().__init__()
        self._wire = wire

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        self._wire.append(Crossed(request.headers.copy(), response))
        return response


@pytest.fixture
def private() -> Iterator[Private]:
    wire: list[Crossed] = []
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    transport = CacheTransport(
        _Recorded(wire), storage=SqliteStorage(connection=connection), rfc=CacheOptions(shared=False)
    )
    with httpx.Client(transport=transport) as client:
        yield Private(client, wire)
    connection.close()


def generated(*, seconds_ago: float) -> str:
    """A parameter of the stub: this library reckons the age by Date, and does not look at Age."""
    return "header=" + quote(f"Date:{formatdate(time.time() - seconds_ago, usegmt=True)}")


def test_what_is_fresh_by_its_date_is_answered_by_the_client_itself(place: Place, private: Private) -> None:
    url = place.url(f"/own?size=100&cc=max-age=3600&{generated(seconds_ago=100)}")
    for _ in range(2):
        answer = private.get(url)
        assert (answer.status_code, answer.content) == (200, body_of("/own", 100))
    (only,) = private.wire
    assert 100 <= int(only.got.headers["age"]) < 160
    assert place.asked("/own") == 1


@pytest.mark.parametrize(
    ("validator", "told", "asked"),
    [
        pytest.param("etag=1", "etag", "if-none-match", id="entity-tag"),
        pytest.param("etag=weak", "etag", "if-none-match", id="weak-entity-tag"),
        pytest.param("lm=86400", "last-modified", "if-modified-since", id="date"),
    ],
)
def test_what_is_stale_for_the_client_is_validated_at_lockgate(
    place: Place, private: Private, validator: str, told: str, asked: str
) -> None:
    # Fresh for a shared cache, and too old for a private one by the Date that Lockgate passes on.
    path = f"/aged-{validator}"
    url = place.url(f"{path}?size=100&{validator}&cc=s-maxage=3600,max-age=60&{generated(seconds_ago=100)}")
    for _ in range(2):
        assert private.get(url).content == body_of(path, 100)
    first, second = private.wire
    assert (first.got.status_code, second.got.status_code) == (200, 304)
    assert second.sent[asked] == first.got.headers[told] == second.got.headers[told]
    assert int(second.got.headers["age"]) >= 100
    assert second.got.headers["cache-status"].startswith("Lockgate; hit")
    assert place.asked(path) == 1


def test_another_body_takes_the_place_of_the_kept_one(place: Place, private: Private) -> None:
    url = place.url("/changing?size=100&etag=1&cc=no-cache")
    assert private.get(url).content == body_of("/changing", 100)
    place.touch("/changing")
    # The library asks with the old entity tag once more before it has got used to the new one.
    for _ in range(3):
        assert private.get(url).content == body_of("/changing", 100, version=1)
    *_, last = private.wire
    assert last.got.status_code == 304
    assert last.sent["if-none-match"] == private.wire[1].got.headers["etag"]
    assert place.counted("/changing")["statuses"] == {"200": 2, "304": 2}


def test_each_language_has_its_own_variant_in_both_caches(place: Place, private: Private) -> None:
    url = place.url("/spoken?unique=1&vary=Accept-Language&cc=max-age=3600")
    for language in ("de", "fr", "de", "fr"):
        answer = private.get(url, accept_language=language)
        assert answer.json()["vary"] == {"Accept-Language": language}
        assert answer.headers["vary"] == "Accept-Language"
    assert place.asked("/spoken") == 2


def test_what_is_private_is_kept_by_the_client_alone(place: Place, private: Private) -> None:
    url = place.url("/mine?unique=1&cc=private,max-age=3600")
    mine = [private.get(url).json()["number"] for _ in range(2)]
    assert mine[0] == mine[1]
    told = private.wire[0].got.headers["cache-status"]
    assert told.startswith("Lockgate; fwd=")
    assert "stored" not in told
    with httpx.Client() as other:
        assert other.get(url).json()["number"] != mine[0]
    assert place.asked("/mine") == 2


def test_what_must_not_be_stored_is_stored_by_neither(place: Place, private: Private) -> None:
    url = place.url("/never?unique=1&cc=no-store")
    numbers = {private.get(url).json()["number"] for _ in range(3)}
    assert len(numbers) == len(private.wire) == place.asked("/never") == 3
