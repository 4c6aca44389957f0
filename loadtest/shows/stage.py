"""Where the shows are played: the origin stub and a `lockgate serve` before it, each a process of its own.

What the origin was asked is told by the origin; what a client got is what came over its socket.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from loadtest.bench.herd import HerdResult, percentile, stampede
from loadtest.processes import Server, StubControl, free_port, lockgate_command, serving, stub_command

_TIMEOUT = aiohttp.ClientTimeout(total=60)
_UNTIL_S = 30.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Answer:
    """What one client got; `took_s` from the request to the last octet."""

    status: int
    fields: Mapping[str, str]
    body: bytes
    took_s: float

    @property
    def cache_status(self) -> str:
        """The field Cache-Status, empty where there is none."""
        return self.fields.get("Cache-Status", "")

    @property
    def age_s(self) -> int:
        """The field Age; -1 where there is none."""
        return int(self.fields.get("Age", "-1"))


class Stage:
    """Both servers while they run, and clients to send to them; made by `staged()`."""

    def __init__(self, origin: Server, lockgate: Server, admin: str, session: aiohttp.ClientSession) -> None:
        self.origin = origin
        self.lockgate = lockgate
        self._admin = admin
        self._session = session
        self._control = StubControl(origin.url)

    async def ask(self, target: str, *, method: str = "GET", **fields: str) -> Answer:
        """One request to Lockgate; `accept_language="de"` sends that field."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        began = time.perf_counter()
        async with self._session.request(method, self.lockgate.url + target, headers=headers) as response:
            body = await response.read()
            return Answer(response.status, response.headers, body, time.perf_counter() - began)

    async def herd(self, target: str, clients: int, body: bytes) -> HerdResult:
        """So many clients in one instant, each of which must get this body."""
        return await stampede(self.lockgate.port, target, clients, body)

    async def purge(self, **order: object) -> int:
        """Purge by the admin API; gives how many responses it covered, once it holds."""
        async with self._session.post(f"{self._admin}/purge", json=order) as response:
            response.raise_for_status()
            told: dict[str, Any] = await response.json()
        return int(told["entries"])

    async def tell_origin(self, name: str, **arguments: object) -> None:
        """A change at the origin, as `origin_stub.control` has them: `touch`, `fail`, `hold`, ..."""
        async with self._session.post(f"{self.origin.url}/_stub/{name}", json=arguments) as response:
            response.raise_for_status()

    async def counted(self, path: str) -> dict[str, Any]:
        """What the origin counted of a path, as `origin_stub.counters.PathCounter` has it."""
        async with self._session.get(f"{self.origin.url}/_stub/counters", params={"path": path}) as response:
            told: dict[str, Any] = await response.json()
        return told

    async def all_counted(self) -> dict[str, dict[str, Any]]:
        """The same of all paths that were asked for."""
        async with self._session.get(f"{self.origin.url}/_stub/counters") as response:
            told: dict[str, dict[str, Any]] = await response.json()
        return told

    async def fetches(self, path: str) -> int:
        """Requests for the path that reached the origin."""
        return int((await self.counted(path))["requests"])

    async def held(self, path: str) -> int:
        """Requests that stand at the origin's barrier of the path."""
        async with self._session.get(f"{self.origin.url}/_stub/held", params={"path": path}) as response:
            return int((await response.json())["held"])

    async def until(self, condition: Callable[[], Any]) -> None:
        """Ask an awaitable condition again and again until it holds. Raises: TimeoutError."""
        async with asyncio.timeout(_UNTIL_S):
            while not await condition():  # noqa: ASYNC110  # of other processes: no event of ours
                await asyncio.sleep(_POLL_S)

    async def explain(self, target: str) -> dict[str, Any]:
        """What `lockgate explain` tells of a GET of the target; nothing happens by it."""
        parameters = {"url": self.lockgate.url + target}
        async with self._session.get(f"{self._admin}/explain", params=parameters) as response:
            response.raise_for_status()
            told: dict[str, Any] = await response.json()
        return told

    async def until_stale(self, target: str) -> None:
        """Wait until what is stored for the target is stale, without asking for it."""

        async def is_stale() -> bool:
            stored = (await self.explain(target))["stored"]
            return stored is not None and float(stored["ttl_s"]) <= 0

        await self.until(is_stale)


@asynccontextmanager
async def staged(
    *,
    route: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    **settings: object,
) -> AsyncIterator[Stage]:
    """Both servers for the length of an `async with`; `settings` are sections of the configuration.

    Raises: NotStarted.
    """
    origin_port, port, admin_port = free_port(), free_port(), free_port()
    config: dict[str, object] = {
        "listen": [{"address": f"127.0.0.1:{port}", "backlog": 16384}],
        "admin": {"address": f"127.0.0.1:{admin_port}", "request_rate": 1_000_000},
        "access_log": {"enabled": False},
        "origins": {"stub": {"addresses": [f"http://127.0.0.1:{origin_port}"]}},
        "routes": [{"origin": "stub", **(route or {})}],
        **settings,
    }
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lockgate-show-")))
        file = directory / "lockgate.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        origin = stack.enter_context(serving("show-origin", stub_command(origin_port), origin_port))
        lockgate = stack.enter_context(
            serving("show-lockgate", lockgate_command("--config", str(file)), port, environ=environ)
        )
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector, timeout=_TIMEOUT, auto_decompress=False
        ) as session:
            yield Stage(origin, lockgate, f"http://127.0.0.1:{admin_port}", session)


def whole(result: HerdResult) -> str:
    """How many of a herd got status 200 and the expected body."""
    right = max(0, result.statuses[200] - result.wrong_bodies)
    return f"{right:,} of {result.clients:,}"


def times(values_s: list[float]) -> str:
    """Median, 99th percentile and the longest, of times in seconds."""
    ordered = sorted(values_s)
    p50_ms, p99_ms, longest_ms = (percentile(ordered, share) * 1000 for share in (0.5, 0.99, 1))
    return f"p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, max {longest_ms:.1f} ms"


def scaled(count: int, size: float, *, at_least: int = 1) -> int:
    """A share of the full count."""
    return max(at_least, round(count * size))
