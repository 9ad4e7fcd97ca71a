"""How many cores a shot gets, and how many shots run side by side."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from seisops.execution import neighbours
from seisops.execution.config import current
from seisops.propagators import domain

T = TypeVar("T")

# Above this many cells a shot fills the caches of several cores: all cores work on one shot.
CELLS_FOR_ONE_SHOT = 1_000_000
# Below this many the threads of a shot wait for one another longer than they work, and on a busy machine far longer.
CELLS_PER_THREAD = 25_000

# The share of the cores that the shot which runs here has.
_threads: ContextVar[int | None] = ContextVar("threads", default=None)


def within_shot() -> bool:
    """True inside of a shot, which keeps to its share of the cores."""
    return _threads.get() is not None


def on_threads(threads: int, task: Callable[[int], T], i: int) -> T:
    """Run ``task(i)`` in a share of so many threads."""
    token = _threads.set(threads)
    try:
        return task(i)
    finally:
        _threads.reset(token)


def threads_per_shot(cells: int) -> int:
    """Count the OpenMP threads for a shot on a grid of `cells`; all that are of use where it runs by itself."""
    return _threads.get() or share(cells // domain.ranks())


def threads_now(threads: int) -> int:
    """Count those of a shot's threads that find a core which other processes leave free."""
    if threads == 1 or "OMP_NUM_THREADS" in os.environ:
        return threads
    return max(1, min(threads, round(len(neighbours.bound()) - neighbours.busy())))


def threads_at_points(threads: int) -> int:
    """Count the threads of a shot that inject into the wavefield at points side by side."""
    return 1 if current().reproducible else threads


def cores() -> int:
    """Count the cores this process may use, fewer where OMP_NUM_THREADS says so."""
    available = min(len(neighbours.bound()), max(1, (os.cpu_count() or 1) // domain.sharers()))
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(available, int(wanted)) if wanted else available


def at_once(nsrc: int, cells: int) -> int:
    """Count the shots, of `nsrc` on a grid of `cells`, that run side by side in this process."""
    # Ranks that march a shot together must come to it, and talk to one another, in the same order.
    return min(nsrc, cores()) if nsrc > 1 and cells < CELLS_FOR_ONE_SHOT and domain.ranks() == 1 else 1


def share(cells: int, shots: int = 1, threads: int | None = None) -> int:
    """Count the threads that make a shot on a grid of `cells` faster, of `threads`, or of the cores, for some shots."""
    useful = cells // CELLS_PER_THREAD
    return 1 if useful < 2 else max(1, min((threads or cores()) // shots, useful))
