"""What meets a wavefield in a march: couplings with their values, and the arrays that a kernel sees of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from seisops.model import Model
from seisops.propagators import domain
from seisops.propagators.couplings import Coupling, Narrow
from seisops.propagators.points import PointWeights
from seisops.propagators.workspaces import Slot
from seisops.storage import buffers
from seisops.storage.base import History


@dataclass(frozen=True, eq=False)
class Term:
    """A coupling with its values: what is injected, and the constants of the coupling.

    The background wavefield of a coupling, too large to be a value like the others, is its `history`, which says in how
    many bits it is.
    """

    coupling: Coupling
    values: dict[str, NDArray] = field(default_factory=dict)
    points: tuple[PointWeights, ...] = ()
    history: History | None = None

    def __post_init__(self) -> None:
        if self.history is not None and self.history.narrow:
            object.__setattr__(self, "coupling", Narrow(self.coupling))


class PortArrays:
    """A term at work: the arrays that a kernel sees of it, filled and emptied block by block."""

    def __init__(self, term: Term, slots: dict[str, Slot], marching, *, measures: bool) -> None:
        self.term, self.marching = term, marching
        self.payload = payload = term.coupling.payload
        whole, history, timed = marching.block == marching.nt, term.history, slots[payload].timed
        # A history is written where the wavefield itself is measured, and read where something else is.
        self.writes = history is not None and timed
        self.reads = history is not None and not self.writes
        self.reader = None
        # What a kernel can use as it is; all else it sees through a buffer of one block.
        values, points = _here(term, slots, marching.model) if marching.parted else (term.values, term.points)
        nodes = term.coupling.given(points) if points else {}
        direct, self.given = {}, {}
        for k, x in values.items():
            (direct if whole or not slots[k].timed else self.given)[k] = x
        if self.reads and whole and history.block is None:
            direct["background"], self.reads = history.whole, False
        if self.writes and not whole and history.buffer is not None:
            direct[payload] = history.buffer
        self.seen: dict[str, NDArray] = {}
        self.arguments: dict[str, NDArray] = {}
        for k, slot in slots.items():
            if k in nodes:
                x = nodes[k]
            elif k in direct:
                x = buffers.aligned(direct[k], slot.dtype)
            elif k in (payload, "background") or k in values:
                step = (max([p.series for p in term.points]),) if term.points else slot.shape[1:]
                x = buffers.take((marching.block, *step) if slot.timed else slot.shape, slot.dtype)
            else:
                # What neither comes in nor goes out stays as the workspace has it.
                continue
            self.seen[k] = self.arguments[slot.name] = x
        seen = self.seen.get(payload)
        if measures and term.coupling.additive:
            seen[...] = 0
        # Series to which several ports add in a step.
        self.adds_up = measures and len(term.points) > 1
        # What a block holds is overwritten; the history of a whole march is handed over as it is.
        self.collected = None
        if measures and timed and not self.writes:
            self.collected = seen if whole else np.empty((marching.nt, *seen.shape[1:]), seen.dtype)

    def before(self, start: int, stop: int) -> None:
        """Bring in what the block from `start` to `stop` takes."""
        for k, x in self.given.items():
            self.seen[k][: stop - start] = x[start:stop]
        if self.adds_up:
            self.seen[self.payload][...] = 0
        if self.reads:
            self.reader.read(start, stop, self.seen["background"][: stop - start])
        if self.writes:
            self.term.history.before(start, self.marching)

    def after(self, start: int, stop: int) -> None:
        """Take out what the block measured."""
        seen = self.seen.get(self.payload)
        mends = self.writes and hasattr(self.term.coupling, "at_the_end")
        last = self.marching.last_step(start, stop) if mends else None
        if last is not None:
            h = self.marching.model.dtype.type(self.marching.model.dt)
            self.term.coupling.at_the_end(seen[last], partial(self.marching.levels, step=last), h)
        if self.writes:
            self.term.history.write(start, stop, seen[: stop - start])
        elif self.collected is not None and self.collected is not seen:
            self.collected[start:stop] = seen[: stop - start]

    def result(self) -> NDArray | None:
        """What the whole march measured; None where that went into a history."""
        if self.writes:
            return None
        measured = self.seen[self.payload] if self.collected is None else self.collected
        return domain.total(measured) if self.term.points else domain.whole(self.marching.model, measured)


def _here(term: Term, slots: dict[str, Slot], model: Model) -> tuple[dict[str, NDArray], tuple[PointWeights, ...]]:
    """What of a term's values, and which of its points, are on this rank."""
    values = {k: domain.part(model, x) if slots[k].on_grid else x for k, x in term.values.items()}
    return values, tuple(domain.own(model, p) for p in term.points)
