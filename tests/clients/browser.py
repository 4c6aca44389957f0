"""Chromium without a window, driven by the DevTools protocol over its own websocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

_TIMEOUT_S = 30.0
_ADDRESS = "DevTools listening on "
_OPTIONS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pings",
    # All there is to reach is on this machine; what else it may want to ask is answered by nobody.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)


@dataclass(slots=True)
class Load:
    """One request of a page as the browser tells of it."""

    url: str = ""
    status: int = 0
    """What the page is told: a 304 is a 200 to it."""
    wire_status: int = 0
    """What came over the network; 0 if nothing did."""
    fields: dict[str, str] = field(default_factory=dict)
    """Fields of the response on the network, names in lower case."""
    sent: dict[str, str] = field(default_factory=dict)
    """Fields of the request on the network, names in lower case."""
    from_cache: bool = False
    """Whether it was answered from the browser's cache without asking."""

    @property
    def is_told(self) -> bool:
        """Whether the answer has begun, and the browser has told all that it tells of it."""
        return bool(self.status) and (self.from_cache or bool(self.wire_status and self.sent))


class Page:
    """A tab. Raises from every call: TimeoutError if the browser does not answer."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._session_id: str | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._changed = asyncio.Condition()
        self._loads: dict[str, Load] = {}

    async def begin(self) -> None:
        """Open the tab and listen to its network."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session_id = attached["sessionId"]
        for domain in ("Network", "Page", "Runtime"):
            await self.call(f"{domain}.enable")

    async def read(self) -> None:
        """Take what the browser says until it closes."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            else:
                self._note(told.get("method", ""), told["params"])
                async with self._changed:
                    self._changed.notify_all()

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command, and its result."""
        number = len(self._answers) + 1
        while number in self._answers:
            number += 1
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if self._session_id is not None:
            message["sessionId"] = self._session_id
        async with asyncio.timeout(_TIMEOUT_S):
            await self._socket.send_json(message)
            told = await answer
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    async def go(self, url: str) -> None:
        """Load a page, and wait until it is there."""
        await self.call("Page.navigate", url=url)
        await self.run("new Promise(done => { if (document.readyState === 'complete') done(true);"
                       " else addEventListener('load', () => done(true)); })")  # fmt: skip

    async def run(self, script: str) -> Any:
        """What the script evaluates to in the page, as JSON has it; promises are awaited."""
        told = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def fetch(self, url: str, **fields: str) -> dict[str, Any]:
        """`fetch` in the page: status, fields (names in lower case) and body, each octet a character."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        return dict(await self.run(
            f"fetch({json.dumps(url)}, {{headers: {json.dumps(headers)}}}).then(async answer => ({{"
            " status: answer.status, fields: Object.fromEntries(answer.headers),"
            " body: Array.from(new Uint8Array(await answer.arrayBuffer()),"
            " octet => String.fromCharCode(octet)).join('')}))"
        ))  # fmt: skip

    async def loads(self, url: str, count: int) -> list[Load]:
        """The page's requests for the URL that were answered, in order, once there are so many."""

        def answered() -> list[Load]:
            return [load for load in self._loads.values() if load.url == url and load.is_told]

        await self.until(lambda: len(answered()) >= count)
        return answered()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition on what the browser told."""
        async with asyncio.timeout(_TIMEOUT_S), self._changed:
            await self._changed.wait_for(condition)

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if "requestId" not in told or not method.startswith("Network."):
            return
        # What came over the wire is told in events of their own, which may come before the others.
        load = self._loads.setdefault(told["requestId"], Load())
        match method.removeprefix("Network."):
            case "requestWillBeSent":
                load.url = told["request"]["url"]
            case "requestWillBeSentExtraInfo":
                load.sent = _lower(told["headers"])
            case "responseReceivedExtraInfo":
                load.wire_status = told["statusCode"]
                load.fields = _lower(told["headers"])
            case "responseReceived":
                load.status = told["response"]["status"]
                load.from_cache |= told["response"].get("fromDiskCache", False)
            case "requestServedFromCache":
                load.from_cache = True


def _lower(fields: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in fields.items()}


@asynccontextmanager
async def browsing(chromium: str, profile: Path) -> AsyncIterator[Page]:
    """A browser with an empty cache and one tab, for the length of an `async with`."""
    # Its sandbox refuses to run for root, as whom containers and build machines run tests.
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    process = await asyncio.create_subprocess_exec(
        chromium, *_OPTIONS, *sandbox, f"--user-data-dir={profile}", "about:blank",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            address = await _address(process)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, max_msg_size=0) as socket,
        ):
            page = Page(socket)
            reader = asyncio.create_task(page.read())
            rest = asyncio.create_task(_drain(process))
            try:
                await page.begin()
                yield page
            finally:
                for task in (reader, rest):
                    task.cancel()
                await asyncio.gather(reader, rest, return_exceptions=True)
    finally:
        # It has children of its own: all of its session go.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    lines = []
    while line := (await process.stderr.readline()).decode(errors="replace"):
        if line.startswith(_ADDRESS):
            return line.removeprefix(_ADDRESS).strip()
        lines.append(line)
    raise AssertionError(f"the browser ended: {''.join(lines)}")


async def _drain(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    while await process.stderr.read(65536):
        pass
