"""Some states of the march, from which it is run again."""

from __future__ import annotations

import itertools
import sys
import threading
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, comb
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from seisops.storage.base import BLOCK, History, Storage, Wave

# Kind, from block, to block, slot.
Action = tuple[str, int, int, int]

# Times that a block is marched again at most, on average: fewer states would save little memory and cost much time.
AGAIN = 2.25


@dataclass(frozen=True)
class Checkpointed(Storage):
    r"""Keep a few states of the background's march, and march again from them.

    The schedule is revolve: with :math:`c` snapshots no block of steps is marched more than :math:`r` times again
    where :math:`(c + r)! / (c!\, r!)` blocks exist.

    Parameters
    ----------
    snapshots : int, optional
        States to keep, of two to four time steps each for sound, and of all wavefields and what the layers remember
        for other media; by default the fewest with which a block is marched 2.25 times again on average.

    Raises
    ------
    ValueError
        For fewer than one snapshot.

    References
    ----------
    A. Griewank and A. Walther, 2000, Algorithm 799: revolve, ACM Transactions on Mathematical Software 26.

    Examples
    --------
    >>> import seisops as so
    >>> with so.config(storage=so.storage.Checkpointed(snapshots=10)):
    ...     pass
    """

    snapshots: int | None = None

    def __post_init__(self) -> None:
        if self.snapshots is not None and self.snapshots < 1:
            raise ValueError(f"Checkpointing needs one snapshot at least, got {self.snapshots}.")

    def history(self, wave: Wave) -> History:
        """A history of one shot."""
        return _Checkpoints(wave, self.count(wave))

    def count(self, wave: Wave) -> int:
        """Snapshots of a shot."""
        blocks = ceil(wave.nt / BLOCK)
        if self.snapshots is not None:
            return min(blocks, self.snapshots)
        return next(c for c in range(1, blocks + 1) if advances(c, blocks) <= AGAIN * blocks)

    def nbytes(self, wave: Wave) -> int:
        """Bytes of memory that the history of a shot holds."""
        return (self.count(wave) + 1) * wave.state()

    def running_bytes(self, wave: Wave, march: int) -> int:
        """Bytes that a march over the history takes for it while it runs: those of the march that is run again too."""
        return super().running_bytes(wave, march) + march


def advances(snapshots: int, blocks: int) -> int:
    """Blocks that revolve marches on its way to others, its first sweep included."""
    r = next(r for r in itertools.count() if comb(snapshots + r, r) >= blocks)
    return r * blocks - comb(snapshots + r, r - 1) if r else 0


class _Checkpoints(History):
    """Snapshots that the first march left; readers march again."""

    marched = False

    def __init__(self, wave: Wave, snapshots: int) -> None:
        self.wave, self.snapshots = wave, snapshots
        starts = range(0, wave.nt, BLOCK)
        self.starts = list(reversed(starts) if wave.adjoint else starts)
        self.index = {start: k for k, start in enumerate(self.starts)}
        self._left: dict[int, list] = {}
        self._lock = threading.Lock()
        self._wanted: set[int] | None = None

    def actions(self) -> Iterator[Action]:
        """Revolve's actions over the blocks, in the order of the march."""
        with _scheduling:
            return iter(_schedule(self.snapshots, len(self.starts)))

    def before(self, start: int, marching) -> None:
        """Keep the states that revolve would keep on its way to the end, and the last of all."""
        if self._wanted is None:
            self._wanted = {capo for kind, _, capo, _ in _first_sweep(self.actions()) if kind == "TAKESHOT"}
            self._wanted.add(len(self.starts) - 1)
        k = self.index[start]
        if k in self._wanted:
            self._left[k] = marching.state()

    def write(self, start: int, stop: int, g: NDArray) -> None:
        """Nothing: it is marched again."""

    def read(self, start: int, stop: int, out: NDArray) -> None:
        raise TypeError("The steps are marched again for each of those who read them: enter `reading` first.")

    def take(self) -> dict[int, list]:
        """The states the first march left, for the one reader that gets them."""
        with self._lock:
            left, self._left = self._left, {}
        return left

    @contextmanager
    def reading(self, adjoint: bool, buffer: NDArray | None = None) -> Iterator[History]:
        """A reader that marches again, right into the buffer."""
        reader = _Following(self) if adjoint == self.wave.adjoint else _Reversing(self)
        reader.buffer = buffer
        with self.wave.make(reader) as marching:
            reader.marching = marching
            try:
                yield reader
            finally:
                # The march holds its reader: neither may hold the other's memory.
                reader.marching = None


class _Replay(History):
    """The block at hand of a march that is run again; a subclass says how to get to another block."""

    def __init__(self, history: _Checkpoints) -> None:
        self.history, self.marching = history, None
        # The block at hand and its steps.
        self.current, self.g = None, None

    def write(self, start: int, stop: int, g: NDArray) -> None:
        self.current, self.g = self.history.index[start], g

    def run(self, k: int) -> None:
        """March block `k`, which the state at hand stands before."""
        self.marching.run(self.history.starts[k])

    def read(self, start: int, stop: int, out: NDArray) -> None:
        k = self.history.index[start]
        if self.current is not None and self.passed(k):
            self.marching.begin()
            self.begin()
        if k != self.current:
            self.seek(k)
        if not np.may_share_memory(out, self.g):
            out[...] = self.g[: stop - start]

    @abstractmethod
    def passed(self, k: int) -> bool:
        """Whether block `k` lies behind, as for a reader that is itself run again."""

    @abstractmethod
    def begin(self) -> None:
        """Stand before the first block again."""

    @abstractmethod
    def seek(self, k: int) -> None:
        """Have block `k` at hand."""


class _Following(_Replay):
    """Read in the direction of the march: march along."""

    def passed(self, k: int) -> bool:
        return k < self.current

    def begin(self) -> None:
        self.current = None

    def seek(self, k: int) -> None:
        for j in range(0 if self.current is None else self.current + 1, k + 1):
            self.run(j)


class _Reversing(_Replay):
    """Read against the direction of the march: revolve."""

    def __init__(self, history: _Checkpoints) -> None:
        super().__init__(history)
        self.begin()
        left, last = history.take(), len(history.starts) - 1
        if last in left:
            # The first march has done the first sweep; what remains of that is its last block.
            for kind, _, capo, slot in _first_sweep(self.actions):
                if kind == "TAKESHOT":
                    self.slots[slot] = left[capo]
            self.last = left[last]

    def passed(self, k: int) -> bool:
        return k > self.current

    def begin(self) -> None:
        self.actions, self.slots, self.last = self.history.actions(), {}, None
        self.current = None

    def seek(self, k: int) -> None:
        if self.last is not None:
            self.marching.restore(self.last)
            self.run(len(self.history.starts) - 1)
            self.last = None
        while self.current != k:
            self.step(*next(self.actions))

    def step(self, kind: str, before: int, capo: int, slot: int) -> None:
        """One action of the schedule."""
        match kind:
            case "TAKESHOT":
                self.slots[slot] = self.marching.state()
            case "RESTORE":
                self.marching.restore(self.slots[slot])
            case "ADVANCE":
                for k in range(before, capo):
                    self.run(k)
            case "LASTFW" | "REVERSE":
                self.run(capo)


_scheduling = threading.Lock()


@lru_cache
def _schedule(snapshots: int, blocks: int) -> list[Action]:
    """Actions of pyrevolve."""
    try:
        from pyrevolve.schedulers import CRevolve
    except ImportError as error:
        raise ImportError(
            "Checkpointed storage uses pyrevolve: pip install 'seisops[checkpoint]', or choose another storage, "
            "so.config(storage=so.storage.Disk())."
        ) from error
    with TemporaryFile() as file, redirect_stdout(_Aside(sys.stdout, file)):
        actions = CRevolve(snapshots, blocks).oplist
    return [(a.type_names[a.type], a.old_capo, a.capo, a.ckp) for a in actions]


class _Aside:
    """Standard output under the number of another file.

    Pyrevolve exchanges the file of that number for one of its own at every action, for all threads.
    """

    def __init__(self, stream, file) -> None:
        self.stream, self.fileno = stream, file.fileno

    def __getattr__(self, name: str):
        return getattr(self.stream, name)


def _first_sweep(actions: Iterator[Action]) -> Iterator[Action]:
    """The actions up to the last block."""
    return itertools.takewhile(lambda action: action[0] != "LASTFW", actions)
