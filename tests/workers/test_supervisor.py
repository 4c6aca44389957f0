"""The supervisor from outside: signals, workers that end, reloads, upgrades."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

import pytest

from tests.origin.waiting import until
from tests.server.processes import launched
from tests.server.stage import Stage, connected
from tests.workers.supervised import Supervised, children, end, state_of, supervised

pytestmark = pytest.mark.slow

FRESH = {"cache_control": "max-age=600"}
SMALL = {"max_bytes": 2**24, "max_entry_bytes": 2**20, "min_free_bytes": 0}


async def restarted(made: Supervised, times: int = 1) -> None:
    await made.process.says("worker_started slot=", times=times)


# Workers


async def test_all_workers_serve_one_cache_and_are_read_as_one(scene: Stage, tmp_path: Path) -> None:
    scene.origin.on("GET /a").reply(200, b"A", **FRESH)
    async with supervised(scene, tmp_path, workers=3) as made:
        assert len(made.pids) == 3
        for _ in range(12):
            await scene.client(made.address).send("GET /a").expect(200, b"A")
        statistics = await made.statistics()
        assert statistics["proxy"]["exchanges"]["requests"] == 12
        assert statistics["workers"] == {"running": 3, "ready": 3, "restarts": 0, "killed_at_purges": 0}
        _, metrics = await made.ask("/metrics")
        assert "lockgate_connections_accepted_total 12.0\n" in metrics
        assert await made.ask("/healthz") == (200, "ok\n")


async def test_a_worker_that_ends_is_followed_by_another_and_its_counters_stay(
    scene: Stage, tmp_path: Path
) -> None:
    scene.origin.on("GET /a").reply(200, b"A", **FRESH)
    async with supervised(scene, tmp_path, workers=2) as made:
        for _ in range(8):
            await scene.client(made.address).send("GET /a").expect(200, b"A")
        before = await made.statistics()
        gone = made.pids[0]
        end(gone)
        await restarted(made)
        after = await made.statistics()

        assert gone not in made.pids
        assert len(made.pids) == 2
        assert before["proxy"]["exchanges"]["requests"] == after["proxy"]["exchanges"]["requests"] == 8
        assert after["workers"]["restarts"] == 1
        assert f"worker_ended slot=0 pid={gone} status=-9" in made.process.said


async def test_connections_to_a_slot_without_a_worker_wait_for_the_next(scene: Stage, tmp_path: Path) -> None:
    scene.origin.on("GET /a").reply(200, b"A", **FRESH)
    async with supervised(scene, tmp_path, workers=1) as made:
        end(made.pids[0])
        await scene.client(made.address).send("GET /a").expect(200, b"A")


async def test_one_that_is_told_to_stop_drains_and_another_follows(scene: Stage, tmp_path: Path) -> None:
    held = scene.origin.on("GET /a").hold().reply(200, b"A", **FRESH)
    scene.origin.on("GET /b").reply(200, b"B", **FRESH)
    async with supervised(scene, tmp_path, workers=1) as made:
        idle = scene.client(made.address)
        await idle.send("GET /b").expect(200, b"B")
        client = scene.client(made.address).send("GET /a")
        await until(lambda: held.held == 1)
        end(made.pids[0], signal.SIGTERM)
        await idle.closed()  # so it drains
        held.release()
        await client.expect(200, b"A", connection="close")
        await restarted(made)
        assert "status=0" in made.process.said


async def test_a_worker_that_does_not_answer_is_killed(scene: Stage, tmp_path: Path) -> None:
    workers = {"count": 2, "health_interval_s": 0.1, "health_timeout_s": 0.5}
    async with supervised(scene, tmp_path, workers=workers) as made:
        silent = made.pids[1]
        end(silent, signal.SIGSTOP)
        await made.process.says(f"worker_silent slot=. pid={silent}")
        await restarted(made)
        assert state_of(silent) == ""


async def test_no_worker_outlives_a_supervisor_that_was_killed(scene: Stage, tmp_path: Path) -> None:
    async with supervised(scene, tmp_path, workers=3) as made:
        workers = made.pids
        end(workers[0], signal.SIGSTOP)  # it would not see the end of the channel
        end(made.process.pid)
        await made.process.ended()
        await until(lambda: not any(state_of(pid) not in ("", "Z") for pid in workers))


async def test_what_keeps_the_workers_from_starting_is_told_in_one_line(scene: Stage, tmp_path: Path) -> None:
    taken = tmp_path / "disk"
    (taken / "worker-1").mkdir(parents=True)
    (taken / "worker-1" / "foreign").touch()
    file = tmp_path / "f.yaml"
    file.write_text(
        f"origins: {{shop: {{addresses: ['{scene.origin.url}']}}}}\n"
        "routes: [{origin: shop}]\nworkers: {count: 2}\nadmin: {enabled: false}\n"
        f"listen: [{{address: '127.0.0.1:0'}}]\ncache: {{disk: {{directory: '{taken}'}}}}\n"
    )
    async with launched(["serve", "--config", str(file), "--log-level", "error"]) as process:
        assert await process.ended() == 2
    assert process.said.startswith(f"lockgate: cache.disk.directory is {taken}/worker-1, which is neither")
    assert process.said.count("\n") == 1


async def test_a_unix_socket_is_shared_by_the_workers(scene: Stage, tmp_path: Path) -> None:
    scene.origin.on("GET /a").reply(200, b"A", **FRESH)
    path = tmp_path / "s"
    async with supervised(scene, tmp_path, listen=[{"address": f"unix:{path}"}]) as made:
        for _ in range(6):
            await scene.client(f"unix:{path}").send("GET /a").expect(200, b"A")
        made.process.send(signal.SIGTERM)
        assert await made.process.ended() == 0
    assert not path.exists()


# Purges


async def test_a_purge_is_acknowledged_by_all(scene: Stage, tmp_path: Path) -> None:
    scene.origin.on("GET /a").reply(200, b"old", **FRESH)
    async with supervised(scene, tmp_path, workers=3) as made:
        for _ in range(20):
            await scene.client(made.address).send("GET /a", host="shop.example").expect(200, b"old")
        scene.origin.on("GET /a").reply(200, b"new", **FRESH)
        status, told = await made.ask("/purge", json={"url": "http://shop.example/a"})
        assert status == 200
        assert told["entries"] >= 1
        for _ in range(20):
            await scene.client(made.address).send("GET /a", host="shop.example").expect(200, b"new")
        statistics = await made.statistics()
        assert statistics["proxy"]["purges"]["purges"]["url"] == 1
        assert statistics["proxy"]["memory"]["entries"] >= 1


async def test_a_write_at_one_worker_invalidates_at_all(scene: Stage, tmp_path: Path) -> None:
    scene.origin.on("POST /a").reply(204)
    async with supervised(scene, tmp_path, workers=3) as made:
        for number in range(4):
            body = str(number).encode()
            scene.origin.on("GET /a").reply(200, body, **FRESH)
            for _ in range(8):
                await scene.client(made.address).send("GET /a").expect(200, body)
            scene.origin.on("GET /a").reply(200, str(number + 1).encode(), **FRESH)
            await scene.client(made.address).send("POST /a", b"x").expect(204)
        for _ in range(8):
            await scene.client(made.address).send("GET /a").expect(200, b"4")
        counted = (await made.statistics())["proxy"]["purges"]["purges"]
        assert counted["invalidation"] == 4


async def test_a_worker_that_hangs_is_killed_at_the_deadline_and_the_purge_acknowledged(
    scene: Stage, tmp_path: Path
) -> None:
    workers = {"count": 2, "purge_timeout_s": 0.5}
    async with supervised(scene, tmp_path, workers=workers) as made:
        hanging = made.pids[0]
        end(hanging, signal.SIGSTOP)
        status, _ = await made.ask("/purge", json={"everything": True})
        assert status == 200
        assert state_of(hanging) == ""
        assert f"purge_not_confirmed slot=0 pid={hanging}" in made.process.said
        await restarted(made)
        assert (await made.statistics())["workers"]["killed_at_purges"] == 1


async def test_what_was_purged_without_a_worker_does_not_come_back_from_its_disk(
    scene: Stage, tmp_path: Path
) -> None:
    scene.origin.on("GET /a").reply(200, b"old", surrogate_key="t", **FRESH)
    disk = {
        "directory": str(tmp_path / "cache"),
        "max_bytes": 2**24,
        "max_entry_bytes": 2**20,
        "min_free_bytes": 0,
    }
    async with supervised(scene, tmp_path, workers=1, cache={"disk": disk}) as made:
        await scene.client(made.address).send("GET /a").expect(200, b"old")
        while (await made.statistics())["proxy"]["disk"]["stores"] != 1:
            pass
        end(made.pids[0])
        await made.process.says("worker_ended")
        status, _ = await made.ask("/purge", json={"tag": "t"})
        assert status == 200
        scene.origin.on("GET /a").reply(200, b"new", **FRESH)
        await restarted(made)
        await scene.client(made.address).send("GET /a").expect(200, b"new")
    assert not list((tmp_path / "cache").glob("*.missed*"))


# Reload


async def test_a_reload_changes_all_workers(scene: Stage, tmp_path: Path) -> None:
    scene.origin.on("GET /a").reply(200, b"A", **FRESH)
    async with supervised(scene, tmp_path, workers=3) as made:
        await scene.client(made.address).send("GET /a").expect(200, b"A")
        pids = made.pids
        made.write(routes=[{"origin": "shop", "path": "/a"}])
        made.process.send(signal.SIGHUP)
        await made.process.says("reloaded file=")
        for _ in range(9):
            await scene.client(made.address).send("GET /b").expect(404)
            await scene.client(made.address).send("GET /a").expect(200, b"A")
        assert made.pids == pids
        end(pids[0])
        await restarted(made)
        for _ in range(9):
            await scene.client(made.address).send("GET /b").expect(404)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"nonsense": 1}, r"lockgate\.yaml:\d+:1: nonsense is not a setting"),
        ({"cache": {"max_bytes": 2**30}}, r"lockgate\.yaml:\d+:\d+: cache\.max_bytes cannot change while"),
        (
            {"origins": {"shop": {"addresses": ["https://a"], "tls": {"ca_file": "/none"}}}},
            r"origins?.*shop.*/none",
        ),
    ],
)
async def test_a_reload_that_cannot_be_changes_nothing(
    scene: Stage, tmp_path: Path, changed: dict[str, object], told: str
) -> None:
    scene.origin.on("GET /b").reply(200, b"B")
    async with supervised(scene, tmp_path, workers=2) as made:
        made.write(routes=[{"origin": "shop", "path": "/a"}], **changed)
        made.process.send(signal.SIGHUP)
        await made.process.says("reload_refused, nothing was changed")
        await made.process.says(told)
        for _ in range(6):
            await scene.client(made.address).send("GET /b").expect(200, b"B")


# Upgrade


async def test_an_upgrade_keeps_the_process_the_port_and_the_counters(scene: Stage, tmp_path: Path) -> None:
    scene.origin.on("GET /a").reply(200, b"A", **FRESH)
    held = scene.origin.on("GET /held").hold().reply(200, b"H", **FRESH)
    async with supervised(scene, tmp_path, workers=1) as made:
        idle = scene.client(made.address)
        await idle.send("GET /a").expect(200, b"A")
        running = scene.client(made.address).send("GET /held")
        await until(lambda: held.held == 1)
        old, pid, address = made.pids, made.process.pid, made.address

        made.write(workers={"count": 3})
        made.process.send(signal.SIGUSR2)
        await made.process.says("^  workers    3")

        assert made.process.pid == pid
        assert made.address == address
        asked = 1
        while (await idle.send("GET /a").response()).field("connection") != "close":
            asked += 1  # its worker has not heard yet that it is to leave
        await scene.client(made.address).send("GET /a").expect(200, b"A")
        held.release()
        await running.expect(200, b"H", connection="close")
        await made.process.says("the last of the old workers is gone")
        assert len(made.pids) == 3
        assert not set(made.pids) & set(old)
        requests = (await made.statistics())["proxy"]["exchanges"]["requests"]
        assert requests == asked + 3


async def test_a_version_that_cannot_run_is_not_taken(scene: Stage, tmp_path: Path) -> None:
    scene.origin.on("GET /a").reply(200, b"A")
    async with supervised(scene, tmp_path, workers=2) as made:
        pids = made.pids
        made.write(nonsense=1)
        made.process.send(signal.SIGUSR2)
        await made.process.says("upgrade_given_up")
        assert "nonsense is not a setting" in made.process.said
        assert made.pids == pids
        await scene.client(made.address).send("GET /a").expect(200, b"A")


async def test_a_version_whose_workers_cannot_start_leaves_those_of_before(
    scene: Stage, tmp_path: Path
) -> None:
    scene.origin.on("GET /a").reply(200, b"A")
    async with supervised(scene, tmp_path, workers=2) as made:
        pids = made.pids
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            made.write(listen=[{"address": "127.0.0.1:0"}, {"address": address}])
            made.process.send(signal.SIGUSR2)
            await made.process.says("upgrade_failed, the workers of before stay: cannot listen on")
        assert made.pids == pids
        await scene.client(made.address).send("GET /a").expect(200, b"A")
        end(pids[0])
        await restarted(made)
        await scene.client(made.address).send("GET /a").expect(200, b"A")


async def test_the_disk_tier_is_handed_over(scene: Stage, tmp_path: Path) -> None:
    scene.origin.on("GET /a").reply(200, b"A", **FRESH)
    disk = {
        "directory": str(tmp_path / "cache"),
        "max_bytes": 2**24,
        "max_entry_bytes": 2**20,
        "min_free_bytes": 0,
    }
    async with supervised(scene, tmp_path, workers=1, cache={"disk": disk}, shutdown_timeout_s=0.5) as made:
        await scene.client(made.address).send("GET /a").expect(200, b"A")
        while (await made.statistics())["proxy"]["disk"]["stores"] != 1:
            pass
        made.process.send(signal.SIGUSR2)
        await made.process.says("the last of the old workers is gone")
        while not ((await made.statistics())["proxy"]["disk"] or {}).get("entries"):
            pass
        await scene.client(made.address).send("GET /a").expect(200, b"A")
    assert scene.origin.asked("GET /a") == 1


# The end


async def test_nothing_is_left_after_the_end(scene: Stage, tmp_path: Path) -> None:
    async with supervised(scene, tmp_path, workers=3) as made:
        workers = made.pids
        address = made.address
        made.process.send(signal.SIGTERM)
        assert await made.process.ended() == 0
        assert [state_of(pid) for pid in workers] == ["", "", ""]
        with pytest.raises(ConnectionRefusedError):
            await connected(address, scene.transcript)


async def test_a_stop_while_it_starts_ends_it(scene: Stage, tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(
        f"origins: {{shop: {{addresses: ['{scene.origin.url}']}}}}\n"
        "routes: [{origin: shop}]\nworkers: {count: 2}\nadmin: {enabled: false}\n"
        "listen: [{address: '127.0.0.1:0'}]\n"
    )
    async with launched(["serve", "--config", str(file)]) as process:
        while not children(process.pid):  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(0)
        process.send(signal.SIGTERM)
        assert await process.ended() == 0


# Writes


@pytest.mark.parametrize("workers", [1, 3])
async def test_orders_about_writes_find_the_worker_that_has_them(
    scene: Stage, tmp_path: Path, workers: int
) -> None:
    scene.origin.on("PUT /a").reply(204)
    settings = {
        "routes": [{"origin": "shop", "writes": {"mode": "async", "settle_s": 0}}],
        "writes": {"journal": {"directory": str(tmp_path / "journal"), "min_free_bytes": 0}},
    }
    async with supervised(scene, tmp_path, workers=workers, **settings) as made:
        assert (await made.ask("/writes/keys", json={"key": "/a", "do": "pause"}))[0] == 200
        for _ in range(4):  # at whichever worker a client is
            await scene.client(made.address).send("PUT /a", b"1").expect(202)
        before = (await made.ask("/writes"))[1]["writes"]
        assert len(before) == 4
        assert (await made.statistics())["writes"]["lanes"]["deepest_lane"] == 4
        status, told = await made.ask("/writes/none/replay", json={})
        assert (status, "no dead letter" in told["detail"]) == (404, True)

        for pid in made.pids:
            end(pid)
        await restarted(made, times=workers)
        page = {"recovering": True}
        while page["recovering"]:
            page = (await made.ask("/writes"))[1]
        assert [write["id"] for write in page["writes"]] == [write["id"] for write in before]
        assert (await made.ask("/writes/keys", json={"key": "/a", "do": "resume"}))[0] == 200
        ended, after = [], "all"
        while len(ended) < 4:
            page = (await made.ask(f"/writes/events?after={after}&wait=20"))[1]
            ended += [event["id"] for event in page["events"] if "gap" not in event]
            after = page["after"]
        assert ended == [write["id"] for write in before]
