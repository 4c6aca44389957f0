"""Tasks have an owner: `spawn` keeps the reference and reports what a task died of.

asyncio keeps only weak references to tasks, so that a bare `create_task` may vanish in the middle, and
its exception is printed at garbage collection, if ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)

_running: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
    """Start a task that nobody awaits; a failure is logged under `name`."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_finished)
    return task


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        logger.error("task_failed task=%s error=%r", task.get_name(), error, exc_info=error)
