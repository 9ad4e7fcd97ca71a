"""The default: what the free memory allows."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from seisops.storage.base import History, Storage, Wave
from seisops.storage.checkpointed import Checkpointed
from seisops.storage.exact import Memory
from seisops.storage.limit import limit

# Part of the memory that is free when a background is first needed, which it may take.
BUDGET_FRACTION = 0.5


@dataclass(frozen=True)
class Auto(Storage):
    """Memory where the backgrounds of all shots fit into a budget, else checkpoints: never an approximation.

    Parameters
    ----------
    budget : int, optional
        Bytes; by default half of what is free when a background is first needed, and no more than
        ``so.config(memory=...)`` allows.

    Examples
    --------
    >>> import seisops as so
    >>> with so.config(storage=so.storage.Auto(budget=2 * 1024**3)):
    ...     pass
    """

    budget: int | None = None

    def chosen(self, wave: Wave, nsrc: int) -> Storage:
        """What to use for the backgrounds of `nsrc` shots."""
        budget = self.budget
        if budget is None:
            allowed = limit()
            budget = BUDGET_FRACTION * psutil.virtual_memory().available
            budget = budget if allowed is None else min(allowed, budget)
        return Memory() if nsrc * wave.nbytes <= budget else Checkpointed()

    def history(self, wave: Wave) -> History:
        """A history of one shot, as if it were alone."""
        return self.chosen(wave, 1).history(wave)

    def nbytes(self, wave: Wave) -> int:
        """Bytes of memory that the history of a shot holds, as if it were alone."""
        return self.chosen(wave, 1).nbytes(wave)
