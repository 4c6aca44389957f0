"""Each problem has one type, one status and words, and says whether a retry is safe."""

from __future__ import annotations

import json

import pytest

from proxy import errors
from proxy.errors import (
    BodyTooLarge,
    EntityMissing,
    IdempotencyKeyMalformed,
    IdempotencyKeyMissing,
    LaneFull,
    OriginError,
    QueueFull,
    QueueUnavailable,
)
from proxy.writes.front.problem_document import DESCRIPTIONS, problem_document, problem_of
from proxy.writes.problem import Problem, ProblemType
from proxy.writes.states import State

STATUSES = {
    "lane-full": 429,
    "queue-full": 503,
    "queue-unavailable": 503,
    "idempotency-mismatch": 422,
    "idempotency-in-progress": 409,
    "too-large": 413,
    "unknown-outcome": 504,
    "origin-unreachable": 502,
    "origin-failed": 502,
    "credentials-refused": 502,
    "route-gone": 503,
    "expired": 503,
    "cancelled": 503,
    "skipped": 502,
    "entity-missing": 400,
    "idempotency-key-missing": 400,
    "idempotency-key-malformed": 400,
    "not-found": 404,
    "forbidden": 403,
    "method-not-allowed": 405,
    "paused": 503,
    "not-cancellable": 409,
    "gone": 410,
}


def test_every_type_has_its_status() -> None:
    assert {kind.value: DESCRIPTIONS[kind].status for kind in ProblemType} == STATUSES


def test_504_is_for_unknown_outcomes_alone() -> None:
    assert [kind for kind, one in DESCRIPTIONS.items() if one.status == 504] == [ProblemType.UNKNOWN_OUTCOME]


def test_what_was_not_executed_is_safe_to_retry() -> None:
    for kind, one in DESCRIPTIONS.items():
        if one.status in (429, 503):
            assert one.retry_safe is True, kind
    assert DESCRIPTIONS[ProblemType.UNKNOWN_OUTCOME].retry_safe is False
    assert DESCRIPTIONS[ProblemType.ORIGIN_FAILED].retry_safe is False


def test_a_document_has_what_is_known() -> None:
    status, body = problem_document(
        Problem(ProblemType.ORIGIN_FAILED, "the origin answered 500 \udce9", 500),
        write_id="w1",
        state=State.DEAD,
        retry_safe=True,
        expires_at=1_700_000_000.123456,
    )
    assert status == 502
    assert json.loads(body) == {
        "type": "urn:lockgate:problem:origin-failed",
        "title": "The origin failed to execute the write",
        "status": 502,
        "detail": "the origin answered 500 \udce9",
        "write": "w1",
        "state": "dead",
        "origin_status": 500,
        "retry_safe": True,
        "expires_at": 1_700_000_000.123,
    }


@pytest.mark.parametrize("kind", ProblemType)
def test_a_document_without_words_has_those_of_its_type(kind: ProblemType) -> None:
    status, body = problem_document(Problem(kind, ""))
    told = json.loads(body)
    assert told["detail"] == DESCRIPTIONS[kind].detail
    assert told["status"] == status == STATUSES[kind.value]
    assert set(told) <= {"type", "title", "status", "detail", "retry_safe"}
    assert body.isascii()


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (LaneFull("writes.max_lane"), ProblemType.LANE_FULL, ""),
        (QueueFull("writes.max_queued"), ProblemType.QUEUE_FULL, ""),
        (QueueUnavailable("disk"), ProblemType.QUEUE_UNAVAILABLE, ""),
        (BodyTooLarge("9 octets"), ProblemType.TOO_LARGE, "9 octets"),
        (EntityMissing("{json:a}"), ProblemType.ENTITY_MISSING, "{json:a}"),
        (IdempotencyKeyMissing("send one"), ProblemType.IDEMPOTENCY_KEY_MISSING, "send one"),
        (IdempotencyKeyMalformed("twice"), ProblemType.IDEMPOTENCY_KEY_MALFORMED, "twice"),
    ],
)
def test_an_error_is_told_as_its_problem_with_its_own_status(
    error: errors.ProxyError, kind: ProblemType, told: str
) -> None:
    assert problem_of(error) == Problem(kind, told)
    assert DESCRIPTIONS[kind].status == error.status


def test_an_error_that_no_write_is_refused_with_has_none() -> None:
    assert problem_of(OriginError("x")) is None
