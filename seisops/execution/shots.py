"""How the shots of an operator are run."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar
from weakref import WeakKeyDictionary

from tqdm.auto import tqdm

from seisops.execution import parcels
from seisops.execution.blas import one_thread
from seisops.propagators import domain
from seisops.storage import Auto, Storage

T = TypeVar("T")

# Above this many cells a shot fills the caches of several cores: all cores work on one shot.
CELLS_FOR_ONE_SHOT = 1_000_000
# Below this many the threads of a shot wait for one another longer than they work, and on a busy machine far longer.
CELLS_PER_THREAD = 25_000


@dataclass(frozen=True)
class Config:
    """What :func:`config` sets."""

    executor: Executor | None = None
    storage: Storage = field(default_factory=Auto)
    progress: bool = False
    reproducible: bool = False


DEFAULT = Config()
_config: ContextVar[Config] = ContextVar("config", default=DEFAULT)
_threads: ContextVar[int | None] = ContextVar("threads", default=None)
# The process that an executor was first seen in.
_home: WeakKeyDictionary[Executor, int] = WeakKeyDictionary()


@contextmanager
def config(**settings) -> Iterator[Config]:
    """Settings for all operators inside a ``with`` block.

    Parameters
    ----------
    executor : concurrent.futures.Executor, optional
        Runs the shots: threads or processes of this machine, ``dask.distributed.Client(...).get_executor()``,
        ``mpi4py.futures.MPIPoolExecutor()``. By default models below a million cells run one shot per core, larger ones
        all cores on one shot, with a thread for every 25 000 cells at most. Other processes keep no background for the
        next product: there J and J.H march it again, while the gradient of ``so.fwi`` still costs two marches.
    storage : Storage
        How derivatives that are made inside keep their background wavefield, see :mod:`seisops.storage`: where it
        fits in memory, otherwise by checkpoints, unless something else is chosen.
    progress : bool
        Show a progress bar over shots.
    reproducible : bool
        Give the same bits in every run. Otherwise the threads of one shot, where it has several, add what many points
        inject in the order they come by, and results differ in their last digits from run to run; a survey of several
        shots below a million cells, which run with a thread each, is reproducible anyway.

    Notes
    -----
    A task of the executor's own, whose products are of this library, runs their shots itself: all workers may be busy
    with such tasks, and would wait for one another.

    While shots run, NumPy's linear algebra has one thread, in the whole process: others would spin on cores that march.

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
    if (executor := _config.get().executor) is not None:
        _home.setdefault(executor, os.getpid())
    try:
        yield _config.get()
    finally:
        _config.reset(token)


def current() -> Config:
    """The settings in force here."""
    return _config.get()


def shares_memory() -> bool:
    """Whether the shots of an operator run in this process."""
    executor = current().executor
    return (
        _threads.get() is not None
        or executor is None
        or isinstance(executor, ThreadPoolExecutor)
        or _works_for(executor)
    )


def threads_per_shot(cells: int) -> int:
    """OpenMP threads for a shot on a grid of `cells` that runs here; all that are of use where it runs by itself."""
    return _threads.get() or _share(cores(), cells // domain.ranks())


def threads_at_points(threads: int) -> int:
    """Of the threads of a shot, those that inject into the wavefield at points side by side."""
    return 1 if current().reproducible else threads


def cores() -> int:
    """Cores this process may use, fewer where OMP_NUM_THREADS says so."""
    installed = os.cpu_count() or 1
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else installed
    available = min(bound, max(1, installed // domain.sharers()))
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(available, int(wanted)) if wanted else available


def at_once(nsrc: int, cells: int) -> int:
    """How many of `nsrc` shots on a grid of `cells` run side by side in this process."""
    # Ranks that march a shot together must come to it, and talk to one another, in the same order.
    return min(nsrc, cores()) if cells < CELLS_FOR_ONE_SHOT and domain.ranks() == 1 else 1


class Task(Protocol):
    """What to do for the shots of a survey."""

    def __call__(self, i: int):
        """The result of shot `i`."""

    def only(self, i: int) -> Task:
        """The same for shot `i` alone, as its shot 0, to be sent to another process."""


def map_shots(task: Task, nsrc: int, cells: int) -> Iterator:
    """``task(0), ..., task(nsrc - 1)`` in this order, shots side by side where that is faster.

    Parameters
    ----------
    task : Task
    nsrc : int
        Number of shots.
    cells : int
        Cells of the padded grid, by which threads are shared out.

    Notes
    -----
    Few more shots than workers are begun before their results are taken, so that results can be summed as they come.
    """
    settings = _config.get()
    executor = settings.executor
    with _bar(settings, nsrc) as bar, one_thread:
        for result in _results(task, nsrc, cells, executor):
            if bar is not None:
                bar.update()
            yield result


def _results(task: Task, nsrc: int, cells: int, executor: Executor | None) -> Iterator:
    workers = at_once(nsrc, cells)
    threads = _share(cores() // workers, cells // domain.ranks())
    if executor is not None and domain.ranks() > 1:
        raise ValueError(
            f"{domain.ranks()} ranks march every shot together, as DEVITO_MPI asks: an executor cannot run shots side "
            "by side. Leave out so.config(executor=...), or switch DEVITO_MPI off."
        )
    if _threads.get() is not None:
        # Within a shot already: what it asks for runs in its share of the cores.
        yield from map(task, range(nsrc))
    elif executor is not None and _works_for(executor):
        yield from map(_Alone(task, 1), range(nsrc))
    elif not shares_memory():
        yield from _elsewhere(executor, task, nsrc, cells)
    elif executor is not None:
        yield from _in_threads(executor, _Alone(task, 1), nsrc, executor._max_workers)
    elif workers == 1:
        yield from map(_Alone(task, threads), range(nsrc))
    else:
        with ThreadPoolExecutor(workers) as pool:
            yield from _in_threads(pool, _Alone(task, threads), nsrc, workers)


def _in_threads(pool: ThreadPoolExecutor, task: Callable[[int], T], nsrc: int, workers: int) -> Iterator[T]:
    return _in_order(lambda i: pool.submit(copy_context().run, task, i), nsrc, 2 * workers)


def _share(threads: int, cells: int) -> int:
    """Of so many threads, those a shot on a grid of `cells` is better for."""
    return max(1, min(threads, cells // CELLS_PER_THREAD))


def _elsewhere(executor: Executor, task: Task, nsrc: int, cells: int) -> Iterator:
    """Shots in other processes, to each of which a model is sent once."""
    workers = _workers(executor)
    # Processes of this machine share its cores; what another machine has is known there.
    threads = max(1, cores() // workers) if isinstance(executor, ProcessPoolExecutor) else None
    settings = replace(current(), executor=None, progress=False)

    def submit(i: int) -> _Sent:
        parcel = parcels.pack((task.only(i), settings, threads, cells))
        return _Sent(executor, parcel, executor.submit(_run_here, parcel if i < workers else parcel.light()))

    return _in_order(submit, nsrc, 2 * workers)


@dataclass(frozen=True)
class _Sent:
    """A shot in another process; sent again, with its models, where that process did not have them."""

    executor: Executor
    parcel: parcels.Parcel
    future: Future

    def result(self):
        answer = self.future.result()
        if isinstance(answer, parcels.Missing):
            answer = self.executor.submit(_run_here, self.parcel).result()
        return answer

    def cancel(self) -> None:
        self.future.cancel()


def _run_here(parcel: parcels.Parcel):
    """The shot of a parcel from another process."""
    thing = parcels.unpack(parcel)
    if isinstance(thing, parcels.Missing):
        return thing
    task, settings, threads, cells = thing
    token = _config.set(settings)
    try:
        with one_thread:
            return _Alone(task, _share(threads or cores(), cells))(0)
    finally:
        _config.reset(token)


def _works_for(executor: Executor) -> bool:
    """Whether this is a worker of `executor`: it would wait for shots that wait for it."""
    if _home.setdefault(executor, os.getpid()) != os.getpid():
        # A process that was forked: it has the executor, but none of its threads.
        return True
    if isinstance(executor, ThreadPoolExecutor):
        return threading.current_thread() in executor._threads
    return hasattr(executor, "_client") and _in_a_task_of_dask()


def _in_a_task_of_dask() -> bool:
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def _workers(executor: Executor) -> int:
    """How many tasks an executor runs at once: of concurrent.futures, of mpi4py, of Dask; this machine's cores else."""
    known = getattr(executor, "_max_workers", None) or getattr(executor, "num_workers", None)
    client = getattr(executor, "_client", None)
    return int(known or (sum(client.nthreads().values()) if client else 0) or cores())


def _in_order(submit: Callable[[int], Future[T] | _Sent], n: int, window: int) -> Iterator[T]:
    """Results of ``submit(0), ..., submit(n - 1)``, at most `window` of them begun and not yet taken.

    Whatever ends this early, an error or Ctrl-C, cancels what has not begun.
    """
    begun: deque[Future[T]] = deque()
    try:
        for i in range(n):
            begun.append(submit(i))
            if len(begun) == window:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()


def _bar(settings: Config, nsrc: int):
    """A bar over shots; none, and no thread of its own, unless it is asked for."""
    return tqdm(total=nsrc, desc="shots") if settings.progress and nsrc > 1 else nullcontext()


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
