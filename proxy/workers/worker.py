"""A worker: one server in a process of its own, which does what the supervisor asks by the control channel.

    start         take the place, the sockets and the configuration; the answer comes when it serves
    purge         purge here; the answer comes when no restart brings it back
    statistics    everything that is counted
    explain       what a request would get
    writes        an operator's order about queued writes, where they are
    prepare, commit   another configuration: checked, then used from one step to the next
    reopen        the access log and the certificates
    take_disk     the disk tier, which the predecessor has given up
    take_writes   the writes of all, likewise; give_writes: give them up, the answer comes when that is done
    drain         take no more; the answer comes with the last statistics, and the process ends
    cut           end now

Whatever it logs goes to standard error beside the supervisor's lines. It ends with its supervisor: when the
channel ends, and by the kernel's hand (`parent`).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from proxy.cache.purging import PurgeReceipt
from proxy.clock import Clock
from proxy.errors import ConfigError
from proxy.policy.purges import PurgeKind
from proxy.server.change import Change
from proxy.server.parser import require_c_parser
from proxy.server.run import calm_the_collector, fitted, loop_factory
from proxy.server.server import Server
from proxy.tasks import spawn
from proxy.workers.channel import Channel
from proxy.workers.coverage import coverage_of
from proxy.workers.frames import Message
from proxy.workers.missed import Missed
from proxy.workers.parent import die_with
from proxy.workers.place import WorkerPlace
from proxy.workers.plain import plain
from proxy.workers.portion import portion
from proxy.workers.sockets import handed
from proxy.workers.source import ConfigSource
from proxy.workers.told import Told
from proxy.workers.writes_orders import answered

logger = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class Worker:
    """One worker's end of the control channel."""

    def __init__(self, *, files: int, clock: Clock | None = None) -> None:
        self._files = files
        self._clock = clock
        self._channel: Channel | None = None
        self._server: Server | None = None
        self._place: WorkerPlace | None = None
        self._disk_directory: Path | None = None
        self._has_disk = False
        self._early: list[Message] = []
        self._next: Change | None = None
        self._over = asyncio.Event()
        self._verbs: dict[str, Callable[[Message], Awaitable[Message]]] = {
            "start": self._start,
            "purge": self._purge,
            "statistics": self._statistics,
            "explain": self._explain,
            "writes": self._writes,
            "prepare": self._prepare,
            "commit": self._commit,
            "reopen": self._reopen,
            "take_disk": self._take_disk,
            "take_writes": self._take_writes,
            "give_writes": self._give_writes,
            "drain": self._drain,
            "cut": self._cut,
        }

    def __repr__(self) -> str:
        return f"<Worker {self._place} {self._server!r}>"

    async def run(self, control: socket.socket) -> int:
        """Serve until told to end, or until the supervisor is gone; the exit status.

        It is 1 where a write may be at an origin still: the next worker is to know.
        """
        self._channel = await Channel.over(control, self._answer, name="supervisor")
        self._channel.closed.add_done_callback(lambda _closed: self._over.set())
        await self._over.wait()
        if self._server is not None:
            await self._server.close()
        await self._flushed()
        return 0 if self._server is None or self._server.ended_well else 1

    async def _flushed(self) -> None:
        """The last answer is written before the process ends."""
        assert self._channel is not None, "it runs"
        self._channel.close()
        await asyncio.sleep(0)

    def stop(self) -> None:
        """SIGTERM to this process alone: drain and end; the supervisor starts another."""
        _task = spawn(self._stopped(), name="stop")

    async def _stopped(self) -> None:
        if self._server is not None:
            await self._server.drain(others_stay=True)
        self._over.set()

    async def _answer(self, verb: str, body: Message) -> Message:
        return await self._verbs[verb](body)

    @property
    def server(self) -> Server:
        """The server, once it was made."""
        assert self._server is not None, "it was not told to start"
        return self._server

    # its life

    async def _start(self, body: Message) -> Message:
        assert self._channel is not None, "it runs"
        place = WorkerPlace(**{**body["place"], "socket_dir": Path(body["place"]["socket_dir"])})
        self._place = place
        config = ConfigSource(**body["source"]).config()
        disk = config.cache.disk
        self._disk_directory = None if disk is None else disk.directory
        self._server = Server(
            fitted(portion(config, slot=place.slot, slots=place.slots), self._files),
            clock=self._clock,
            place=place,
            sockets=[handed(fds) for fds in body["sockets"]],
            elsewhere=Told(self._channel),
            disk_later=True,
            writes_later=True,
        )
        if disk is not None and not body["disk_later"]:
            await self._take_disk({})
        if not body["writes_later"]:
            await self._take_writes({"clean": body["writes_clean"]})
        await self._server.start()
        return {"connections": self._server.config.limits.max_connections, "disk": self._has_disk}

    async def _take_disk(self, _body: Message) -> Message:
        assert self._disk_directory is not None, "there is no disk tier to take"
        assert self._place is not None, "it was not told to start"
        missed = Missed(self._disk_directory, self._place.slot)
        disk = await self.server.take_disk()
        try:
            orders = await asyncio.to_thread(missed.take)
        except OSError as error:
            await disk.close()
            raise ConfigError(f"cache.disk.directory is {self._disk_directory}: {error}") from error
        self.server.use_disk(disk)
        for order in [*orders, *self._early]:
            self._purge_here(order)
        await self.server.proxy.cache.durable_here()
        await asyncio.to_thread(missed.done)
        self._has_disk = True
        return {}

    async def _take_writes(self, body: Message) -> Message:
        await self.server.take_writes(clean=body["clean"])
        return {}

    async def _give_writes(self, _body: Message) -> Message:
        return {"clean": await self.server.give_writes()}

    async def _drain(self, body: Message) -> Message:
        cut = await (self.server.hand_over() if body["handed_over"] else self.server.drain())
        return await self._last(cut)

    async def _cut(self, _body: Message) -> Message:
        return await self._last(0)

    async def _last(self, cut: int) -> Message:
        await self.server.close()
        asyncio.get_running_loop().call_soon(self._over.set)
        return {"cut": cut, "statistics": plain(self.server.statistics())}

    # purging

    async def _purge(self, body: Message) -> Message:
        server = self._server
        if not self._has_disk:
            self._early.append(body)  # the supervisor has it written down (`missed`)
        if server is None:
            return {"entries": 0}
        receipt = self._purge_here(body)
        entries = await receipt.swept()
        await server.proxy.cache.durable_here()
        return {"entries": entries}

    def _purge_here(self, order: Message) -> PurgeReceipt:
        kind = PurgeKind(order["counted"]) if order.get("counted") else None
        coverage = coverage_of(order["coverage"])
        # Orders of operators, and those written down, hold nothing: `hold_s` counts from a write.
        hold_s = float(order.get("hold_s", 0.0))
        return self.server.proxy.cache.purge_here(coverage, soft=order["soft"], kind=kind, hold_s=hold_s)

    # telling

    async def _statistics(self, _body: Message) -> Message:
        return {"statistics": plain(self.server.statistics())}

    async def _explain(self, body: Message) -> Message:
        fields = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in body["fields"])
        explanation = self.server.proxy.explainer.explain(body["url"], method=body["method"], fields=fields)
        return explanation.document()

    async def _writes(self, body: Message) -> Message:
        return await answered(self.server.desk, body)

    # changing

    async def _prepare(self, body: Message) -> Message:
        assert self._place is not None, "it was not told to start"
        config = ConfigSource(**body["source"]).config()
        share = portion(config, slot=self._place.slot, slots=self._place.slots)
        self._next = self.server.prepare(fitted(share, self._files))
        return {}

    async def _commit(self, body: Message) -> Message:
        change, self._next = self._next, None
        assert change is not None, "nothing was prepared"
        if body["keep"]:
            self.server.commit(change)
        else:
            await change.abandon()
        return {}

    async def _reopen(self, _body: Message) -> Message:
        self.server.reopen()
        return {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker on the control channel that was inherited."""
    options = _parser().parse_args(arguments)
    if not die_with(options.parent):
        return 1
    logging.basicConfig(level=options.log_level.upper(), format=LOG_FORMAT, stream=sys.stderr)
    require_c_parser()
    calm_the_collector()
    with asyncio.Runner(loop_factory=loop_factory(options.event_loop)) as runner:
        return runner.run(_run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A worker of `lockgate serve`, which starts it.")
    parser.add_argument("--control", type=int, required=True, help="descriptor of the control channel")
    parser.add_argument("--parent", type=int, required=True, help="process id of the supervisor")
    parser.add_argument("--files", type=int, required=True, help="the limit on open files")
    parser.add_argument("--event-loop", required=True)
    parser.add_argument("--log-level", required=True)
    return parser


async def _run(options: argparse.Namespace) -> int:
    worker = Worker(files=options.files)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, worker.stop)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):  # the terminal's, and the supervisor's
        loop.add_signal_handler(number, _left_to_the_supervisor)
    return await worker.run(socket.socket(fileno=options.control))


def _left_to_the_supervisor() -> None:
    """A signal to the whole group of processes: what to do comes by the control channel."""


if __name__ == "__main__":
    raise SystemExit(main())
