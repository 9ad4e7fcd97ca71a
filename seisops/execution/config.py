"""The settings under which operators run."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from weakref import WeakKeyDictionary

import numpy as np
from tqdm.auto import tqdm

from seisops.storage import Auto, Storage
from seisops.storage.limit import limited
from seisops.watching import logger

# Less memory than this was hardly meant in bytes.
LEAST_MEMORY = 1024**2


@dataclass(frozen=True)
class Config:
    """What :class:`config` sets."""

    executor: Executor | None = None
    storage: Storage = field(default_factory=Auto)
    progress: bool = False
    reproducible: bool = False
    memory: int | None = None


DEFAULT = Config()
_config: ContextVar[Config] = ContextVar("config", default=DEFAULT)
# The process that an executor was first seen in.
_home: WeakKeyDictionary[Executor, int] = WeakKeyDictionary()


class config:
    """Settings for all operators: as a statement from here on, in a ``with`` statement inside its block.

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
        Show a progress bar over shots, over the time steps of a single one, and say when a kernel is compiled.
    reproducible : bool
        Give the same bits in every run. Otherwise the threads of one shot, where it has several, add what many points
        inject in the order they come by, and results differ in their last digits from run to run; a survey of several
        shots below a million cells, which run with a thread each, is reproducible anyway.
    memory : int, optional
        Bytes that the backgrounds of one derivative may take; what is free by default. Beyond it ``storage.Auto`` goes
        over to checkpoints, and other storages that need more are refused.

    Notes
    -----
    Settings are of a thread, as those of NumPy are: threads that this library starts have those of the thread that
    waits for them, threads of your own begin with the defaults.

    A task of the executor's own, whose products are of this library, runs their shots itself: all workers may be busy
    with such tasks, and would wait for one another.

    While shots run, NumPy's linear algebra has one thread, in the whole process: others would spin on cores that march.

    Raises
    ------
    TypeError
        For an unknown setting, or a value of another kind.
    ValueError
        For less memory than anything takes.

    Examples
    --------
    >>> import seisops as so
    >>> with so.config(progress=True):
    ...     pass
    >>> so.config(memory=8 * 1024**3)
    config(executor=None, storage=Auto(budget=None), progress=False, reproducible=False, memory=8589934592)
    >>> so.config(memory=None)
    config(executor=None, storage=Auto(budget=None), progress=False, reproducible=False, memory=None)
    """

    def __init__(self, **settings) -> None:
        _check(settings)
        self.settings = replace(current(), **settings)
        if self.settings.executor is not None:
            home(self.settings.executor)
        self._statement: Token | None = _config.set(self.settings)
        self._blocks: list[Token] = []

    def __enter__(self) -> Config:
        # What a statement would have left behind ends with the block.
        if self._statement is not None and _config.get() is self.settings:
            # Made in another context it has left nothing behind in this one.
            with suppress(ValueError):
                _config.reset(self._statement)
        self._statement = None
        self._blocks.append(_config.set(self.settings))
        return self.settings

    def __exit__(self, *error) -> None:
        _config.reset(self._blocks.pop())

    def __repr__(self) -> str:
        return f"config({', '.join(f'{f.name}={getattr(self.settings, f.name)!r}' for f in fields(Config))})"


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


def _check(settings: dict) -> None:
    """Refuse settings that do not exist, and values of another kind than theirs."""
    known = [f.name for f in fields(Config)]
    for name, value in settings.items():
        if name not in known:
            close = get_close_matches(name, known, 1)
            raise TypeError(
                f"so.config has no setting {name!r}{f'; did you mean {close[0]!r}?' if close else '.'} "
                f"It has {', '.join(known)}."
            )
        _CHECKS.get(name, _check_switch)(name, value)


def _check_switch(name: str, value: object) -> None:
    if not isinstance(value, (bool, np.bool)):
        raise TypeError(f"{name} is True or False, got {value!r}.")


def _check_executor(name: str, value: object) -> None:
    if value is not None and not isinstance(value, Executor):
        raise TypeError(
            f"executor is an executor of concurrent.futures, Dask or mpi4py that runs the shots, got {value!r}: such "
            f"as executor=ProcessPoolExecutor({value if isinstance(value, int) else 4})."
        )


def _check_storage(name: str, value: object) -> None:
    if isinstance(value, Storage):
        return
    from seisops import storage

    names = [n for n in storage.__all__ if n not in ("History", "Storage", "Wave")]
    if isinstance(value, type) and issubclass(value, Storage):
        raise TypeError(f"storage is an object: write so.storage.{value.__name__}(...), with parentheses.")
    found = next((n for n in names if str(value).lower() == n.lower()), names[0])
    raise TypeError(f"storage is one of so.storage, {', '.join(names)}; got {value!r}: write so.storage.{found}(...).")


def _check_memory(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise TypeError(f"memory is a number of bytes, got {value!r}: 8 GB are memory=8 * 1024**3.")
    if not value >= LEAST_MEMORY:
        raise ValueError(f"memory is in bytes, and {value:g} bytes hold nothing: {value:g} GB are {value:g} * 1024**3.")


_CHECKS: dict[str, Callable[[str, object], None]] = {
    "executor": _check_executor,
    "storage": _check_storage,
    "memory": _check_memory,
}


class _WhereProgressIsShown(logging.Handler):
    """Writes what takes long to standard error, between the bars, where progress is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        if current().progress:
            tqdm.write(f"seisops: {record.getMessage()}", file=sys.stderr)


logger.addHandler(_WhereProgressIsShown())
logger.setLevel(logging.INFO)
# What storages keep to.
limited(lambda: current().memory)
