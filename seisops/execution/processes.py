"""Shots in other processes, to each of which a model is sent once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, replace

from seisops.execution import pickles
from seisops.execution.blas import one_thread
from seisops.execution.config import current, under
from seisops.execution.cores import cores, on_threads, share
from seisops.execution.task import Task, in_order


def in_processes(executor: Executor, task: Task, nsrc: int, cells: int) -> Iterator:
    """Run shots in other processes, to each of which a model is sent once."""
    workers = _workers(executor)
    # Processes of this machine share its cores; what another machine has is known there.
    threads = max(1, cores() // workers) if isinstance(executor, ProcessPoolExecutor) else None
    settings = replace(current(), executor=None, progress=False)

    def submit(i: int) -> Sent:
        parcel = pickles.pack((task.only(i), settings, threads, cells))
        return Sent(executor, parcel, executor.submit(_run_here, parcel if i < workers else parcel.light()))

    return in_order(submit, nsrc, 2 * workers)


@dataclass(frozen=True)
class Sent:
    """A shot in another process; sent again, with its models, where that process did not have them."""

    executor: Executor
    parcel: pickles.Parcel
    future: Future

    def result(self):
        answer = self.future.result()
        if isinstance(answer, pickles.Missing):
            answer = self.executor.submit(_run_here, self.parcel).result()
        return answer

    def cancel(self) -> None:
        self.future.cancel()


def _run_here(parcel: pickles.Parcel):
    """Run the shot of a parcel from another process."""
    thing = pickles.unpack(parcel)
    if isinstance(thing, pickles.Missing):
        return thing
    task, settings, threads, cells = thing
    with under(settings), one_thread:
        return on_threads(share(cells, threads=threads), task, 0)


def _workers(executor: Executor) -> int:
    """Count the tasks an executor runs at once: of concurrent.futures, mpi4py or Dask; this machine's cores else."""
    known = getattr(executor, "_max_workers", None) or getattr(executor, "num_workers", None)
    client = getattr(executor, "_client", None)
    return int(known or (sum(client.nthreads().values()) if client else 0) or cores())
