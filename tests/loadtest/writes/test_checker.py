"""The checker over files: what it prints, how it ends, and what it costs in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.writes.__main__ import main
from loadtest.writes.checker import judge
from loadtest.writes.history import BadHistory, ClientHistory
from origin_stub.lists.ledger import Ledger, now_ns
from tests.loadtest.writes.made import Made

WRITES = int(os.environ.get("LOCKGATE_CHECKED_WRITES", "20000"))
"""1000000 for the figure in docs/checking-writes.md."""


def _good() -> Made:
    made = Made()
    made.write("a-1", "b-1")
    made.invoke("a-2")
    made.accept("a-2")
    made.attempt("a-2")
    made.fault()
    made.attempt("a-2")
    made.ok("a-2")
    made.read("a")
    made.end()
    return made


def test_good_histories_are_green_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checker", *map(str, _good().files(tmp_path))]) == 0
    told = capsys.readouterr().out
    assert "seeds: client 7 (client.jsonl); origin 7 (origin.jsonl)" in told
    assert "3 writes of 1 keys: 3 told to be applied, 0 refused, 0 unknown; 1 were answered 202" in told
    assert "applied 4 times, 1 of them again" in told
    assert (
        "1 faults, 1 while writes were promised or sent and their ends not told, 1 while some were sent"
        in told
    )
    assert told.endswith("green\n")


def test_a_violation_is_shown_with_its_key_and_both_histories(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = _good()
    made.attempt("b-1")
    assert main(["checker", *map(str, made.files(tmp_path))]) == 1
    told = capsys.readouterr().out
    assert "duplicates: k: b-1 was applied again" in told
    assert "b-1 told to be applied, version 2" in told
    assert "origin      b-1 leaves: apply, version 5" in told
    assert "WRONG: 2 × duplicates" in told
    assert told.endswith("red: 1 keys\n")


def test_what_the_origin_did_beyond_the_limit_is_named_and_counted_and_not_red(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Made()
    made.invoke("a-1", "b-1")
    late = made.attempt("a-1", "drop", answered=False)
    made.now += 2_000_000_000
    made.attempt("b-1")
    late["leave"] = made.now + 20_000_000
    made.ok("b-1")
    made.attempt("b-1", "replay")["leave"] += 3_000_000_000
    made.end()
    lenient = tmp_path / "lenient.jsonl"
    lenient.write_text('{"history":"client","format":1,"seed":1,"at":0,"limit":9000000000}\n')
    paths = map(str, [*made.files(tmp_path, limit_ns=1_500_000_000), lenient])
    assert main(["checker", *paths]) == 0
    told = capsys.readouterr().out
    assert "serial, beyond the limit: k: b-1 entered" in told
    assert "beyond the limit: 1 attempts, on which the origin worked for longer than 1.5 s" in told
    assert "by them 1 × serial went wrong" in told
    assert told.endswith("green\n")
    assert main(["checker", *map(str, made.files(tmp_path, limit_ns=2_500_000_000))]) == 1
    assert "beyond" not in capsys.readouterr().out


def test_what_the_origin_did_beyond_the_limit_hides_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Made()
    made.invoke("a-1")
    late = made.attempt("a-1", "drop", answered=False)
    made.now += 2_000_000_000
    made.write("b-1", "b-2", "b-3", "b-4")
    late["leave"] = made.now + 20_000_000
    made.attempt("b-4")
    assert main(["checker", *map(str, made.files(tmp_path, limit_ns=1_500_000_000))]) == 1
    told = capsys.readouterr().out
    assert "duplicates: k: b-4 was applied again" in told
    assert told.endswith("WRONG: 1 × duplicates\nred: 1 keys\n")


def test_a_fault_while_something_was_promised_and_not_sent_is_counted_apart(tmp_path: Path) -> None:
    made = Made()
    made.fault()
    made.invoke("a-1")
    made.accept("a-1")
    made.fault()
    made.attempt("a-1")
    made.ok("a-1")
    made.fault()
    verdict = judge(made.files(tmp_path))
    assert (verdict.faults, verdict.faults_in_flight, verdict.faults_after_sending) == (3, 1, 0)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", None),
        ("{\n", "no JSON object"),
        ('{"do":"ok"}\n', "begins with a line that says so"),
        ('{"history":"client","format":9,"at":0}\n', "format 9"),
        ('{"history":"client","format":1,"at":0}\n{"do":"ok"}\n', "without a key"),
        ('{"history":"client","format":1,"at":0}\n{"do":"ok","key":"k","at":1}\n', "lacks 'write'"),
        ('{"history":"client","format":1,"at":0}\n{"do":"odd","key":"k","write":"w","at":1}\n', "'odd'"),
    ],
)
def test_what_is_no_history_is_said(
    text: str, wrong: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history"
    path.write_text(text)
    assert main(["checker", str(path)]) == (0 if wrong is None else 2)
    if wrong is not None:
        assert wrong in capsys.readouterr().err
        with pytest.raises(BadHistory):
            judge([path])


def test_clients_and_origin_write_what_the_checker_reads(tmp_path: Path) -> None:
    client = ClientHistory(tmp_path / "client", seed=1, limit_s=1.5)
    origin = Ledger(tmp_path / "origin", seed=2)
    client.invoke("a-1", "k", by="a", via="p", method="PUT", mode="async", number=1, idem='x-"1')
    client.accepted("a-1", "k", by="a", identity="7")
    origin.attempt(
        "apply", ["k"], "a-1", enter=now_ns(), attempt=1, versions=[1], status=200, answered=True, idem='"q"'
    )
    client.ok("a-1", "k", by="a", version=1)
    client.read("k", began=now_ns(), by="a", via="p", version=1, last="a-1")
    client.invoke("a-2", "k", by="a", via="p", method="PUT", mode="sync", number=1, idem=None)
    client.fail("a-2", "k", by="a", why='a "quoted" word')
    client.invoke("a-3", "k", by="a", via="p", method="PUT", mode="sync", number=1, idem=None)
    client.info("a-3", "k", by="a", why="504")
    client.event("k", "a-1", by="f", position=1)
    client.reset(by="f")
    client.fault("killed", began=now_ns(), until=now_ns(), via="p")
    client.close()
    origin.close([])
    verdict = judge([client.path, origin.path])
    assert verdict.is_green, verdict.text
    assert (verdict.writes, verdict.acknowledged, verdict.refused, verdict.unknown) == (3, 1, 1, 1)
    assert (verdict.promised, verdict.reads, verdict.faults) == (1, 1, 1)
    assert verdict.limit_ns == 1_500_000_000


@pytest.mark.slow
def test_many_writes_are_checked_within_some_memory(tmp_path: Path) -> None:
    paths = [tmp_path / "client.jsonl", tmp_path / "origin.jsonl"]
    with paths[0].open("w") as client, paths[1].open("w") as origin:
        client.write('{"history":"client","format":1,"seed":1,"at":0}\n')
        origin.write('{"history":"origin","format":1,"seed":1,"at":0}\n')
        for number in range(WRITES):
            key = f"k{number % 200}"
            line = {"key": key, "write": f"c-{number}", "at": number * 10, "by": f"c{number % 64}"}
            client.write(json.dumps({"do": "invoke", "via": "p", "try": 1, **line}) + "\n")
            client.write(json.dumps({"do": "ok", **line, "at": number * 10 + 9}) + "\n")
            version = number // 200 + 1
            attempt = {"enter": number * 10 + 3, "leave": number * 10 + 6, "version": version}
            origin.write(json.dumps({"do": "apply", **line, **attempt, "answered": True}) + "\n")
    # VmHWM: what getrusage tells begins with what the parent had when it forked.
    code = (
        "import re, sys; from loadtest.writes.__main__ import main; status = main(sys.argv[1:]);"
        "told = open('/proc/self/status').read();"
        "print('peak', int(re.search(r'VmHWM:\\s+(\\d+)', told)[1]) // 1024); sys.exit(status)"
    )
    command = [sys.executable, "-c", code, "checker", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{WRITES:,} writes of 200 keys" in done.stdout
    assert int(done.stdout.split()[-1]) < 500
