"""The worker's tie to its supervisor: where that ends, the worker ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> bool:
    """Have the kernel kill this process when its parent dies; False if the parent is gone already.

    The control channel's end tells the same, but not to a worker that is stopped, or busy in C. Elsewhere
    than on Linux the channel alone has to do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    return os.getppid() == parent
