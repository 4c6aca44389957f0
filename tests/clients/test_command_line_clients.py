"""curl and wget before Lockgate: what they keep of an answer validates there, and parts are parts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from origin_stub import body_of
from tests.clients.conftest import required
from tests.clients.place import Place

pytestmark = pytest.mark.slow


def curl(*arguments: str) -> int:
    """The status that came; the body goes where the arguments say."""
    command = [required("curl", package="curl"), "--silent", "--show-error", "--write-out", "%{http_code}"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=30, check=True)
    return int(done.stdout[-3:])


def test_curl_compares_a_kept_entity_tag(place: Place, profile: Path) -> None:
    url = place.url("/tagged?size=1000&etag=1&cc=max-age=600")
    body, tag = profile / "body", profile / "tag"
    kept = ("--etag-save", str(tag), "--etag-compare", str(tag), "--output", str(body))
    tag.write_text("")
    assert curl(*kept, url) == 200
    assert body.read_bytes() == body_of("/tagged", 1000)
    assert curl(*kept, url) == 304
    assert place.asked("/tagged") == 1


def test_curl_asks_for_what_is_newer_than_its_file(place: Place, profile: Path) -> None:
    url = place.url("/newer?size=1000&lm=86400&cc=max-age=600")
    body = profile / "body"
    assert curl("--remote-time", "--output", str(body), url) == 200
    assert curl("--time-cond", str(body), "--output", str(profile / "again"), url) == 304
    assert not (profile / "again").exists() or not (profile / "again").read_bytes()
    assert place.asked("/newer") == 1


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        pytest.param("100-199", 100, 200, id="from-to"),
        pytest.param("9000-", 9000, 10_000, id="from"),
        pytest.param("-500", 9500, 10_000, id="last"),
    ],
)
def test_curl_gets_a_part(place: Place, profile: Path, wanted: str, start: int, stop: int) -> None:
    url = place.url("/parted?size=10000&etag=1&cc=max-age=600")
    place.taken(url)
    body = profile / "body"
    assert curl("--range", wanted, "--output", str(body), url) == 206
    assert body.read_bytes() == body_of("/parted", 10_000)[start:stop]
    assert place.asked("/parted") == 1


def test_curl_goes_on_where_a_download_broke_off(place: Place, profile: Path) -> None:
    url = place.url("/resumed?size=10000&etag=1&cc=max-age=600")
    body = profile / "body"
    body.write_bytes(place.taken(url)[:4000])
    assert curl("--continue-at", "-", "--output", str(body), url) == 206
    assert body.read_bytes() == body_of("/resumed", 10_000)
    assert place.asked("/resumed") == 1


def wget(directory: Path, *arguments: str) -> str:
    """What it told; files go into the directory."""
    command = [required("wget", package="wget"), "--server-response", "--tries=1", "--no-config"]
    done = subprocess.run(
        [*command, *arguments], cwd=directory, capture_output=True, text=True, timeout=30, check=True
    )
    return done.stderr


def test_wget_takes_a_file_again_only_when_it_is_newer(place: Place, profile: Path) -> None:
    path = "/file"
    url = place.url(f"{path}?size=1000&lm=86400&cc=max-age=600")
    assert "HTTP/1.1 200 OK" in wget(profile, "--timestamping", url)
    (file,) = profile.iterdir()
    assert file.read_bytes() == body_of(path, 1000)
    assert "HTTP/1.1 304 Not Modified" in wget(profile, "--timestamping", url)
    assert file.read_bytes() == body_of(path, 1000)
    assert place.asked(path) == 1


def test_wget_goes_on_where_a_download_broke_off(files: Place, profile: Path) -> None:
    url = files.url("/sound.wav")
    whole = files.taken(url)
    file = profile / "sound.wav"
    file.write_bytes(whole[:100_000])
    assert "HTTP/1.1 206 Partial Content" in wget(profile, "--continue", url)
    assert file.read_bytes() == whole
    assert files.asked("/sound.wav") == 1
