"""How the shots of an operator are run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, replace
from typing import TypeVar

from tqdm.auto import tqdm

T = TypeVar("T")

# Above this many cells a shot fills the caches of several cores: all cores work on one shot.
CELLS_FOR_ONE_SHOT = 1_000_000
# Below this many the threads of a shot wait for one another longer than they work, and on a busy machine far longer.
CELLS_PER_THREAD = 25_000


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
        Runs the shots. By default models below a million cells run one shot per core, larger ones all
        cores on one shot, with a thread for every 25 000 cells at most.
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
    workers = min(nsrc, cores()) if cells < CELLS_FOR_ONE_SHOT else 1
    threads = max(1, min(cores() // workers, cells // CELLS_PER_THREAD))
    with _bar(settings, nsrc) as bar:
        if _threads.get() is not None:
            return [_advance(bar, task(i)) for i in range(nsrc)]
        alone = _Alone(task, threads)
        if settings.executor is not None:
            return [_advance(bar, x) for x in settings.executor.map(_Alone(task, 1), range(nsrc))]
        if workers == 1:
            return [_advance(bar, alone(i)) for i in range(nsrc)]
        with ThreadPoolExecutor(workers) as pool:
            running = [pool.submit(copy_context().run, alone, i) for i in range(nsrc)]
            return [_advance(bar, f.result()) for f in running]


def _bar(settings: Config, nsrc: int):
    """A bar over shots; none, and no thread of its own, unless it is asked for."""
    return tqdm(total=nsrc, desc="shots") if settings.progress and nsrc > 1 else nullcontext()


def _advance(bar: tqdm | None, result: T) -> T:
    if bar is not None:
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
