"""Power cuts and kills at any step of the shipped queue, from what it did to its files.

A process uses the journal; a recorder between it and the kernel writes down each step; a model of the disk
then tells what a cut at a step would have left, and the queue is started on that. One run gives as many cuts
as one likes: `LOCKGATE_POWER_CUTS` (36). `LOCKGATE_KILLS` (3) processes are killed for real, each at a step
of its own. Seeds (`LOCKGATE_SEED`) are printed with a failure.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.writes.embedded.disk_model import Disk, Record, Survival, read_trace
from tests.writes.embedded.promises import Promises, broken

CUTS = int(os.environ.get("LOCKGATE_POWER_CUTS", "36"))
KILLS = int(os.environ.get("LOCKGATE_KILLS", "3"))
SEED = int(os.environ.get("LOCKGATE_SEED", "1"))
HERE = Path(__file__).parent
ROOT = Path(__file__).parents[3]
WRITES = 120
IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Where files are kept whose durability is the model's affair."""

COMPILER = shutil.which("cc") or shutil.which("gcc")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(COMPILER is None or sys.platform != "linux", reason="needs a C compiler on Linux"),
]


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorder") / "recorder.so"
    assert COMPILER is not None
    subprocess.run(
        [COMPILER, "-O1", "-shared", "-fPIC", "-o", path, HERE / "recorder.c", "-ldl", "-lpthread"],
        check=True,
    )
    return path


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in memory, where there is some."""
    with TemporaryDirectory(dir=IN_MEMORY) as path:
        yield Path(path)


class Run:
    """One process under the recorder."""

    def __init__(
        self, recorder: Path, base: Path, *ways: str, seed: int, writes: int = WRITES, fault: str = ""
    ) -> None:
        base.mkdir(exist_ok=True)
        self.seed = seed
        self.directory = base / "journal"
        self.trace = base / "trace"
        self.acks = base / "acks"
        environment = {
            "LD_PRELOAD": str(recorder),
            "LOCKGATE_TRACE_ROOT": str(self.directory),
            "LOCKGATE_TRACE": str(self.trace),
            "LOCKGATE_ACKS": str(self.acks),
            "LOCKGATE_FAULT": fault,
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "tests.writes.embedded.journal_user", self.directory, self.acks]
        self.process = subprocess.run(
            [*map(str, command), str(seed), str(writes), *ways],
            cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def records(self) -> list[Record]:
        assert self.process.returncode == 0, self.process.stderr
        return read_trace(self.trace)

    def promises(self, lines: bytes | None = None) -> Promises:
        return Promises.read(self.acks.read_bytes() if lines is None else lines, self.seed)


def random_steps(records: list[Record], cuts: int) -> list[tuple[int, Survival]]:
    chance = random.Random(SEED)
    steps = sorted(chance.sample(range(1, len(records)), min(cuts, len(records) - 1)))
    return [(step, list(Survival)[number % 3]) for number, step in enumerate(steps)]


async def faults_of_cuts(
    run: Run, steps: Iterable[tuple[int, Survival]], counted: Counter[str] | None = None
) -> list[str]:
    """What is broken after cuts at these steps; counted is how many there were, and with what at stake."""
    records = run.records()
    chance = random.Random(run.seed)
    disk = Disk(run.directory)
    faults: list[str] = []
    done = 0
    for step, survival in steps:
        for record in records[done:step]:
            disk.take(record)
        done = step
        with TemporaryDirectory(dir=IN_MEMORY) as into:
            disk.cut(Path(into), survival, chance)
            promises = run.promises(disk.acknowledged)
            try:
                found = await broken(Path(into), promises)
            except Exception as error:
                found = [repr(error)]
        faults += [f"seed {run.seed}, cut at step {step}, {survival.value} survives: {one}" for one in found]
        if counted is not None:
            counted.update(cuts=1, promises=len(promises), at_stake=bool(promises.puts))
            counted[survival.value] += 1
    return faults


async def test_nothing_that_was_promised_is_lost_in_a_power_cut(recorder: Path, place: Path) -> None:
    run = await asyncio.to_thread(Run, recorder, place / "run", seed=SEED)
    counted: Counter[str] = Counter()
    assert await faults_of_cuts(run, random_steps(run.records(), CUTS), counted) == []
    survivals = ", ".join(
        f"{counted[each.value]} where {each.value} of the unsynced survived" for each in Survival
    )
    print(
        f"seed {SEED}: {counted['cuts']} power cuts ({survivals}), {counted['at_stake']} of them with "
        f"promises at stake, {counted['promises']} promises in all; none lost"
    )
    assert counted["at_stake"] >= CUTS / 2, f"the cuts were not where promises are: {counted}"


async def test_a_cut_at_any_step_while_the_journal_is_made_leaves_one_or_none(
    recorder: Path, place: Path
) -> None:
    run = await asyncio.to_thread(Run, recorder, place / "run", seed=SEED, writes=1)
    made = next(n for n, record in enumerate(run.records()) if record.kind == "A")
    assert made > 10
    steps = [(step, survival) for step in range(1, made + 1) for survival in Survival]
    assert await faults_of_cuts(run, steps) == []


@pytest.mark.parametrize("way", ["NORMAL", "BODY", "NAME", "EARLY"])
async def test_a_journal_that_syncs_too_little_is_found_out(recorder: Path, place: Path, way: str) -> None:
    run = await asyncio.to_thread(Run, recorder, place / "run", way, seed=SEED)
    faults = await faults_of_cuts(run, random_steps(run.records(), 12))
    assert any("is lost" in fault or "cannot be read" in fault for fault in faults), faults


async def test_nothing_that_was_promised_is_lost_when_the_process_is_killed(
    recorder: Path, place: Path
) -> None:
    whole = await asyncio.to_thread(Run, recorder, place / "whole", seed=SEED, writes=40)
    steps = len(whole.records())
    chance = random.Random(SEED)
    for number in range(KILLS):
        step = chance.randrange(20, steps // 2)
        base = place / str(number)
        run = await asyncio.to_thread(Run, recorder, base, seed=SEED, writes=40, fault=f"kill {step}")
        assert run.process.returncode == -9, "it was not killed within its run"
        assert await broken(run.directory, run.promises()) == [], f"seed {SEED}, killed at step {step}"


SYNC = random.Random(SEED).randrange(30, 90)
STEP = random.Random(SEED).randrange(100, 400)


@pytest.mark.parametrize(
    ("fault", "event"),
    [
        pytest.param(f"sync {SYNC} {errno.EIO}", "journal_failed", id="one-failed-sync"),
        pytest.param(f"write {STEP} {errno.ENOSPC}", "journal_no_room", id="a-full-disk"),
        pytest.param(f"write {STEP} {errno.EIO}", "journal_failed", id="failed-writes"),
    ],
)
async def test_nothing_that_was_promised_is_lost_when_the_disk_fails(
    recorder: Path, place: Path, fault: str, event: str
) -> None:
    run = await asyncio.to_thread(Run, recorder, place / "run", seed=SEED, fault=fault)
    assert run.process.returncode == 1
    assert "QueueUnavailable" in run.process.stderr
    assert event in run.process.stderr
    promises = run.promises()
    assert promises.puts
    assert await broken(run.directory, promises) == []
