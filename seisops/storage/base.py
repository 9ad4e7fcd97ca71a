"""What a storage and a history are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Steps that are read and written at once, a multiple of the 2 or 3 levels of the wavefield: few enough to weigh little,
# enough to hide the cost of a call.
BLOCK = 18


@dataclass(frozen=True)
class Wave:
    """What a history is of.

    Parameters
    ----------
    nt : int
        Time steps.
    shape : tuple of int
        The padded grid.
    dtype : dtype
    h : float, ms
        Time step.
    adjoint : bool
        Whether it is marched backwards in time.
    make : callable
        From a history to the march that fills it, to be entered and run.
    state : callable
        Bytes of what the next steps of the march depend on.
    """

    nt: int
    shape: tuple[int, ...]
    dtype: np.dtype
    h: float
    adjoint: bool = False
    make: Callable[[History], Any] | None = None
    state: Callable[[], int] | None = None

    @property
    def step_bytes(self) -> int:
        """Bytes of one time step."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all time steps."""
        return self.nt * self.step_bytes


class History(ABC):
    """One shot's background: written in the direction of its march, read in either.

    Attributes
    ----------
    block : int or None
        Steps it takes and gives at once, BLOCK; None takes and gives all steps, in `whole`.
    marched : bool
        Whether a march must fill it before it is read.
    narrow : bool
        Whether kernels write and read it in 16 bits, see :mod:`seisops.storage.bfloat16`.
    """

    block: int | None = BLOCK
    marched = True
    narrow = False
    # Where the march that fills it should put a block; None leaves that to the march.
    buffer: NDArray | None = None

    def before(self, start: int, marching) -> None:  # noqa: B027, most have nothing to do
        """The march that fills this history is about to run the block from `start`."""

    @abstractmethod
    def write(self, start: int, stop: int, g: NDArray) -> None:
        """Take over the steps from `start` to `stop`."""

    @abstractmethod
    def read(self, start: int, stop: int, out: NDArray) -> None:
        """Give the steps from `start` to `stop`."""

    @contextmanager
    def reading(self, adjoint: bool, buffer: NDArray | None = None) -> Iterator[History]:
        """Something to ``read`` from, for one march, its direction of time, and the buffer it reads into."""
        yield self


class Storage(ABC):
    """How a background is kept; a subclass says what it holds and how much that is."""

    @abstractmethod
    def history(self, wave: Wave) -> History:
        """A history of one shot."""

    @abstractmethod
    def nbytes(self, wave: Wave) -> int:
        """Bytes of memory that the history of a shot holds."""

    def running_bytes(self, wave: Wave, march: int) -> int:
        """Bytes that a march over the history takes for it while it runs; a march by itself takes `march`."""
        return BLOCK * wave.step_bytes

    def chosen(self, wave: Wave, nsrc: int) -> Storage:
        """What to use for the backgrounds of `nsrc` shots: itself, unless it leaves that open."""
        return self
