"""One body is compressed once for each coding, and nobody waits for what does not come."""

from __future__ import annotations

import asyncio
import gc
import gzip
import threading
from collections.abc import AsyncIterator, Iterable, Iterator

import pytest

from proxy.coalesce.body import SharedBody
from proxy.compression import compressor as module
from proxy.compression.compressor import Compressor
from proxy.compression.encoder import Encode
from proxy.config.settings import CompressionSettings, CompressorSettings, ContentCoding

GZIP, BR = ContentCoding.GZIP, ContentCoding.BR
SETTINGS = CompressionSettings()
TEXT = b"gate " * 1000


def body(octets: bytes = TEXT) -> SharedBody:
    return SharedBody.complete([octets])


@pytest.fixture
async def compressor() -> AsyncIterator[Compressor]:
    made = Compressor(CompressorSettings())
    yield made
    made.close()


class Gated:
    """An encoder that waits for the test, in place of every other."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.runs = 0

    def of(self, _coding: ContentCoding, _settings: CompressionSettings) -> Encode:
        def encode(pieces: Iterable[bytes]) -> Iterator[bytes]:
            self.runs += 1
            assert self.open.wait(10), "the test did not open the gate"
            yield b"coded"

        return encode


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gated]:
    gate = Gated()
    monkeypatch.setattr(module, "encoder_of", gate.of)
    yield gate
    gate.open.set()


async def test_a_body_is_compressed_and_kept(compressor: Compressor) -> None:
    identity = body()
    coded = await compressor.coded(identity, GZIP, settings=SETTINGS)
    assert coded is not None
    assert gzip.decompress(b"".join(coded.pieces)) == TEXT
    assert coded.whole
    assert await compressor.coded(identity, GZIP, settings=SETTINGS) is coded
    found = compressor.statistics()
    assert (found.compressed, found.served, found.kept, found.running) == (1, 1, 1, 0)
    assert (found.input_bytes, found.output_bytes) == (len(TEXT), coded.received_bytes)
    assert found.kept_bytes >= coded.received_bytes


async def test_each_coding_and_effort_is_one_of_its_own(compressor: Compressor) -> None:
    identity = body()
    hard = CompressionSettings(gzip_level=9)
    made = [
        await compressor.coded(identity, GZIP, settings=SETTINGS),
        await compressor.coded(identity, BR, settings=SETTINGS),
        await compressor.coded(identity, GZIP, settings=hard),
    ]
    assert len(set(map(id, made))) == 3
    assert compressor.statistics().compressed == 3


async def test_concurrent_requests_share_one_run(compressor: Compressor, gated: Gated) -> None:
    identity = body()
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(compressor.coded(identity, GZIP, settings=SETTINGS)) for _ in range(100)]
        while compressor.statistics().joined < 99:  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0)
        gated.open.set()
    assert gated.runs == 1
    assert len({id(task.result()) for task in asked}) == 1


async def test_a_client_that_leaves_takes_nothing_from_the_others(
    compressor: Compressor, gated: Gated
) -> None:
    identity = body()
    leaver = asyncio.ensure_future(compressor.coded(identity, GZIP, settings=SETTINGS))
    stayer = asyncio.ensure_future(compressor.coded(identity, GZIP, settings=SETTINGS))
    while not compressor.statistics().joined:  # noqa: ASYNC110 - a count has no event
        await asyncio.sleep(0)
    leaver.cancel()
    gated.open.set()
    coded = await stayer
    assert leaver.cancelled() or leaver.cancelling()
    assert coded is not None
    assert b"".join(coded.pieces) == b"coded"


async def test_when_the_queue_is_full_the_answer_goes_out_as_it_is(gated: Gated) -> None:
    compressor = Compressor(CompressorSettings(max_queue=1))
    first, second = body(), body()
    running = asyncio.ensure_future(compressor.coded(first, GZIP, settings=SETTINGS))
    await asyncio.sleep(0)
    assert await compressor.coded(second, GZIP, settings=SETTINGS) is None
    assert compressor.statistics().refused == 1
    gated.open.set()
    assert await running is not None
    assert await compressor.coded(second, GZIP, settings=SETTINGS) is not None, "there is room again"
    compressor.close()


async def test_the_queue_is_bounded_in_octets_too(gated: Gated) -> None:
    compressor = Compressor(CompressorSettings(max_queue_bytes=len(TEXT) + 1))
    first, second = body(), body()
    running = asyncio.ensure_future(compressor.coded(first, GZIP, settings=SETTINGS))
    await asyncio.sleep(0)
    assert await compressor.coded(second, GZIP, settings=SETTINGS) is None
    gated.open.set()
    assert await running is not None
    compressor.close()


async def test_what_does_not_shrink_is_remembered_and_sent_as_it_is(compressor: Compressor) -> None:
    identity = body(b"x")
    for _ in range(2):
        assert await compressor.coded(identity, GZIP, settings=SETTINGS) is None
    found = compressor.statistics()
    assert (found.unchanged, found.served) == (1, 1)


async def test_an_encoder_that_fails_is_not_tried_again(
    compressor: Compressor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_coding: ContentCoding, _settings: CompressionSettings) -> Encode:
        def encode(_pieces: Iterable[bytes]) -> Iterator[bytes]:
            raise MemoryError

        return encode

    monkeypatch.setattr(module, "encoder_of", broken)
    identity = body()
    for _ in range(2):
        assert await compressor.coded(identity, GZIP, settings=SETTINGS) is None
    assert compressor.statistics().failed == 1
    assert "compression_failed coding=gzip" in caplog.text


async def test_a_body_that_is_gone_takes_its_codings_with_it(compressor: Compressor) -> None:
    identity = body()
    await compressor.coded(identity, GZIP, settings=SETTINGS)
    await compressor.coded(identity, BR, settings=SETTINGS)
    assert compressor.statistics().kept == 2
    del identity
    gc.collect()
    assert compressor.statistics().kept == 0


async def test_a_new_body_in_the_place_of_an_old_one_is_compressed_anew(compressor: Compressor) -> None:
    """`id` is given again after a body's death; no answer may be found by it."""
    for number in range(50):
        octets = TEXT + b"%d" % number
        coded = await compressor.coded(body(octets), GZIP, settings=SETTINGS)
        assert coded is not None
        assert gzip.decompress(b"".join(coded.pieces)) == octets


async def test_results_are_bounded_in_octets() -> None:
    compressor = Compressor(CompressorSettings(max_bytes=2000))
    bodies = [body(TEXT + b"%d" % number) for number in range(20)]
    for identity in bodies:
        assert await compressor.coded(identity, GZIP, settings=SETTINGS) is not None
    found = compressor.statistics()
    assert 1 <= found.kept < 5
    assert found.kept_bytes <= 2000
    compressor.close()


async def test_a_result_too_large_to_keep_is_given_all_the_same() -> None:
    compressor = Compressor(CompressorSettings(max_bytes=1))
    identity = body()
    for _ in range(2):
        assert await compressor.coded(identity, GZIP, settings=SETTINGS) is not None
    assert compressor.statistics().compressed == 2
    compressor.close()


async def test_closing_tells_those_who_wait(gated: Gated) -> None:
    compressor = Compressor(CompressorSettings())
    identity = body()
    waiting = asyncio.ensure_future(compressor.coded(identity, GZIP, settings=SETTINGS))
    await asyncio.sleep(0)
    compressor.close()
    assert await waiting is None


async def test_it_shows_its_state(compressor: Compressor) -> None:
    await compressor.coded(body(), GZIP, settings=SETTINGS)
    assert repr(compressor).startswith("<Compressor 0 running, ")
