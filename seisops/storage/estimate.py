"""What a background takes, storage by storage."""

from __future__ import annotations

import psutil

from seisops.storage.base import Storage, Wave
from seisops.storage.checkpointed import Checkpointed
from seisops.storage.compressed import Half
from seisops.storage.exact import Disk, Memory
from seisops.storage.limit import limit


def table(wave: Wave, nsrc: int, chosen: Storage) -> str:
    """The memory that backgrounds of `nsrc` shots take with each storage, and what is free."""
    grid = " x ".join(str(n) for n in wave.shape)
    lines = [f"backgrounds of {nsrc} shots, {wave.nt} steps of {grid} cells, {wave.dtype}:"]
    storages = [chosen, *(s for s in (Memory(), Half(), Checkpointed(), Disk()) if s != chosen)]
    for s in storages:
        mark = "*" if s is chosen else " "
        lines.append(f"{mark} {describe(s, wave):24} {size(nsrc * s.nbytes(wave)):>10}")
    free, allowed = psutil.virtual_memory().available, limit()
    lines.append(f"  {'free memory':24} {size(free):>10}   (* is what runs; so.config(storage=...) chooses)")
    if allowed is not None:
        lines.append(f"  {'allowed':24} {size(allowed):>10}   (so.config(memory=...))")
    return "\n".join(lines)


def describe(storage: Storage, wave: Wave) -> str:
    """A storage with what it comes to."""
    match storage:
        case Checkpointed():
            return f"Checkpointed({storage.count(wave)} states)"
        case Disk():
            return f"Disk ({size(wave.nbytes)} a shot)"
    return str(storage)


def check(wave: Wave, nsrc: int, chosen: Storage) -> None:
    """Refuse what cannot fit.

    Raises
    ------
    MemoryError
        With the table.
    """
    kept, allowed = nsrc * chosen.nbytes(wave), limit()
    if kept + chosen.running_bytes(wave, 0) > psutil.virtual_memory().available:
        raise MemoryError(f"{describe(chosen, wave)} needs more than the free memory.\n{table(wave, nsrc, chosen)}")
    if allowed is not None and kept > allowed:
        raise MemoryError(
            f"{describe(chosen, wave)} needs {size(kept)}, more than the {size(allowed)} that so.config(memory=...) "
            f"allows. Allow more, or choose another storage.\n{table(wave, nsrc, chosen)}"
        )


def size(n: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KB", "MB", "GB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1024
    return f"{n:.3g} TB"
