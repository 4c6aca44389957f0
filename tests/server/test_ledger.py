from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.coalesce.answer import Outcome
from proxy.coalesce.outcomes import Role
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead
from proxy.server.access_log import AccessLog
from proxy.server.client_connection import ClientConnection
from proxy.server.exchange import Exchange
from proxy.server.ledger import WAIT_BOUNDS_S, Ledger, access_line, told_behind_client
from proxy.server.response_writer import ResponseWriter

STARTED_AT = 1_800_000_000.25
STARTED_MONO = 1_000.0


def an_exchange(*, status: int = 200, sent_bytes: int = 0, **facts: Any) -> Exchange:
    writer = ResponseWriter(cast(ClientConnection, None), keep_alive=True)
    writer.status, writer.sent_bytes = status, sent_bytes
    exchange = Exchange(
        writer=writer, client="192.0.2.1", trusted=False, started_at=STARTED_AT, started_mono=STARTED_MONO
    )
    for name, value in facts.items():
        setattr(exchange, name, value)
    return exchange


def a_request(target: bytes = b"/a?b=c", *, method: str = "GET", authority: bytes = b"shop.example") -> Any:
    secrets = Fields([(b"Cookie", b"sid=secret"), (b"Authorization", b"Bearer secret")])
    return RequestHead(method, target, secrets, authority=authority)


def line_of(exchange: Exchange, *, after_s: float = 0.5) -> dict[str, Any]:
    text = access_line(exchange, now_mono=STARTED_MONO + after_s)
    assert re.fullmatch(r"[\x20-\x7e]*\n", text), text
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_a_line_tells_who_asked_for_what_and_what_became_of_it() -> None:
    exchange = an_exchange(
        sent_bytes=1234,
        request=a_request(),
        outcome=Outcome.COLLAPSED,
        role=Role.WAITER,
        wait_s=0.25,
        origin_s=0.125,
        route="*/",
    )

    assert line_of(exchange) == {
        "time": "2027-01-15T08:00:00.250Z",
        "client": "192.0.2.1",
        "method": "GET",
        "host": "shop.example",
        "target": "/a?b=c",
        "status": 200,
        "bytes": 1234,
        "outcome": "collapsed",
        "duration_s": 0.5,
        "wait_s": 0.25,
        "origin_s": 0.125,
        "role": "waiter",
        "route": "*/",
    }


def test_octets_that_were_no_request_have_a_line_with_the_reason() -> None:
    line = line_of(an_exchange(status=400, reason='bad "head"\r\n'))

    assert (line["method"], line["host"], line["target"], line["route"]) == (None, None, None, None)
    assert line["reason"] == 'bad "head"\r\n'
    assert line["outcome"] == "refused"


def test_a_client_that_left_has_a_line_with_499() -> None:
    exchange = an_exchange(status=0, request=a_request())
    exchange.client_gone()
    line = line_of(exchange)

    assert (line["status"], line["outcome"]) == (499, "gone")
    assert (line["aborted"], line["reason"]) == (True, "client-gone")


def test_a_client_that_left_in_the_middle_of_a_hit_was_a_hit() -> None:
    exchange = an_exchange(request=a_request(), outcome=Outcome.HIT)
    exchange.client_gone()
    line = line_of(exchange)

    assert (line["status"], line["outcome"], line["aborted"]) == (200, "hit", True)


def test_no_field_of_the_request_is_in_the_line() -> None:
    text = access_line(an_exchange(request=a_request(), outcome=Outcome.HIT), now_mono=STARTED_MONO)

    assert "secret" not in text


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        pytest.param(b'/"},{"status":200', '/"},{"status":200', id="quotes"),
        pytest.param(b"/a\r\n{}", "/a\r\n{}", id="line-ends"),
        pytest.param(b"/\x1b[31m\x00", "/\x1b[31m\x00", id="control-characters"),
        pytest.param("/ä€".encode(), "/ä€", id="utf-8"),
        pytest.param(b"/\xff\xfe", "/\\xff\\xfe", id="not-utf-8"),
        pytest.param(b"/a\\b", "/a\\b", id="backslash"),
    ],
)
def test_a_target_is_told_and_cannot_break_out_of_its_line(target: bytes, shown: str) -> None:
    assert line_of(an_exchange(request=a_request(target)))["target"] == shown


@given(
    target=st.binary(), authority=st.binary(), reason=st.text(), route=st.text(), client=st.text(max_size=40)
)
def test_a_line_is_one_line_of_ascii_json_whatever_came(
    target: bytes, authority: bytes, reason: str, route: str, client: str
) -> None:
    request = a_request(target, authority=authority)
    exchange = an_exchange(request=request, reason=reason, route=route, client=client)

    line = line_of(exchange)

    assert line["client"] == client
    assert line.get("reason", "") == reason


async def test_requests_are_the_sum_of_the_outcomes_and_of_the_statuses() -> None:
    ledger = Ledger(None)
    for count, outcome in enumerate(Outcome, start=1):
        for _ in range(count):
            ledger.record(an_exchange(status=200 + count, outcome=outcome), now_mono=STARTED_MONO)
    statistics = ledger.statistics()

    assert statistics.requests == sum(range(1, len(Outcome) + 1))
    assert statistics.requests == sum(statistics.outcomes.values()) == sum(statistics.statuses.values())
    assert list(statistics.outcomes) == list(Outcome)


def test_octets_cuts_and_shareable_answers_are_counted() -> None:
    ledger = Ledger(None)
    ledger.record(an_exchange(sent_bytes=10, outcome=Outcome.HIT, shareable=True), now_mono=STARTED_MONO)
    ledger.record(an_exchange(sent_bytes=5, outcome=Outcome.PASSED, aborted=True), now_mono=STARTED_MONO)
    statistics = ledger.statistics()

    assert (statistics.sent_bytes, statistics.aborted, statistics.shareable) == (15, 1, 1)


def test_waits_are_counted_in_the_bucket_whose_bound_they_do_not_pass() -> None:
    ledger = Ledger(None)
    for wait_s in (0.0, WAIT_BOUNDS_S[0], WAIT_BOUNDS_S[0] + 1e-9, WAIT_BOUNDS_S[-1] + 1):
        ledger.record(an_exchange(outcome=Outcome.COLLAPSED, wait_s=wait_s), now_mono=STARTED_MONO)
    ledger.record(an_exchange(outcome=Outcome.HIT), now_mono=STARTED_MONO)
    statistics = ledger.statistics()

    assert statistics.wait_buckets[:2] == (2, 1)
    assert statistics.wait_buckets[-1] == 1
    assert sum(statistics.wait_buckets) == 4
    assert statistics.wait_sum_s == pytest.approx(2 * WAIT_BOUNDS_S[0] + WAIT_BOUNDS_S[-1] + 1)


async def test_of_the_hits_a_share_is_logged_and_of_all_else_everything(tmp_path: Any) -> None:
    log = AccessLog(tmp_path / "access.log")
    log.open()
    ledger = Ledger(log, hit_share=0.25)
    for outcome in (Outcome.HIT, Outcome.MISS):
        for _ in range(40):
            ledger.record(an_exchange(request=a_request(), outcome=outcome), now_mono=STARTED_MONO)
    exchange = an_exchange(request=a_request(), outcome=Outcome.HIT)
    for _ in range(40):
        told = told_behind_client(exchange, duration_s=0.0)
        ledger.tell_again(told, client="192.0.2.1", at=exchange.started_at)
    ledger.record_again(exchange, 40)
    await log.close()

    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert Counter(line["outcome"] for line in lines) == {"hit": 20, "miss": 40}
    assert lines[-1]["client"] == "192.0.2.1"
    assert ledger.statistics().requests == 120


async def test_what_is_told_again_is_the_line_of_the_exchange(tmp_path: Any) -> None:
    log = AccessLog(tmp_path / "access.log")
    log.open()
    ledger = Ledger(log)
    exchange = an_exchange(request=a_request(), outcome=Outcome.HIT)
    ledger.record(exchange, now_mono=exchange.started_mono)
    told = told_behind_client(exchange, duration_s=0.0)
    ledger.tell_again(told, client=exchange.client, at=exchange.started_at)
    await log.close()

    first, second = (tmp_path / "access.log").read_text().splitlines()
    assert first == second


def test_what_was_counted_elsewhere_is_booked_before_the_counters_are_read() -> None:
    ledger = Ledger(None)
    exchange = an_exchange(status=206, outcome=Outcome.HIT, sent_bytes=7, shareable=True)
    ledger.book_before_reading(lambda: ledger.record_again(exchange, 3))
    statistics = ledger.statistics()

    assert statistics.outcomes[Outcome.HIT] == statistics.statuses[206] == statistics.shareable == 3
    assert statistics.sent_bytes == 21


async def test_each_exchange_is_logged_once(tmp_path: Any) -> None:
    log = AccessLog(tmp_path / "access.log")
    log.open()
    ledger = Ledger(log)
    for outcome in Outcome:
        ledger.record(an_exchange(request=a_request(), outcome=outcome), now_mono=STARTED_MONO)
    await log.close()

    lines = (tmp_path / "access.log").read_text().splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == [outcome.value for outcome in Outcome]
