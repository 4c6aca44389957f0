"""What one worker gets of what the configuration gives to all."""

from __future__ import annotations

from proxy.config.settings import Config, DiskSettings


def portion(config: Config, *, slot: int, slots: int) -> Config:
    """The configuration of one worker: bounds on memory, disk and connections are those of the machine.

    What may be stored at most cannot be above what there is for all: with many workers a large
    `cache.max_entry_bytes` becomes the worker's whole share.
    """
    cache, compressor = config.cache, config.compressor
    max_bytes = max(1, cache.max_bytes // slots)
    share = {
        "max_bytes": max_bytes,
        "max_entry_bytes": min(cache.max_entry_bytes, max_bytes),
        "max_fill_bytes": max(1, cache.max_fill_bytes // slots),
        "max_keys_remembered": max(1, cache.max_keys_remembered // slots),
        "disk": None if cache.disk is None else _disk(cache.disk, slot=slot, slots=slots),
    }
    connections = -(-config.limits.max_connections // slots)
    kept = {"max_bytes": max(1, compressor.max_bytes // slots)}
    return config.model_copy(
        update={
            "cache": cache.model_copy(update=share),
            "compressor": compressor.model_copy(update=kept),
            "limits": config.limits.model_copy(update={"max_connections": connections}),
        }
    )


def _disk(disk: DiskSettings, *, slot: int, slots: int) -> DiskSettings:
    """A directory has one owner: each slot has its own below the configured one."""
    max_bytes = max(1, disk.max_bytes // slots)
    return disk.model_copy(
        update={
            "directory": disk.directory / slot_directory(slot),
            "max_bytes": max_bytes,
            "max_entry_bytes": min(disk.max_entry_bytes, max_bytes),
            "max_open_files": max(1, disk.max_open_files // slots),
            "max_queue_bytes": max(1, disk.max_queue_bytes // slots),
            "max_head_bytes": disk.max_head_bytes // slots,
        }
    )


def slot_directory(slot: int) -> str:
    """The name of a slot's directory below `cache.disk.directory`."""
    return f"worker-{slot}"
