"""The supervisor: the process that `lockgate serve` is. It owns the sockets and serves nothing itself.

    listening sockets     bound before the workers, open as long as it lives (`sockets`)
    workers               one in each slot, always (`crew`, `member`, `process`)
    purges                in one order, everywhere (`broadcast`)
    the admin listener    for all workers (`overseer`)

    SIGTERM, SIGINT   drain, then end with status 0
    a second one      cut what is left and end with status 1; nothing of the access log is lost
    a third one       the system's default: the process is gone, and the workers with it
    SIGHUP            open the access log again, read certificates and the configuration again
    SIGUSR2           upgrade: become the program that is installed now; new workers take over, old ones drain

A reload changes everything or nothing: the new configuration is checked here and by every worker before one
of them uses it. An upgrade is tried in a process of its own first, and given up if that fails. Neither
refuses a connection or fails a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from proxy.admin.app import ADVICE, AdminListener
from proxy.clock import SystemClock
from proxy.errors import ConfigError, ProxyError
from proxy.server.binding import bind
from proxy.server.change import unchangeable
from proxy.server.parser import require_c_parser
from proxy.server.run import loop_factory, raise_file_limit
from proxy.server.server import ServerStatistics
from proxy.tasks import spawn
from proxy.workers import handover
from proxy.workers.broadcast import Broadcast
from proxy.workers.crew import Crew, Ground
from proxy.workers.disks import Disks, forget_others
from proxy.workers.frames import Message
from proxy.workers.greeting import greeting
from proxy.workers.handover import Handover
from proxy.workers.member import Member, StartFailed, State, WorkerOptions
from proxy.workers.notify import Notifier, take_notifier, take_passed_sockets
from proxy.workers.overseer import Overseer
from proxy.workers.place import WRITES_SLOT
from proxy.workers.plain import made, plain
from proxy.workers.process import start_python
from proxy.workers.sockets import Address, kept, opened, restored
from proxy.workers.source import ConfigSource, slots_of
from proxy.workers.tally import Tally
from proxy.workers.writes_holder import WritesHolder

logger = logging.getLogger(__name__)

_STOPPING = (signal.SIGTERM, signal.SIGINT)
_SIGNALS = (*_STOPPING, signal.SIGHUP, signal.SIGUSR2)

END_MARGIN_S = 10.0
"""Beyond what a drain may take: for the disk tier's queue and the access log."""

CUT_S = 15.0
"""For a worker that ends at once: `server.CUT_TIMEOUT_S`, and the access log's and the disk's end."""

TRIAL_S = 60.0


class Supervisor:
    """See the module's head."""

    def __init__(
        self,
        source: ConfigSource,
        *,
        log_level: str,
        files: int,
        notifier: Notifier,
        inherited: Handover | None = None,
    ) -> None:
        """Raises: ConfigError."""
        self.source = source
        self.config = source.config()
        self._files = files
        self._notifier = notifier
        self._inherited = inherited
        self._draining = False
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._old: list[Crew] = []
        self._crew: Crew | None = None
        self._admin: AdminListener | None = None
        self._admin_address: Address | None = None
        left = None if inherited is None or inherited.left is None else inherited.left
        self.tally = Tally(None if left is None else made(ServerStatistics, left))
        self._ground = Ground(
            parent=os.getpid(),
            options=WorkerOptions(self.config.event_loop, log_level, files),
            settings=self.config.workers,
            socket_dir=Path(inherited.socket_dir) if inherited is not None else _socket_dir(),
            addresses=[],
            asked=self._asked,
            ended=self._ended,
            disk_is_held=lambda slot: self._disks.is_held(slot),
            writes_at_start=lambda slot: self._writes.at_start_of(slot),
            manned=lambda _member: self._settle(),
            restarts=0 if inherited is None else inherited.restarts,
        )
        self._disks = Disks(self._ground.members)
        self._writes = WritesHolder(
            self._ground.members,
            heir=self._heir_of_writes,
            soon=self._soon,
            give_s=lambda: self.config.writes.shutdown_timeout_s,
        )
        self.broadcast = Broadcast(
            lambda: self._ground.members,
            disk=lambda: self._disks.where(self.config, self.slots),
            timeout_s=self.config.workers.purge_timeout_s,
        )
        self.overseer = Overseer(self)

    def __repr__(self) -> str:
        return f"<Supervisor {self._crew!r} old={self._old!r}>"

    # what the overseer reads

    @property
    def members(self) -> list[Member]:
        """Every worker that lives, also those that drain."""
        return self._ground.members

    @property
    def draining(self) -> bool:
        """Whether the end was announced."""
        return self._draining

    @property
    def restarts(self) -> int:
        """Workers that took the slot of one that ended."""
        return self._ground.restarts

    @property
    def slots(self) -> int:
        """How many workers there should be."""
        return slots_of(self.config) if self._crew is None else self._crew.slots

    # life

    async def run(self) -> int:
        """Serve until told to end; the exit status. Raises: ConfigError if it cannot start."""
        self._watch_signals()
        try:
            if self._inherited is None:
                await self._start()
            else:
                await self._take_over(self._inherited)
            self._serves()
            await self._stop.wait()
            return await self._end()
        finally:
            await self._close()

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.add_signal_handler(number, self._told_to_stop)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._soon(self.reload(), "reload"))
        loop.add_signal_handler(signal.SIGUSR2, lambda: self._soon(self.upgrade(), "upgrade"))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # blocked while one program became another

    def _told_to_stop(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
            return
        self._at_once.set()
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    def _soon(self, doing: Coroutine[Any, Any, None], name: str) -> None:
        task = spawn(doing, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self) -> None:
        passed = take_passed_sockets(os.environ)
        slots = slots_of(self.config)
        self._bind_admin()
        self._ground.addresses = opened(self.config.listen, slots=slots, passed=passed)
        self._soon(self._forget_others(slots), "left behind")
        crew = Crew(self._ground, generation=0, source=self.source, slots=slots)
        self._crew = crew
        await self._start_admin()
        try:
            await crew.start()
        except StartFailed as error:
            raise ConfigError(str(error)) from None

    def _bind_admin(self) -> None:
        """Raises: ConfigError."""
        settings, address = self.config.admin, self._admin_address
        wanted = settings.address if settings.enabled else None
        if address is not None and address.configured != wanted:
            address.close()
            self._admin_address = None
        if self._admin_address is None and wanted is not None:
            self._admin_address = Address(wanted, [bind(wanted, advice=ADVICE)])

    async def _start_admin(self) -> None:
        if self._admin_address is None:
            return
        self._admin = AdminListener(self.config.admin, subject=self.overseer, clock=SystemClock())
        await self._admin.start(self._admin_address.bindings[0])

    def _serves(self) -> None:
        crew = self._crew
        assert crew is not None, "it was started"
        self._soon(crew.watch(), "watch")
        connections = sum(member.connections for member in crew.members)
        _say(
            greeting(
                self.config,
                addresses=[address.shown for address in self._ground.addresses],
                admin=None if self._admin is None else self._admin.address,
                workers=crew.slots,
                connections=connections,
                files=self._files,
            )
        )
        self._notifier.ready(f"{crew.slots} workers")

    async def _end(self) -> int:
        config = self.config
        limit_s = config.shutdown_delay_s + config.shutdown_timeout_s
        self._draining = True
        self._notifier.stopping()
        _say(
            "Draining: no new connections, running exchanges may end within "
            f"{limit_s:g} s. A second signal cuts them."
        )
        for address in self._ground.addresses:
            address.let_go()
        margin_s = config.writes.shutdown_timeout_s + END_MARGIN_S
        drain = spawn(self._drained(limit_s + margin_s), name="drain")
        at_once = spawn(self._at_once.wait(), name="second signal")
        await asyncio.wait((drain, at_once), return_when=asyncio.FIRST_COMPLETED)
        at_once.cancel()
        if drain.done():
            _say("Stopped.")
            return 0
        drain.cancel()
        await asyncio.gather(*(crew.cut(timeout_s=CUT_S) for crew in self._crews()))
        _say("Stopped at once: exchanges were cut.")
        return 1

    def _crews(self) -> list[Crew]:
        return [*self._old, *([] if self._crew is None else [self._crew])]

    async def _drained(self, timeout_s: float) -> None:
        await asyncio.gather(*(crew.leave(handed_over=False, timeout_s=timeout_s) for crew in self._crews()))

    async def _close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*(crew.cut(timeout_s=CUT_S) for crew in self._crews()))
        if self._admin is not None:
            await self._admin.stop()
        if self._admin_address is not None:
            self._admin_address.close()
        for address in self._ground.addresses:
            address.close()
        shutil.rmtree(self._ground.socket_dir, ignore_errors=True)

    # for the workers

    async def _asked(self, member: Member, verb: str, body: Message) -> Message:
        assert verb == "purge", f"workers ask for purges, not for {verb}"
        return await self.broadcast.told(member, body)

    def _ended(self, member: Member) -> None:
        self.tally.gone(member)
        self._writes.gone(member)
        self._settle()

    def _settle(self) -> None:
        """See that what only one may have is with whoever is to have it."""
        if self._draining:
            return
        self._writes.settle()
        if self.config.cache.disk is not None:
            for heir in self._disks.heirs():
                self._soon(self._disks.hand(heir), "disk tier")

    def _heir_of_writes(self) -> Member | None:
        found = [] if self._crew is None else self._crew.ready
        return next((member for member in found if member.slot == WRITES_SLOT), None)

    async def _forget_others(self, slots: int) -> None:
        disk = self.config.cache.disk
        if disk is not None:
            await asyncio.to_thread(forget_others, disk.directory, slots)

    # SIGHUP

    async def reload(self) -> None:
        """Use the configuration as it is now, everywhere or nowhere."""
        async with self._changing:
            crew = self._crew
            if self._draining or crew is None:
                return
            self._notifier.reloading()
            await crew.tell("reopen")
            try:
                await self._reload(crew)
            except ProxyError as error:
                logger.error("reload_refused, nothing was changed:\n%s", error)
            self._notifier.ready(f"{crew.slots} workers")

    async def _reload(self, crew: Crew) -> None:
        """Raises: ConfigError; nothing is changed then."""
        source = self.source.read()
        if source == self.source:
            return
        config = source.config()
        fixed = unchangeable(self.config, config)
        if fixed:
            told = "cannot change while it runs; restart, or upgrade with SIGUSR2, or leave it as it was"
            raise source.objection(fixed, told)
        await crew.change(source)
        self.source, self.config = source, config
        logger.warning("reloaded file=%s", source.file)

    # SIGUSR2

    async def upgrade(self) -> None:
        """Become the program that is installed now. Returns only if that is given up."""
        async with self._changing:
            if self._draining or self._crew is None:
                return
            self._notifier.reloading()
            try:
                await self._try_new()
                await self._become_new(self._crew)
            except (ProxyError, OSError) as error:
                logger.error("upgrade_given_up error=%s", error)
            self._notifier.ready(f"{self._crew.slots} workers")

    async def _try_new(self) -> None:
        """Raises: ConfigError."""
        process = start_python("proxy.workers.trial", sys.argv[1:], [])
        try:
            async with asyncio.timeout(TRIAL_S):
                status = await asyncio.shield(process.ended)
        except TimeoutError:
            process.send(signal.SIGKILL)
            raise ConfigError(f"the installed version was not ready within {TRIAL_S:g} s") from None
        if status != 0:
            raise ConfigError(f"the installed version cannot take over (status {status})")

    async def _become_new(self, crew: Crew) -> None:
        """Raises: OSError if the system refuses; all goes on then."""
        for member in self.members:
            member.channel.hold()
        await self.broadcast.wait_idle()
        for task in list(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()
        if self._admin is not None:
            await self._admin.release()
            self._admin = None
        _say("Upgrading: the next version takes over.")
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        document = self._document(crew)
        fds = handover.of_text(document).fds()
        command = [sys.executable, *sys.orig_argv[1:]]
        try:
            handover.become(command, document, fds)
        finally:  # only where it failed
            for member in self.members:
                member.channel.go_on()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            await self._start_admin()
            self._soon(crew.watch(), "watch")

    def _document(self, crew: Crew) -> str:
        return handover.as_text(
            Handover(
                addresses=tuple(map(kept, self._ground.addresses)),
                admin=None if self._admin_address is None else kept(self._admin_address),
                members=tuple(member.kept() for member in self.members),
                source=self.source.message(),
                generation=crew.generation,
                slots=crew.slots,
                socket_dir=str(self._ground.socket_dir),
                left=plain(self.tally.left),
                restarts=self.restarts,
                notify=self._notifier.address,
            )
        )

    async def _take_over(self, before: Handover) -> None:
        """New workers beside those of the program before; if they cannot start, these stay."""
        addresses = list(map(restored, before.addresses))
        if before.admin is not None:
            self._admin_address = restored(before.admin)
        old = Crew(
            self._ground,
            generation=before.generation,
            source=ConfigSource(**before.source),
            slots=before.slots,
        )
        self._ground.addresses = addresses
        members = [await Member.adopted(one, asked=self._asked) for one in before.members]
        leaving = Crew(self._ground, generation=-1, source=old.source, slots=0)
        leaving.adopt([member for member in members if member.state is State.LEAVING])
        old.adopt([member for member in members if member.state is State.READY])
        for member in members:
            member.channel.go_on()  # not before all are known: what one purges is to be purged at all of them
        for member in members:
            if member.state is State.STARTING:
                await member.kill()  # its slot is manned again
        self._old.append(leaving)
        self._crew = old
        try:
            await self._replace(old, addresses)
        except (ConfigError, StartFailed) as error:
            logger.error("upgrade_failed, the workers of before stay: %s", error)
            self.source, self.config = old.source, old.source.config()

    async def _replace(self, old: Crew, addresses: Sequence[Address]) -> None:
        """Raises: ConfigError, StartFailed."""
        self._bind_admin()
        await self._start_admin()
        slots = slots_of(self.config)
        self._ground.addresses = opened(self.config.listen, slots=slots, kept=addresses)
        crew = Crew(self._ground, generation=old.generation + 1, source=self.source, slots=slots)
        try:
            await crew.start()
        except StartFailed:
            for address in self._ground.addresses:
                if address not in addresses:
                    address.close()
            self._ground.addresses = list(addresses)
            raise
        self._crew = crew
        self._old.append(old)
        self._settle()
        dropped = [address for address in addresses if address not in self._ground.addresses]
        self._soon(self._leave(old, dropped), "hand over")

    async def _leave(self, old: Crew, dropped: Sequence[Address]) -> None:
        config = self.config
        limit_s = 2 * config.shutdown_timeout_s + config.shutdown_delay_s
        limit_s += config.writes.shutdown_timeout_s + END_MARGIN_S
        await old.leave(handed_over=True, timeout_s=limit_s)
        self._old.remove(old)
        for address in dropped:
            address.close()
        await self._forget_others(self.slots)
        logger.warning("upgraded: the last of the old workers is gone")


def serve(source: ConfigSource, *, log_level: str) -> int:
    """Serve until SIGTERM or SIGINT, then drain; the exit status.

    Raises: ConfigError if an address, a certificate, the event loop or aiohttp's parser cannot be used.
    """
    require_c_parser()
    text = handover.taken(os.environ)
    inherited = None if text is None else handover.of_text(text)
    notifier = take_notifier(os.environ) if inherited is None else Notifier(inherited.notify)
    files = raise_file_limit()
    loop = loop_factory(source.config().event_loop)
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_run(source, log_level, files, notifier, inherited))


async def _run(
    source: ConfigSource, log_level: str, files: int, notifier: Notifier, inherited: Handover | None
) -> int:
    supervisor = Supervisor(source, log_level=log_level, files=files, notifier=notifier, inherited=inherited)
    return await supervisor.run()


def _socket_dir() -> Path:
    """A directory that belongs to us alone, for sockets among workers: short, as their names have a limit."""
    base = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or None
    return Path(tempfile.mkdtemp(prefix="lockgate-", dir=base))


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads standard error any more: no reason to stop serving
        print(text, file=sys.stderr, flush=True)
