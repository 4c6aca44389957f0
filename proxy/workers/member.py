"""One worker, as its supervisor sees it: its process, its end of the control channel, and what it told last.

    starting ──► ready ──► leaving ──► gone
        └──────────┴──────────────────►

It is `gone` when its process was waited for; nothing else of it is left then.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from proxy.errors import ProxyError
from proxy.server.server import ServerStatistics
from proxy.workers.channel import AskRefused, Channel, ChannelClosed
from proxy.workers.frames import Message
from proxy.workers.handover import KeptMember
from proxy.workers.plain import made, plain
from proxy.workers.process import ChildProcess, control_pair, start_python

logger = logging.getLogger(__name__)

MODULE = "proxy.workers.worker"

Asked = Callable[["Member", str, Message], Awaitable[Message]]
"""Answers what a worker asks the supervisor."""


class State(StrEnum):
    """Of a worker; see the module's head."""

    STARTING = "starting"
    READY = "ready"
    LEAVING = "leaving"
    GONE = "gone"


class StartFailed(ProxyError):
    """A worker could not start; the text is what it said, empty if it ended without a word."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """With what every worker is started."""

    event_loop: str
    log_level: str
    files: int


class Member:
    """A worker in one slot.

    `holds_disk` says that the slot's disk tier is this worker's, `holds_writes` that it has the writes of
    all, or was told to take them.
    """

    def __init__(self, slot: int, process: ChildProcess, channel: Channel) -> None:
        self.slot = slot
        self.process = process
        self.channel = channel
        self.state = State.STARTING
        self.holds_disk = False
        self.holds_writes = False
        self.version = 0
        """Which of its crew's configurations it was started with, or was changed to."""
        self.connections = 0
        self.latest: ServerStatistics | None = None
        loop = asyncio.get_running_loop()
        self.ready_mono: float | None = None
        self.heard_mono = loop.time()
        process.ended.add_done_callback(lambda _ended: self._gone())

    def __repr__(self) -> str:
        return f"<Member slot={self.slot} pid={self.process.pid} {self.state}>"

    @classmethod
    async def spawned(
        cls, slot: int, *, parent: int, options: WorkerOptions, fds: Sequence[int], asked: Asked
    ) -> Member:
        """A worker's process with these listening sockets, which has not been told to start."""
        ours, theirs = control_pair()
        with theirs:
            number = theirs.fileno()
            arguments = [f"--control={number}", f"--parent={parent}", f"--files={options.files}"]
            arguments += [f"--event-loop={options.event_loop}", f"--log-level={options.log_level}"]
            process = start_python(MODULE, arguments, [number, *fds])
        member: Member

        async def answer(verb: str, body: Message) -> Message:
            return await asked(member, verb, body)

        channel = await Channel.over(ours, answer, name=f"worker {slot}")
        member = cls(slot, process, channel)
        return member

    @classmethod
    async def adopted(cls, kept: KeptMember, *, asked: Asked) -> Member:
        """A worker that the program before this one has started; its channel holds until it is to go on."""
        process = ChildProcess(kept.pid)
        sock = socket.socket(fileno=kept.fd)
        sock.set_inheritable(False)
        member: Member

        async def answer(verb: str, body: Message) -> Message:
            return await asked(member, verb, body)

        channel = await Channel.over(sock, answer, name=f"worker {kept.slot}", asked=kept.asked, held=True)
        member = cls(kept.slot, process, channel)
        member.state = State(kept.state)
        member.holds_disk = kept.holds_disk
        member.holds_writes = kept.holds_writes
        member.connections = kept.connections
        member.ready_mono = member.heard_mono
        if kept.latest is not None:
            member.latest = made(ServerStatistics, kept.latest)
        if kept.rest:
            channel.data_received(bytes.fromhex(kept.rest))
        return member

    def kept(self) -> KeptMember:
        """What the next program needs to adopt it; its channel is paused from here on."""
        return KeptMember(
            slot=self.slot,
            pid=self.process.pid,
            rest=self.channel.pause().hex(),
            fd=self.channel.fileno(),
            asked=self.channel.asked,
            holds_disk=self.holds_disk,
            holds_writes=self.holds_writes,
            state=self.state,
            connections=self.connections,
            latest=plain(self.latest),
        )

    def _gone(self) -> None:
        self.state = State.GONE
        self.holds_disk = False
        self.channel.close()

    @property
    def alive(self) -> bool:
        """Whether it may still hold something that a purge covers."""
        return self.state is not State.GONE

    @property
    def served_s(self) -> float:
        """Since it was ready; 0 if it never was."""
        return 0.0 if self.ready_mono is None else asyncio.get_running_loop().time() - self.ready_mono

    async def start(self, body: Message, *, timeout_s: float) -> None:
        """Tell it to start, and wait until it serves. Raises: StartFailed; it is gone then."""
        try:
            told = await self.channel.ask("start", body, timeout_s=timeout_s)
        except AskRefused as error:
            await self.kill()
            raise StartFailed(str(error)) from None
        except ChannelClosed:
            await self.kill()
            raise StartFailed("") from None
        except TimeoutError:
            await self.kill()
            raise StartFailed(f"a worker was not ready within {timeout_s:g} s") from None
        self.connections = int(told["connections"])
        self.holds_disk = bool(told["disk"])
        if self.state is State.STARTING:
            self.state = State.READY
            self.ready_mono = self.heard_mono = asyncio.get_running_loop().time()

    async def tell(self, *, timeout_s: float) -> ServerStatistics | None:
        """Its statistics now, else the latest that it told; None before the first."""
        if self.state is State.STARTING:
            return self.latest
        try:
            told = await self.channel.ask("statistics", timeout_s=timeout_s)
        except (TimeoutError, ChannelClosed, AskRefused):
            return self.latest
        self.heard(told["statistics"])
        return self.latest

    def heard(self, statistics: object) -> None:
        """It told its statistics."""
        self.latest = made(ServerStatistics, statistics)
        self.heard_mono = asyncio.get_running_loop().time()

    async def leave(self, *, handed_over: bool, timeout_s: float) -> None:
        """Have it drain, with a successor at its sockets or without, and wait until it is gone."""
        self.state = State.LEAVING if self.alive else State.GONE
        await self._end("drain", {"handed_over": handed_over}, timeout_s)

    async def cut(self, *, timeout_s: float) -> None:
        """Have it end at once, and wait until it is gone."""
        self.state = State.LEAVING if self.alive else State.GONE
        await self._end("cut", {}, timeout_s)

    async def _end(self, verb: str, body: Message, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                told = await self.channel.ask(verb, body)
                self.heard(told["statistics"])
                await asyncio.shield(self.process.ended)
        except (TimeoutError, ChannelClosed, AskRefused) as error:
            if not self.process.ended.done():
                logger.warning("worker_cut slot=%d pid=%d error=%r", self.slot, self.process.pid, error)
        await self.kill()

    async def kill(self) -> None:
        """End it, whatever it does, and wait until it is gone."""
        self.process.send(signal.SIGKILL)
        await asyncio.shield(self.process.ended)
