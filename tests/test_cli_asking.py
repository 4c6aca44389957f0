"""`lockgate purge` and `lockgate explain`, as processes that ask another."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server.processes import Process, launched, serving
from tests.server.stage import Stage

TOKEN = "0123456789abcdef"
pytestmark = pytest.mark.slow


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    await made.origin.listen()
    yield made
    await made.close()


@dataclass
class Ended:
    """A command that has ended."""

    status: int
    output: str
    said: str


async def command(*arguments: str) -> Ended:
    async with launched(arguments) as process:
        status = await process.ended()
        ended = Ended(status, await process.output(), process.said)
    assert "Traceback" not in ended.said
    return ended


async def _filled(stage: Stage, process: Process, *targets: str) -> None:
    client = stage.client(process.addresses[0])
    for target in targets:
        stage.origin.on(f"GET {target}").reply(200, b"A", cache_control="max-age=60", surrogate_key="t")
        await client.send(f"GET {target}").expect(200, b"A")


def _settings(stage: Stage) -> dict[str, object]:
    return {"origins": {"shop": {"addresses": [stage.origin.url]}}, "routes": [{"origin": "shop"}]}


async def test_what_is_stored_is_explained_and_purged(stage: Stage, tmp_path: Path) -> None:
    async with serving(tmp_path, **_settings(stage)) as process:
        await _filled(stage, process, "/a", "/b")
        url, admin = "http://shop.example/a", ("--admin", process.admin)

        explained = await command("explain", url, "-H", "Accept-Language: de", *admin)
        assert (explained.status, explained.said) == (0, "")
        assert explained.output.startswith("hit  ")
        assert "(max-age)" in explained.output

        as_json = await command("explain", url, "--json", *admin)
        assert json.loads(as_json.output)["stored"]["labels"] == ["t"]

        soft = await command("purge", "--url", url, "--soft", *admin)
        assert (soft.status, soft.output.partition(" (")[0]) == (0, "made 1 response stale")

        hard = await command("purge", "--tag", "none", "t", "--json", *admin)
        assert json.loads(hard.output)["entries"] == 2

        refused = await command("purge", "--pattern", "(", *admin)
        assert (refused.status, refused.output) == (1, "")
        assert refused.said.startswith("lockgate: refused (400): the pattern '(' is no regular expression")


async def test_the_token_comes_from_the_environment(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(stage) | {"admin": {"address": "127.0.0.1:0", "token": "${LOCKGATE_ADMIN_TOKEN}"}}
    monkeypatch.setenv("LOCKGATE_ADMIN_TOKEN", TOKEN)
    async with serving(tmp_path, **settings) as process:
        assert (await command("purge", "--everything", "--admin", process.admin)).status == 0
        monkeypatch.setenv("LOCKGATE_ADMIN_TOKEN", "")
        denied = await command("purge", "--everything", "--admin", process.admin)
        assert denied.status == 1
        assert "needs the token of admin.token" in denied.said
        given = await command("purge", "--everything", "--admin", process.admin, "--token", TOKEN)
        assert given.status == 0
        assert TOKEN not in process.said


async def test_without_a_running_one_that_is_told(tmp_path: Path) -> None:
    ended = await command("explain", "http://a/", "--admin", f"unix:{tmp_path}/none")
    assert (ended.status, ended.output) == (1, "")
    assert "no admin listener answers at unix:" in ended.said
    assert "Is Lockgate running?" in ended.said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("purge",), "one of the arguments --url --tag --prefix --pattern --everything is required"),
        (("purge", "--url", "http://a/", "--everything"), "not allowed with argument"),
        (("purge", "--everything", "--sofr"), "did you mean --soft?"),
        (("purge", "--everything", "--admin", "9901"), "--admin is '9901': write HOST:PORT"),
        (("purge", "--everything", "--token", "a b"), "the token holds spaces"),
        (("explain",), "the following arguments are required: URL"),
    ],
    ids=lambda value: " ".join(value)[:30],
)
async def test_wrong_use_is_told(arguments: tuple[str, ...], told: str) -> None:
    ended = await command(*arguments)
    assert ended.status == 2
    assert told in ended.said
