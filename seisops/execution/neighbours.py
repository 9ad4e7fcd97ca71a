"""What other processes leave of the cores: threads that wait for one that has no core burn the time of all."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from typing import NamedTuple

import psutil

# Seconds between looks: the kernel counts in hundredths.
PERIOD = 0.2


def bound() -> Collection[int]:
    """The cores that this process may use, by number."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


class Look(NamedTuple):
    """Seconds that have gone by, those the cores of this process have worked, and those they worked for it."""

    wall: float
    worked: float
    own: float


def look() -> Look:
    """Take the times now."""
    mine = bound()
    every = [t for i, t in enumerate(psutil.cpu_times(percpu=True)) if i in mine]
    # Linux counts what guests of a virtual machine's host work as the user's too, which the last fields say again.
    worked = sum(sum(t[:8]) - t.idle - getattr(t, "iowait", 0) for t in every)
    return Look(time.monotonic(), worked, sum(os.times()[:4]))


_last: Look | None = None
_busy = 0.0


def busy() -> float:
    """Cores, of those this process may use, that others have kept busy since it last asked."""
    global _last, _busy
    if _last is None:
        _last = look()
    elif time.monotonic() - _last.wall >= PERIOD:
        now = look()
        _busy = max(0.0, now.worked - _last.worked - (now.own - _last.own)) / (now.wall - _last.wall)
        _last = now
    return _busy
