"""What clients do: which keys, which kinds of writes, drawn by chance with a seed."""

from __future__ import annotations

import argparse
import random
from bisect import bisect
from dataclasses import dataclass, fields
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares are of 1."""

    keys: int = 200
    zipf: float = 1.0
    """Exponent of their popularity; 0 makes all alike."""
    hot: float = 0.05
    """Share of writes that go to one key more, `hot`."""
    pairs: float = 0.02
    """Share of writes that change two keys at once."""
    respond_async: float = 0.3
    """Share with `Prefer: respond-async`."""
    wait: float = 0.1
    """Share with `Prefer: respond-async, wait=1`."""
    keyed: float = 0.5
    """Share with an Idempotency-Key, which are sent again when the connection broke."""
    post: float = 0.3
    """Share that are POST; the others are PUT."""
    reads: float = 0.2
    """Share of applied writes after which their client reads."""
    cancels: float = 0.01
    """Share of promised writes that their client tries to take back."""
    body_bytes: int = 64

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """An option for each field."""
        group = parser.add_argument_group("what clients do")
        for field in fields(cls):
            kind = int if isinstance(field.default, int) else float
            name = f"--{field.name.replace('_', '-')}"
            group.add_argument(name, type=kind, default=field.default, help="(%(default)s)", metavar="N")

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Mix:
        """From the options."""
        return cls(**{field.name: getattr(arguments, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class Plan:
    """One write to be."""

    keys: tuple[str, ...]
    method: str
    mode: str
    """`sync`, `async` or `wait`."""
    keyed: bool

    @property
    def target(self) -> str:
        """Its path."""
        return f"/lists/{self.keys[0]}" if len(self.keys) == 1 else f"/pairs/{self.keys[0]}/{self.keys[1]}"


class Chance:
    """Draws of one client, its own whatever the others do."""

    def __init__(self, mix: Mix, *, seed: int, client: str) -> None:
        self._mix = mix
        self._random = random.Random(f"{seed}/{client}")
        self._sums = list(accumulate(1 / rank**mix.zipf for rank in range(1, mix.keys + 1)))

    def plan(self) -> Plan:
        """The next write."""
        mix = self._mix
        keys: tuple[str, ...] = (self._key(),)
        if self.of(mix.pairs):
            other = self._key()
            if other != keys[0]:
                keys = (keys[0], other)
        drawn = self._random.random()
        mode = "async" if drawn < mix.respond_async else "sync"
        if mix.respond_async <= drawn < mix.respond_async + mix.wait:
            mode = "wait"
        return Plan(keys, "POST" if self.of(mix.post) else "PUT", mode, self.of(mix.keyed))

    def _key(self) -> str:
        if self.of(self._mix.hot):
            return "hot"
        return f"k{min(bisect(self._sums, self._random.random() * self._sums[-1]), self._mix.keys - 1)}"

    def of(self, share: float) -> bool:
        """Whether it comes to that."""
        return share > 0 and self._random.random() < share

    def pause_s(self) -> float:
        """Before trying again: 10 to 50 ms."""
        return 0.01 + 0.04 * self._random.random()
