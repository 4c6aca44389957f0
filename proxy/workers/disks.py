"""Which worker has which slot's disk tier: a directory has one owner, also while two generations overlap."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from proxy.cache.disk.directory import Directory
from proxy.config.settings import Config
from proxy.errors import ConfigError
from proxy.workers.channel import AskRefused, ChannelClosed
from proxy.workers.member import Member, State
from proxy.workers.portion import slot_directory

logger = logging.getLogger(__name__)


class Disks:
    """Hands a slot's disk tier from a worker that is gone to the one that serves.

    `members` are all that live.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._handing: set[Member] = set()

    def __repr__(self) -> str:
        return f"<Disks held={sorted(member.slot for member in self._members if member.holds_disk)}>"

    def is_held(self, slot: int) -> bool:
        """Whether a worker has it, or is about to."""
        return any(
            member.slot == slot and member.alive and (member.holds_disk or member in self._handing)
            for member in self._members
        )

    def heirs(self) -> list[Member]:
        """Workers that serve and could have their slot's disk tier now, which nobody has."""
        return [
            member
            for member in self._members
            if member.state is State.READY and not member.holds_disk and not self.is_held(member.slot)
        ]

    async def hand(self, heir: Member) -> None:
        """Let it take the disk tier, once. Where that fails it serves from memory."""
        if self.is_held(heir.slot):
            return
        self._handing.add(heir)
        try:
            await heir.channel.ask("take_disk")
            heir.holds_disk = heir.alive
        except AskRefused as error:
            logger.error("disk_not_taken slot=%d error=%s", heir.slot, error)
        except ChannelClosed:
            return  # the next one in its slot finds it free
        finally:
            self._handing.discard(heir)

    @staticmethod
    def where(config: Config, slots: int) -> tuple[Path, int] | None:
        """The directory and how many slots have a part of it; None without a disk tier."""
        return None if config.cache.disk is None else (config.cache.disk.directory, slots)


def forget_others(directory: Path, slots: int) -> None:
    """Remove what slots beyond these left behind. Blocks.

    It cannot be kept for a time with more workers again: nobody would have purged it meanwhile.
    """
    known = {slot_directory(slot) for slot in range(slots)}
    for path in sorted(directory.glob("worker-*")):
        if path.name.partition(".")[0] in known:
            continue
        try:
            if path.is_dir():
                held = Directory(path)
                held.acquire()
                shutil.rmtree(path)
                held.release()
            else:
                path.unlink()
        except (ConfigError, OSError) as error:
            logger.warning("disk_not_removed directory=%s error=%s", path, error)
