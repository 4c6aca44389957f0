"""Locust users that write and keep the same history as the driver does.

    .venv/bin/locust -f loadtest/writes/locust_users.py --host http://127.0.0.1:8080 --stop-timeout 60 Writer

The history goes to the file that LOADTEST_HISTORY names, clients.jsonl without it; with several locust
processes each needs a name of its own. `--stop-timeout` lets each user follow its last promise to its end:
without it the checker finds promises that nobody followed. LOADTEST_SEED repeats what users do,
LOADTEST_WRITES ends the run after so many writes of this process.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent  # type: ignore[import-untyped]  # it comes with locust
from locust import FastHttpUser, constant, events, task
from locust.exception import StopUser

from loadtest.writes.history import ClientHistory, now_ns
from loadtest.writes.http_client import Reply
from loadtest.writes.mix import Chance, Mix, Plan
from loadtest.writes.noting import note
from loadtest.writes.reading import Told, Word, read_answer, read_state

_SEED = int(os.environ.get("LOADTEST_SEED", "1"))
_MAX_TRIES = 100
_WAIT_S = 20
_PREFER = {"sync": "", "async": "respond-async", "wait": "respond-async, wait=1"}
_BROKEN = 0

_history = ClientHistory(Path(os.environ.get("LOADTEST_HISTORY", "clients.jsonl")), seed=_SEED)
_numbers = itertools.count(1)
_writes = iter(range(int(os.environ.get("LOADTEST_WRITES", "1000000000"))))


class Writer(FastHttpUser):
    """Writes as `loadtest.writes.mix` has it, follows what it is promised, and reads what it wrote."""

    wait_time = constant(0)
    mix = Mix()

    def on_start(self) -> None:
        """Take a name."""
        self._name = f"u{os.getpid()}.{next(_numbers)}"
        self._via = urlsplit(self.host or "").netloc
        self._chance = Chance(self.mix, seed=_SEED, client=self._name.partition(".")[2])
        self._number = 0

    @task
    def write(self) -> None:
        """One write, to its end."""
        if next(_writes, None) is None:
            gevent.spawn(self.environment.runner.quit)
            raise StopUser
        self._number += 1
        write = f"{self._name}-{self._number}"
        plan = self._chance.plan()
        told = self._told(write, plan)
        if told is None:
            return
        if told.word is Word.ACCEPTED:
            self._follow(write, plan, told.location)
        elif told.word is Word.OK and self._chance.of(self.mix.reads):
            self._read(plan.keys[0])

    def _told(self, write: str, plan: Plan) -> Told | None:
        """What the proxy says in the end; None if that is not known."""
        for number in range(1, _MAX_TRIES + 1):
            told = self._try(write, plan, number)
            if told is not None and told.word is not Word.AGAIN:
                return told
            if not plan.keyed:
                return None
            time.sleep(self._chance.pause_s())
        return None

    def _try(self, write: str, plan: Plan, number: int) -> Told | None:
        headers = {"X-Write": write, "Content-Type": "application/json"}
        idem = f'"{write}"' if plan.keyed else None
        if idem is not None:
            headers["Idempotency-Key"] = idem
        if _PREFER[plan.mode]:
            headers["Prefer"] = _PREFER[plan.mode]
        for key in plan.keys:
            _history.invoke(
                write,
                key,
                by=self._name,
                via=self._via,
                method=plan.method,
                mode=plan.mode,
                number=number,
                idem=idem,
            )
        body = json.dumps({"write": write, "padding": "x" * self.mix.body_bytes})
        reply = self._ask(plan.method, plan.target, "write", headers=headers, data=body)
        told = None if reply.status == _BROKEN else read_answer(reply, write)
        note(_history, told or Told(Word.INFO, "broken"), write, plan.keys, by=self._name)
        return told

    def _follow(self, write: str, plan: Plan, location: str) -> None:
        if self._chance.of(self.mix.cancels):
            self._ask("DELETE", location, "cancel")
        while True:
            reply = self._ask("GET", f"{location}?wait={_WAIT_S}", "state")
            told = Told(Word.PENDING) if reply.status == _BROKEN else read_state(reply)
            if told.word is not Word.PENDING:
                break
            time.sleep(0 if reply.status == 200 else self._chance.pause_s())
        note(_history, told, write, plan.keys, by=self._name)

    def _read(self, key: str) -> None:
        began = now_ns()
        reply = self._ask("GET", f"/lists/{key}", "read")
        if reply.status == 200:
            told = json.loads(reply.body)
            _history.read(
                key, began=began, by=self._name, via=self._via, version=told["version"], last=told["last"]
            )

    def _ask(self, method: str, target: str, name: str, **options: Any) -> Reply:
        with self.client.request(method, target, name=name, catch_response=True, **options) as answer:
            if answer.status_code == _BROKEN:
                answer.failure("broken")
            else:
                answer.success()  # what an answer means is the checker's to say
            fields = {key.lower(): value for key, value in (answer.headers or {}).items()}
            return Reply(answer.status_code, fields, answer.content or b"")


def _close(**_: Any) -> None:
    _history.close()


events.quitting.add_listener(_close)  # type: ignore[no-untyped-call]  # locust leaves it so
