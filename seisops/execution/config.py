"""The settings under which operators run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from seisops.storage import Auto, Storage


@dataclass(frozen=True)
class Config:
    """What :func:`config` sets."""

    executor: Executor | None = None
    storage: Storage = field(default_factory=Auto)
    progress: bool = False
    reproducible: bool = False


DEFAULT = Config()
_config: ContextVar[Config] = ContextVar("config", default=DEFAULT)
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
    settings = replace(current(), **settings)
    if settings.executor is not None:
        home(settings.executor)
    with under(settings):
        yield settings


@contextmanager
def under(settings: Config) -> Iterator[None]:
    """Put `settings` in force inside a ``with`` block."""
    token = _config.set(settings)
    try:
        yield
    finally:
        _config.reset(token)


def current() -> Config:
    """Return the settings in force here."""
    return _config.get()


def home(executor: Executor) -> int:
    """Return the process that an executor was first seen in."""
    return _home.setdefault(executor, os.getpid())
