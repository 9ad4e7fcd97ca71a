"""Every step, in memory or in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from numpy.typing import NDArray

from seisops.storage.base import History, Storage, Wave


@dataclass(frozen=True)
class Memory(Storage):
    """Keep every time step in memory.

    Examples
    --------
    >>> import seisops as so
    >>> with so.config(storage=so.storage.Memory()):
    ...     pass
    """

    def history(self, wave: Wave) -> History:
        """A history of one shot."""
        return Whole(wave.nt)

    def nbytes(self, wave: Wave) -> int:
        """Bytes of memory that the history of a shot holds."""
        return wave.nbytes

    def running_bytes(self, wave: Wave, march: int) -> int:
        """Bytes that a march over the history takes for it while it runs: none, it is read where it is."""
        return 0


class Whole(History):
    """All steps in one array, which a march writes to and reads from directly."""

    block = None

    def __init__(self, nt: int, whole: NDArray | None = None) -> None:
        self.nt, self.whole = nt, whole

    def write(self, start: int, stop: int, g: NDArray) -> None:
        if stop - start == self.nt:
            self.whole = g
            return
        if self.whole is None:
            self.whole = np.empty((self.nt, *g.shape[1:]), g.dtype)
        self.whole[start:stop] = g

    def read(self, start: int, stop: int, out: NDArray) -> None:
        out[...] = self.whole[start:stop]


@dataclass(frozen=True)
class Disk(Storage):
    """Keep every time step in a temporary file.

    Parameters
    ----------
    folder : str, optional
        Where; the system's folder for temporary files by default, which may be in memory.

    Examples
    --------
    >>> import seisops as so
    >>> with so.config(storage=so.storage.Disk()):
    ...     pass
    """

    folder: str | None = None

    def __post_init__(self) -> None:
        if self.folder is not None and not Path(self.folder).is_dir():
            raise FileNotFoundError(
                f"There is no folder {str(self.folder)!r} to keep backgrounds in: make it first, "
                f"Path({str(self.folder)!r}).mkdir(parents=True)."
            )

    def history(self, wave: Wave) -> History:
        """A history of one shot."""
        return _File(wave.step_bytes, self.folder)

    def nbytes(self, wave: Wave) -> int:
        """Bytes of memory that the history of a shot holds."""
        return 0


class _File(History):
    """All steps in a file that disappears with the history."""

    def __init__(self, step_bytes: int, folder: str | None) -> None:
        self.step_bytes = step_bytes
        self.file = NamedTemporaryFile(dir=folder, prefix="seisops-")  # noqa: SIM115, it lives as long as the history

    def write(self, start: int, stop: int, g: NDArray) -> None:
        self.file.seek(start * self.step_bytes)
        self.file.write(np.ascontiguousarray(g).data)
        self.file.flush()

    def read(self, start: int, stop: int, out: NDArray) -> None:
        offset = start * self.step_bytes
        out[...] = np.fromfile(self.file.name, out.dtype, out.size, offset=offset).reshape(out.shape)
