"""The shots of an operator, side by side where that is faster."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from functools import partial

from seisops import watching
from seisops.execution.blas import one_thread
from seisops.execution.config import Config, current, home
from seisops.execution.cores import at_once, on_threads, share, within_shot
from seisops.execution.processes import in_processes
from seisops.execution.task import T, Task, in_order
from seisops.notices import at_this_line
from seisops.propagators import domain

# Above this many cells a shot runs in a thread of its own, so that Ctrl-C need not wait for the end of its march.
CELLS_TO_WAIT_FOR = 200_000
_NO_BAR = nullcontext()


def map_shots(task: Task, nsrc: int, cells: int) -> Iterator:
    """Give ``task(0), ..., task(nsrc - 1)`` in this order, shots side by side where that is faster.

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
    settings = current()
    executor = settings.executor
    with _shown(settings, nsrc) as moved_on, one_thread:
        for result in _results(task, nsrc, cells, executor):
            if moved_on is not None:
                moved_on(1)
            yield result


def _results(task: Task, nsrc: int, cells: int, executor: Executor | None) -> Iterator:
    workers = at_once(nsrc, cells)
    threads = share(cells // domain.ranks(), workers)
    if executor is not None and domain.ranks() > 1:
        raise ValueError(
            f"{domain.ranks()} ranks march every shot together, as DEVITO_MPI asks: an executor cannot run shots side "
            "by side. Leave out so.config(executor=...), or switch DEVITO_MPI off."
        )
    if within_shot():
        # Within a shot already: what it asks for runs in its share of the cores.
        yield from map(task, range(nsrc))
    elif executor is not None and _works_for(executor):
        yield from map(partial(on_threads, 1, task), range(nsrc))
    elif not shares_memory():
        yield from in_processes(executor, task, nsrc, cells)
    elif executor is not None:
        yield from _in_threads(executor, partial(on_threads, 1, task), nsrc, executor._max_workers)
    elif workers == 1 and (cells < CELLS_TO_WAIT_FOR or domain.ranks() > 1):
        yield from map(partial(on_threads, threads, task), range(nsrc))
    else:
        pool = ThreadPoolExecutor(workers)
        try:
            yield from _in_threads(pool, partial(on_threads, threads, task), nsrc, workers)
        finally:
            # After Ctrl-C shots that run are not waited for.
            pool.shutdown(wait=sys.exc_info()[0] not in (KeyboardInterrupt, GeneratorExit), cancel_futures=True)


def _in_threads(pool: ThreadPoolExecutor, task: Callable[[int], T], nsrc: int, workers: int) -> Iterator[T]:
    given_up = threading.Event()
    task = watching.until(given_up, at_this_line(task))
    try:
        yield from in_order(lambda i: pool.submit(copy_context().run, task, i), nsrc, 2 * workers)
    finally:
        given_up.set()


def shares_memory() -> bool:
    """True if the shots of an operator run in this process."""
    executor = current().executor
    return within_shot() or executor is None or isinstance(executor, ThreadPoolExecutor) or _works_for(executor)


def _works_for(executor: Executor) -> bool:
    """True in a worker of `executor`: it would wait for shots that wait for it."""
    if home(executor) != os.getpid():
        # A process that was forked: it has the executor, but none of its threads.
        return True
    if isinstance(executor, ThreadPoolExecutor):
        # Held until a thread that has begun is counted in: it may be here before.
        with executor._shutdown_lock:
            return threading.current_thread() in executor._threads
    return hasattr(executor, "_client") and _in_a_task_of_dask()


def _in_a_task_of_dask() -> bool:
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def _shown(settings: Config, nsrc: int):
    """Show a bar over shots, or over the steps of a single one; nothing unless it is asked for."""
    if not settings.progress or within_shot():
        return _NO_BAR
    return watching.bar(nsrc, "shots") if nsrc > 1 else watching.showing_steps()
