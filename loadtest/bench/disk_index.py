"""How long the disk tier takes to know a million files: `python -m loadtest.bench.disk_index`.

A process of its own opens the directory, so that its memory is that of the index; the files are made by the
tier's own writing functions and removed afterwards. Told: from start to the first answer, to the complete
index, the longest the loop was held up meanwhile, and memory per entry.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from proxy.cache.disk.directory import Directory
from proxy.cache.disk.object_file import checksums_of, ending_of
from proxy.cache.disk.place import SHARDS, place_of, shard_name
from proxy.cache.disk.purge_log import PurgeLog
from proxy.cache.disk.record import Record
from proxy.cache.disk.store import DiskStore
from proxy.clock import SystemClock
from proxy.config.settings import DiskSettings
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.policy.freshness import LifetimeSource
from proxy.policy.terms import Terms

BODY = b"x" * 1000
HEAD = ResponseHead(
    200,
    Fields(
        [
            (b"Content-Type", b"application/json"),
            (b"Cache-Control", b"public, max-age=86400"),
            (b"ETag", b'"0123456789abcdef"'),
            (b"Surrogate-Key", b"one two"),
        ]
    ),
)


def key_of(number: int) -> bytes:
    """The key of one of the files."""
    return b"4:http,11:example.org,%d:/objects/%d,0:," % (len(b"/objects/%d" % number), number)


def generate(path: Path, files: int) -> None:
    """Make the files."""
    directory = Directory(path)
    directory.acquire()
    log = PurgeLog(directory.log)
    log.open()
    for shard in range(SHARDS):
        (directory.objects / shard_name(shard)).mkdir(exist_ok=True)
    blocks = checksums_of([BODY])
    for number in range(files):
        record = Record(
            key=key_of(number), varies_on=(), variant=(), head=HEAD,
            terms=Terms(86400.0, LifetimeSource.MAX_AGE), initial_age_s=0.0, requested_mono=0.0,
            received_mono=0.0, received_at=time.time(), boot=b"generate", tags=frozenset({b"one", b"two"}),
        )  # fmt: skip
        ending = ending_of(record, blocks, body_bytes=len(BODY), generation=log.generation, epoch=0)
        directory.write_object(place_of(record.key, ()), [BODY, ending], fsync=False)
    log.close()
    directory.release()


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def measure(path: Path, files: int) -> None:
    """Open the directory and print what it took."""
    before = resident_bytes()
    store = DiskStore(DiskSettings(directory=path, min_free_bytes=0), clock=SystemClock())
    began, cpu_began_s = time.perf_counter(), time.process_time()
    await store.open()
    opened_s = time.perf_counter() - began
    entry = await store.load(key_of(files - 1), ())
    served_s = time.perf_counter() - began
    assert entry is not None, "the last file was not found"
    complete = asyncio.ensure_future(store.wait_complete())
    longest_s = 0.0
    while not complete.done():
        turn = time.perf_counter()
        await asyncio.sleep(0.001)  # the loop's other work
        longest_s = max(longest_s, time.perf_counter() - turn - 0.001)
    complete_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began_s
    entries = store.statistics().entries
    assert entries == files, f"{entries} of {files} files were indexed"
    each = (resident_bytes() - before) / files
    print(f"files                       {files:>12,}")
    print(f"open                        {opened_s * 1000:>12.1f} ms")
    print(f"first answer                {served_s * 1000:>12.1f} ms")
    print(f"index complete              {complete_s:>12.2f} s  ({complete_s / files * 1e6:.1f} us a file)")
    print(f"processor time              {cpu_s:>12.2f} s  ({cpu_s / files * 1e6:.1f} us a file)")
    print(f"longest the loop was held   {longest_s * 1000:>12.1f} ms")
    print(f"memory                      {each:>12.0f} octets a file")
    await store.close()


def main() -> None:
    """Generate, measure in a process of its own, remove."""
    parser = argparse.ArgumentParser(description="time from start to a complete index of the disk tier")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument(
        "--under", type=Path, default=None, help="where to make the files; else the usual temporary one"
    )
    parser.add_argument("--measure", type=Path, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        asyncio.run(measure(arguments.measure, arguments.files))
        return
    base = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir=arguments.under))
    try:
        began = time.perf_counter()
        generate(base / "cache", arguments.files)
        print(f"generated                   {time.perf_counter() - began:>12.1f} s")
        command = [sys.executable, "-m", "loadtest.bench.disk_index", "--files", str(arguments.files)]
        subprocess.run([*command, "--measure", str(base / "cache")], check=True)
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
