from __future__ import annotations

import json

import pytest

from loadtest.writes.http_client import Reply
from loadtest.writes.reading import Told, Word, read_answer, read_state
from proxy.writes.states import FINAL, State

PROBLEM = {"content-type": "application/problem+json"}


def _problem(status: int, name: str) -> Reply:
    return Reply(status, PROBLEM, json.dumps({"type": f"urn:lockgate:problem:{name}"}).encode())


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(200, {}, b'{"write":"w","versions":{"k":3}}'), Told(Word.OK, versions={"k": 3})),
        (Reply(202, {"location": "/_writes/1"}, b"{}"), Told(Word.ACCEPTED, location="/_writes/1")),
        (Reply(202, {}, b""), Told(Word.INFO, "202 from the origin")),
        (_problem(429, "lane-full"), Told(Word.FAIL, "429 lane-full")),
        (_problem(503, "expired"), Told(Word.FAIL, "503 expired")),
        (_problem(502, "origin-unreachable"), Told(Word.FAIL, "502 origin-unreachable")),
        (_problem(409, "idempotency-in-progress"), Told(Word.AGAIN, "409 idempotency-in-progress")),
        (_problem(504, "unknown-outcome"), Told(Word.INFO, "504 unknown-outcome")),
        (_problem(502, "origin-failed"), Told(Word.INFO, "502 origin-failed")),
        (Reply(409, {}, b""), Told(Word.FAIL, "409")),
        (Reply(503, {}, b""), Told(Word.FAIL, "503")),
        (Reply(500, {}, b""), Told(Word.INFO, "500")),
        (Reply(502, {}, b""), Told(Word.INFO, "502")),
        (Reply(504, PROBLEM, b"no JSON"), Told(Word.INFO, "504")),
    ],
)
def test_an_answer_tells(reply: Reply, told: Told) -> None:
    assert read_answer(reply, "w") == told


@pytest.mark.parametrize("body", [b'{"write":"x","versions":{"k":3}}', b"[]", b"hello"])
def test_an_answer_that_is_not_its_own_is_told_to_have_made_nothing(body: bytes) -> None:
    told = read_answer(Reply(200, {}, body), "w")
    assert (told.word, told.versions) == (Word.OK, {})


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("queued", Word.PENDING),
        ("started", Word.PENDING),
        ("retry-wait", Word.PENDING),
        ("committed", Word.OK),
        ("rejected", Word.FAIL),
        ("cancelled", Word.FAIL),
        ("expired", Word.FAIL),
        ("unknown", Word.INFO),
        ("dead", Word.INFO),
        ("nonsense", Word.LOST),
    ],
)
def test_a_state_tells(state: str, word: Word) -> None:
    assert read_state(Reply(200, {}, json.dumps({"state": state}).encode())).word is word


@pytest.mark.parametrize("status", [404, 410])
def test_a_state_that_is_not_known_is_lost(status: int) -> None:
    assert read_state(Reply(status, {}, b"")).word is Word.LOST


def test_a_state_that_cannot_be_told_now_is_asked_for_again() -> None:
    assert read_state(Reply(503, {}, b"")).word is Word.PENDING


@pytest.mark.parametrize("state", State)
def test_every_state_of_a_write_is_known(state: State) -> None:
    told = read_state(Reply(200, {}, json.dumps({"state": state}).encode()))
    assert told.word is not Word.LOST
    assert (told.word is not Word.PENDING) == (state in FINAL)
