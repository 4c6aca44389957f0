"""A crew: the workers of one generation, one in each slot, under one configuration.

    start    a worker in each slot; all become ready, or none stays
    man      where one ends, another takes its slot, after a delay that grows while they keep failing
    change   another configuration: every worker checks it, then every worker uses it, or none does
    leave    all drain; no slot is manned again

A slot without a worker keeps its sockets, which go on queueing connections for the next one. A worker that
does not answer is killed; nothing else distinguishes it from one that will never answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from proxy.config.settings import WorkersSettings
from proxy.errors import ConfigError
from proxy.tasks import spawn
from proxy.workers.backoff import Backoff
from proxy.workers.channel import AskRefused, ChannelClosed
from proxy.workers.frames import Message
from proxy.workers.member import Asked, Member, StartFailed, State, WorkerOptions
from proxy.workers.sockets import Address
from proxy.workers.source import ConfigSource

logger = logging.getLogger(__name__)

COMMIT_TIMEOUT_S = 10.0
"""For a step in each worker that waits for nothing."""


@dataclass(slots=True)
class Ground:
    """What crews stand on, and what outlives each of them."""

    parent: int
    options: WorkerOptions
    settings: WorkersSettings
    socket_dir: Path
    addresses: list[Address]
    asked: Asked
    ended: Callable[[Member], None]
    """Told of each worker that is gone."""
    disk_is_held: Callable[[int], bool]
    """Whether another worker has the disk tier of this slot."""
    writes_at_start: Callable[[int], Message]
    """What the worker of this slot is told of the writes."""
    manned: Callable[[Member], None]
    """Told of each worker that serves."""
    restarts: int = 0
    members: list[Member] = field(default_factory=list)
    """All that live, of all crews."""


class Crew:
    """See the module's head. `generation` tells its sockets from those of others."""

    def __init__(self, ground: Ground, *, generation: int, source: ConfigSource, slots: int) -> None:
        self.generation = generation
        self.source = source
        self.slots = slots
        self.version = 0
        self.leaving = False
        self._ground = ground
        self._members: dict[int, Member] = {}
        self._manning: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<Crew generation={self.generation} {list(self._members.values())}>"

    @property
    def members(self) -> list[Member]:
        """The workers that live, in the order of their slots."""
        return [member for _, member in sorted(self._members.items()) if member.alive]

    @property
    def ready(self) -> list[Member]:
        """Those that serve."""
        return [member for member in self.members if member.state is State.READY]

    # starting

    async def start(self) -> None:
        """Man every slot. Raises: StartFailed; none of them is left then."""
        told: list[str] | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for slot in range(self.slots):
                    group.create_task(self._manned(slot))
        except* StartFailed as errors:
            told = [str(error) for error in _flat(errors) if str(error)]
        if told is not None:  # not raised from there: up to Python 3.11.2 it would come out as a group
            self.leaving = True
            await asyncio.gather(*(member.kill() for member in self.members))
            raise StartFailed(told[0] if told else "a worker ended before it was ready")
        for slot in range(self.slots):
            self._keep(slot)

    def adopt(self, members: list[Member]) -> None:
        """Take over workers that run already."""
        for member in members:
            self._take(member)
        for slot in range(self.slots):
            self._keep(slot)

    def _keep(self, slot: int) -> None:
        self._manning.append(spawn(self._man(slot), name=f"slot {slot}"))

    def _take(self, member: Member) -> None:
        self._members[member.slot] = member
        self._ground.members.append(member)
        member.process.ended.add_done_callback(lambda _ended: self._lost(member))

    def _lost(self, member: Member) -> None:
        self._ground.members.remove(member)
        if self._members.get(member.slot) is member:
            del self._members[member.slot]
        self._ground.ended(member)

    async def _manned(self, slot: int) -> Member:
        """A worker that serves in this slot. Raises: StartFailed."""
        ground = self._ground
        sockets = [
            [binding.sock.fileno() for binding in address.of_slot(slot, self.slots)]
            for address in ground.addresses
        ]
        member = await Member.spawned(
            slot,
            parent=ground.parent,
            options=ground.options,
            fds=[fd for fds in sockets for fd in fds],
            asked=ground.asked,
        )
        member.version = self.version
        self._take(member)
        place = {
            "slot": slot,
            "slots": self.slots,
            "socket_dir": str(ground.socket_dir),
            "generation": self.generation,
        }
        body: Message = {
            "place": place,
            "source": self.source.message(),
            "sockets": sockets,
            "disk_later": ground.disk_is_held(slot),
            **ground.writes_at_start(slot),
        }
        member.holds_writes = not body["writes_later"]
        await member.start(body, timeout_s=ground.settings.start_timeout_s)
        ground.manned(member)
        return member

    # keeping every slot manned

    async def _man(self, slot: int) -> None:
        ground = self._ground
        backoff = Backoff(max_s=ground.settings.restart_delay_max_s)
        while True:
            member = self._members.get(slot)
            if member is not None:
                status = await asyncio.shield(member.process.ended)
                if self.leaving:
                    return
                backoff = backoff.after(served_s=member.served_s)
                logger.error(
                    "worker_ended slot=%d pid=%d status=%d next_in_s=%g",
                    slot,
                    member.process.pid,
                    status,
                    backoff.delay_s,
                )
            await asyncio.sleep(backoff.delay_s)
            if self.leaving:
                return
            ground.restarts += 1
            backoff = await self._again(slot, backoff)

    async def _again(self, slot: int, backoff: Backoff) -> Backoff:
        try:
            member = await self._manned(slot)
        except StartFailed as error:
            backoff = backoff.after(served_s=0.0)
            logger.error(
                "worker_not_started slot=%d next_in_s=%g error=%s",
                slot,
                backoff.delay_s,
                str(error) or "it ended",
            )
            return backoff
        logger.warning("worker_started slot=%d pid=%d", slot, member.process.pid)
        if member.version != self.version:  # the configuration was changed while it started
            await member.kill()
        return backoff

    # changing

    async def change(self, source: ConfigSource) -> None:
        """Use another configuration. Raises: ConfigError if a worker cannot; none does then."""
        members = self.ready
        try:
            await self._ask_all(members, "prepare", {"source": source.message()})
        except ConfigError:
            await self._told_all(members, {"keep": False})
            raise
        self.source = source
        self.version += 1
        await self._told_all(members, {"keep": True})
        for member in self.members:
            if member.state is State.READY and member.version != self.version:
                await member.kill()

    async def _ask_all(self, members: list[Member], verb: str, body: Message) -> None:
        """Raises: ConfigError if one refused. One that is gone is no obstacle: the next starts anew."""
        timeout_s = self._ground.settings.start_timeout_s
        results = await asyncio.gather(
            *(member.channel.ask(verb, body, timeout_s=timeout_s) for member in members),
            return_exceptions=True,
        )
        for member, result in zip(members, results, strict=True):
            if isinstance(result, AskRefused):
                raise ConfigError(str(result))
            if isinstance(result, TimeoutError):
                raise ConfigError(f"worker {member.slot} did not check it within {timeout_s:g} s")
            if isinstance(result, BaseException) and not isinstance(result, ChannelClosed):
                raise result

    async def _told_all(self, members: list[Member], body: Message) -> None:
        """One that does not follow is killed: it must not go on with another configuration than the rest."""
        version = self.version

        async def told(member: Member) -> None:
            try:
                await member.channel.ask("commit", body, timeout_s=COMMIT_TIMEOUT_S)
                member.version = version
            except (AskRefused, ChannelClosed, TimeoutError) as error:
                logger.error("worker_not_changed slot=%d error=%r: it is killed", member.slot, error)
                await member.kill()

        await asyncio.gather(*(told(member) for member in members))

    async def tell(self, verb: str) -> None:
        """Have all ready workers do something that cannot fail."""
        await asyncio.gather(
            *(member.channel.ask(verb, timeout_s=COMMIT_TIMEOUT_S) for member in self.ready),
            return_exceptions=True,
        )

    # watching

    async def watch(self) -> None:
        """Ask every worker for its statistics, again and again, and kill who does not answer."""
        settings = self._ground.settings
        loop = asyncio.get_running_loop()
        while not self.leaving:
            await asyncio.sleep(settings.health_interval_s)
            await asyncio.gather(*(one.tell(timeout_s=settings.health_interval_s) for one in self.ready))
            for member in self.ready:
                silent_s = loop.time() - member.heard_mono
                if silent_s > settings.health_timeout_s:
                    logger.error(
                        "worker_silent slot=%d pid=%d for_s=%.1f: it is killed",
                        member.slot,
                        member.process.pid,
                        silent_s,
                    )
                    await member.kill()

    # the end

    async def leave(self, *, handed_over: bool, timeout_s: float) -> None:
        """Have all drain, with successors at their sockets or without; wait until they are gone."""
        self.leaving = True
        await asyncio.gather(
            *(member.leave(handed_over=handed_over, timeout_s=timeout_s) for member in self.members)
        )
        await self._unmanned()

    async def cut(self, *, timeout_s: float) -> None:
        """End all at once."""
        self.leaving = True
        await asyncio.gather(*(member.cut(timeout_s=timeout_s) for member in self.members))
        await self._unmanned()

    async def _unmanned(self) -> None:
        for task in self._manning:
            task.cancel()
        await asyncio.gather(*self._manning, return_exceptions=True)
        await asyncio.gather(*(member.kill() for member in self.members))


def _flat(errors: BaseExceptionGroup[StartFailed]) -> list[StartFailed]:
    found: list[StartFailed] = []
    for error in errors.exceptions:
        found += _flat(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
