"""Lockgate without lanes: the same front end and the same forwarder, and each write is sent at once.

`loadtest/bench/writes.py` tells what order costs: so this has all the rest of a write's way, and nothing of
queue, lanes, marks and events. It keeps no promise. Its command line is `lockgate`'s.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from proxy import cli
from proxy.http.fields import Fields
from proxy.server.writes import home
from proxy.workers import member, worker
from proxy.writes.forwarding import Attempt, Forwarder, Kept
from proxy.writes.outcomes import EFFECTS
from proxy.writes.service import Writes
from proxy.writes.states import State
from proxy.writes.waiting import Ending
from proxy.writes.write import Result, Write


class AtOnce(Writes):
    """Sends in the task of whoever brings a write: there is no second one."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._forwarder = Forwarder(parts["origins"], clock=parts["clock"])
        self._effects = parts["effects"]

    async def accept(self, write: Write) -> int:
        """Send it, have the cache know, tell who waits."""
        policy = self._policies(write.route)
        assert policy is not None, "a write has a route"
        sent: Attempt = await self._forwarder.send(
            write, policy, before_sending=lambda: self._effects.fence(write, policy)
        )
        self._effects.apply(EFFECTS[sent.reading.kind], write, policy, sent.head)
        await self._effects.durable()
        kept, head = Kept(), sent.head
        if head is not None:
            kept = await self._forwarder.keep(sent, policy, leave_rest=True)
        result = Result(
            state=State.UNKNOWN if head is None else State.COMMITTED,
            attempts=1,
            taken=True,
            finished_at=time.time(),
            status=None if head is None else head.status,
            fields=Fields() if head is None else head.fields,
            body=kept.octets,
            complete=kept.whole,
        )
        self._waiters.tell(write.id, Ending(result, kept.rest, head))
        return 0


def main() -> int:
    """The supervisor, which starts this module as its worker; or that worker."""
    if any(argument.startswith("--control=") for argument in sys.argv):
        vars(home)["Writes"] = AtOnce  # what a server makes its writes of
        return worker.main()
    vars(member)["MODULE"] = "loadtest.bench.without_lanes"
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
