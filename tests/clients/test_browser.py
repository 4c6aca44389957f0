"""Chromium before Lockgate: what it keeps, asks again about, and takes parts of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from origin_stub import body_of
from tests.clients.browser import Page, browsing
from tests.clients.conftest import required
from tests.clients.place import SECONDS, Place, sound

pytestmark = pytest.mark.slow


@pytest.fixture
async def page(profile: Path) -> AsyncIterator[Page]:
    chromium = required("chromium", package="chromium")
    async with browsing(chromium, profile) as opened:
        yield opened


def text(body: bytes) -> str:
    return body.decode("latin-1")


async def test_an_answer_that_is_fresh_by_its_age_is_kept_by_the_browser(place: Place, page: Page) -> None:
    await page.go(place.url("/"))
    url = place.url("/kept?size=100&cc=max-age=3600&header=Age:100")
    for _ in range(2):
        told = await page.fetch(url)
        assert (told["status"], told["body"]) == (200, text(body_of("/kept", 100)))
        assert 100 <= int(told["fields"]["age"]) < 160
    first, second = await page.loads(url, 2)
    assert (first.wire_status, first.from_cache) == (200, False)
    assert second.from_cache
    assert place.asked("/kept") == 1


async def test_an_answer_that_is_too_old_for_the_browser_is_validated_at_lockgate(
    place: Place, page: Page
) -> None:
    await page.go(place.url("/"))
    # Fresh for a shared cache; a browser must find it stale from the Age that Lockgate tells.
    url = place.url("/aged?size=100&etag=1&cc=s-maxage=3600,max-age=60&header=Age:100")
    for _ in range(2):
        told = await page.fetch(url)
        assert (told["status"], told["body"]) == (200, text(body_of("/aged", 100)))
    first, second = await page.loads(url, 2)
    assert (first.wire_status, second.wire_status) == (200, 304)
    assert second.sent["if-none-match"] == first.fields["etag"] == second.fields["etag"]
    assert int(second.fields["age"]) >= 100
    assert second.fields["cache-status"].startswith("Lockgate; hit")
    assert place.asked("/aged") == 1


async def test_what_must_be_validated_each_time_is_answered_304_until_it_changes(
    place: Place, page: Page
) -> None:
    await page.go(place.url("/"))
    url = place.url("/checked?size=100&etag=1&cc=no-cache")
    old, new = text(body_of("/checked", 100)), text(body_of("/checked", 100, version=1))
    for _ in range(2):
        assert (await page.fetch(url))["body"] == old
    place.touch("/checked")
    told = await page.fetch(url)
    assert (told["status"], told["body"]) == (200, new)
    assert [load.wire_status for load in await page.loads(url, 3)] == [200, 304, 200]
    # Each time the origin was asked, with the entity tag, and sent the body only when it was another.
    assert place.counted("/checked")["statuses"] == {"200": 2, "304": 1}


async def test_a_script_gets_a_part_out_of_what_is_stored(place: Place, page: Page) -> None:
    await page.go(place.url("/"))
    url = place.url("/parts?size=10000&etag=1&cc=max-age=600")
    whole = body_of("/parts", 10_000)
    # The browser would cut the part out of a copy of its own: somebody else has Lockgate store it.
    assert await asyncio.to_thread(place.taken, url) == whole
    told = await page.fetch(url, range="bytes=4000-4999")
    assert (told["status"], told["body"]) == (206, text(whole[4000:5000]))
    assert told["fields"]["content-range"] == "bytes 4000-4999/10000"
    (*_, load) = await page.loads(url, 1)
    assert load.wire_status == 206
    assert place.asked("/parts") == 1


async def test_a_player_seeks_in_what_nginx_was_asked_for_once(files: Place, page: Page) -> None:
    await page.go(files.url("/page.html"))
    url = files.url("/sound.wav")
    # Stored as a whole: far ahead of a fill on its way, a part is asked for by itself.
    assert len(await asyncio.to_thread(files.taken, url)) == len(sound(seconds=SECONDS))
    seconds = await page.run(
        f"""new Promise((done, failed) => {{
            const player = document.createElement('audio');
            player.preload = 'metadata';
            player.onerror = () => failed(player.error.message);
            player.onloadedmetadata = () => {{
                player.onseeked = () => done([player.duration, player.currentTime]);
                player.currentTime = 2500;
            }};
            player.src = '{url}';
            document.body.append(player);
        }})"""
    )
    assert seconds == [SECONDS, 2500]
    # It may take what it has already out of its own cache; the end it has to ask for.
    loads = [load for load in await page.loads(url, 2) if not load.from_cache]
    length = len(sound(seconds=SECONDS))
    assert {load.wire_status for load in loads} == {206}
    assert all(load.fields["content-range"].endswith(f"/{length}") for load in loads)
    begins = [int(load.sent["range"].removeprefix("bytes=").partition("-")[0]) for load in loads]
    assert max(begins) > length // 2
    assert files.asked("/sound.wav") == 1
