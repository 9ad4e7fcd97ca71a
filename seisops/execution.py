"""How the shots of an operator are run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, replace
from typing import TypeVar

from tqdm.auto import tqdm

T = TypeVar("T")

# Above this many cells a shot fills the caches of several cores, and threads inside it pay.
CELLS_FOR_THREADS = 1_000_000


@dataclass(frozen=True)
class Config:
    """What :func:`config` sets."""

    executor: Executor | None = None
    progress: bool = False


DEFAULT = Config()
_config: ContextVar[Config] = ContextVar("config", default=DEFAULT)
_threads: ContextVar[int | None] = ContextVar("threads", default=None)


@contextmanager
def config(**settings) -> Iterator[Config]:
    """Settings for all operators inside a ``with`` block.

    Parameters
    ----------
    executor : concurrent.futures.Executor, optional
        Runs the shots. By default small models run one shot per core, large ones all
        cores on one shot (the limit is a million cells).
    progress : bool
        Show a progress bar over shots.

    Raises
    ------
    TypeError
        For an unknown setting.

    Examples
    --------
    >>> import seisops as so
    >>> with so.config(progress=True):
    ...     pass
    """
    token = _config.set(replace(_config.get(), **settings))
    try:
        yield _config.get()
    finally:
        _config.reset(token)


def threads_per_shot() -> int | None:
    """OpenMP threads for a shot that runs here; None leaves it to OpenMP."""
    return _threads.get()


def cores() -> int:
    """Cores this process may use, fewer where OMP_NUM_THREADS says so."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(available, int(wanted)) if wanted else available


def map_shots(task: Callable[[int], T], nsrc: int, cells: int) -> list[T]:
    """``[task(0), ..., task(nsrc - 1)]``, shots side by side where that is faster.

    Parameters
    ----------
    task : callable
        What to do for one shot.
    nsrc : int
        Number of shots.
    cells : int
        Cells of the padded grid, by which threads are shared out.
    """
    settings = _config.get()
    workers = min(nsrc, cores()) if cells < CELLS_FOR_THREADS else 1
    bar = tqdm(total=nsrc, desc="shots", disable=not (settings.progress and nsrc > 1))
    with bar:
        if _threads.get() is not None or (settings.executor is None and workers == 1):
            return [_advance(bar, task(i)) for i in range(nsrc)]
        if settings.executor is not None:
            return [_advance(bar, x) for x in settings.executor.map(_Alone(task, 1), range(nsrc))]
        with ThreadPoolExecutor(workers) as pool:
            alone = _Alone(task, max(1, cores() // workers))
            running = [pool.submit(copy_context().run, alone, i) for i in range(nsrc)]
            return [_advance(bar, f.result()) for f in running]


def _advance(bar: tqdm, result: T) -> T:
    bar.update()
    return result


@dataclass(frozen=True)
class _Alone:
    """A task that keeps to its share of the cores."""

    task: Callable[[int], T]
    threads: int

    def __call__(self, i: int) -> T:
        token = _threads.set(self.threads)
        try:
            return self.task(i)
        finally:
            _threads.reset(token)
