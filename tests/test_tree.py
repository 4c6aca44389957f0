"""The tests mirror the package: who knows a module's place knows its test's."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    path.relative_to(ROOT / "proxy") for path in (ROOT / "proxy").rglob("*.py") if path.name != "__init__.py"
)

BY_SOCKETS = "a shell of the server: `tests/behaviour` and `tests/hostile` ask it through sockets"
ENCODERS = "one of three of a kind: `tests/compression/test_encoders.py` holds all to the same"
VALUES = "values that decide nothing; every test of the lanes makes them"
LANES = "a step of a write: `tests/writes/test_scheduler.py` and `test_model.py` hold all to their order"
PEERS = "`tests/peers/test_asking.py` and `test_faults.py` have servers ask each other through sockets"
RELAYED = "`tests/peers/test_shared_writes.py` has servers pass writes on through sockets"
VALUES_OF_PEERS = "values that decide nothing; the tests of asking add them up"
WRITING = "`tests/behaviour/test_writes.py` and `test_writes_life.py` ask it through sockets"
PURGING = "`tests/behaviour/test_purging.py` asks it through sockets"
SLICES = "`tests/behaviour/test_slices.py` asks it through sockets"
SUPERVISED = "a part of the supervisor: `tests/workers/test_supervisor.py` runs it, with real processes"
ELSEWHERE = {
    "__main__.py": "two lines; `tests/test_cli.py` starts the command",
    "config/base.py": "what all sections share; `tests/config/test_settings.py` looks at each",
    "coalesce/ask.py": "values that decide nothing; every test of the coalescer makes them",
    "coalesce/slice_source.py": SLICES,
    "coalesce/sliced_answer.py": SLICES,
    "coalesce/slicing.py": SLICES,
    "coalesce/plan.py": "values that decide nothing; every test of the flights makes them",
    "clock.py": "the machine's clocks: nothing to decide, and no test may wait for them",
    "admin/answers.py": "`tests/admin/test_control.py` and `test_writes.py` see each of them",
    "admin/query.py": "`tests/admin/test_writes.py` has each mistake in a query",
    "cache/elsewhere.py": "a protocol; `tests/workers/test_told.py` has what speaks it",
    "origin/port.py": "protocols; `tests/origin/test_contract.py` holds every adapter to them",
    "compression/br_encoder.py": ENCODERS,
    "compression/encoder.py": ENCODERS,
    "compression/gzip_encoder.py": ENCODERS,
    "compression/zstd_encoder.py": ENCODERS,
    "metric.py": "values that decide nothing; `tests/test_metrics.py` looks at each",
    "peers/answer.py": PEERS,
    "peers/answering.py": PEERS,
    "peers/delivery.py": PEERS,
    "peers/link.py": PEERS,
    "peers/neighbourhood.py": PEERS,
    "peers/relay.py": RELAYED,
    "peers/relay_door.py": RELAYED,
    "peers/relayed.py": RELAYED,
    "peers/shared_origin.py": PEERS,
    "peers/statistics.py": VALUES_OF_PEERS,
    "peers/worker_socket.py": "who comes in at one and who does not: `tests/peers/test_door.py`",
    "server/passage.py": BY_SOCKETS,
    "server/purge_method.py": PURGING,
    "server/purger.py": PURGING,
    "server/serving.py": BY_SOCKETS,
    "server/writes/answers.py": WRITING,
    "server/writes/entrance.py": RELAYED,
    "server/writes/front.py": WRITING,
    "server/writes/home.py": WRITING,
    "server/writes/keeping.py": WRITING,
    "server/writes/made_write.py": WRITING,
    "server/writes/passing_on.py": RELAYED,
    "server/writes/routes.py": WRITING,
    "server/writes/showing.py": WRITING,
    "server/writes/status.py": WRITING,
    "workers/crew.py": SUPERVISED,
    "workers/disks.py": SUPERVISED,
    "workers/handover.py": SUPERVISED,
    "workers/member.py": SUPERVISED,
    "workers/parent.py": SUPERVISED,
    "workers/tally.py": SUPERVISED,
    "workers/trial.py": SUPERVISED,
    "workers/worker.py": SUPERVISED,
    "writes/attempting.py": LANES,
    "writes/delivery.py": VALUES,
    "writes/documents.py": "what is told at the desk: `tests/writes/test_desk.py` reads it",
    "writes/ending.py": LANES,
    "writes/events.py": VALUES,
    "writes/job.py": VALUES,
    "writes/orders.py": "values that decide nothing; `tests/writes/test_desk.py` gives each",
    "writes/port.py": "protocols; `tests/writes/test_queue_contract.py` holds every backend to them",
    "writes/problem.py": VALUES,
    "writes/statistics.py": "values that decide nothing; `tests/test_metrics_writes.py` reads them",
    "verdicts.py": "the words of `explaining`: `tests/test_explaining.py` holds both to what happens",
}
"""Modules without a test file of their own, and why."""


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_each_module_has_its_test_file(module: Path) -> None:
    test = ROOT / "tests" / module.parent / f"test_{module.name}"
    assert test.exists() or str(module) in ELSEWHERE, f"proxy/{module} is tested by nobody at {test}"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_exception_is_a_module_without_its_file(name: str) -> None:
    assert (ROOT / "proxy" / name).exists()
    module = Path(name)
    assert not (ROOT / "tests" / module.parent / f"test_{module.name}").exists()
