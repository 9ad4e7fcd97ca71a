"""What products inside of graphs leave for their backward: a graph runs many times, and its nodes hold no objects."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.bridge import calculus
from seisops.bridge.calculus import Keeper
from seisops.bridge.form import Inputs, Partial
from seisops.execution.config import current
from seisops.storage import Storage

# Forward products in graphs whose wavefields wait for a backward; the oldest is dropped and marched again.
WAITING = 16


@dataclass(eq=False)
class _Borrowed(Keeper):
    """A keeper that notes what was found in it."""

    found: set[bytes] = field(default_factory=set)

    def find(self, op, m, x, *, make):
        before = super().find(op, m, x, make=make)
        if before is not None:
            self.found |= {key for key, kept in self.kept.items() if kept is before}
        return before


class Waiting:
    """Linearisations that the products of an operator left in graphs, until their backward has used them.

    They are found by content, whatever runs when, among those of the storage in force: a miss costs a march and nothing
    else.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: list[tuple[Storage, dict]] = []

    def leave(self, keeper: Keeper) -> None:
        """Put what a product kept where its backward looks."""
        with self._lock:
            self._left = [*self._left, (current().storage, dict(keeper.kept))][-WAITING:]

    def clear(self) -> None:
        """Let all go."""
        with self._lock:
            self._left = []

    @contextmanager
    def borrow(self) -> Iterator[Keeper]:
        """A keeper of all that waits; what is found in it waits no longer."""
        storage = current().storage
        with self._lock:
            mine = [kept for s, kept in self._left if s == storage]
            keeper = _Borrowed(False, {k: v for kept in mine for k, v in kept.items()})
        yield keeper
        with self._lock:
            rest = [
                (s, {k: v for k, v in kept.items() if s != storage or k not in keeper.found}) for s, kept in self._left
            ]
            self._left = [(s, kept) for s, kept in rest if kept]


_lock = threading.Lock()
_waits: weakref.WeakKeyDictionary[LinearOperator, Waiting] = weakref.WeakKeyDictionary()


def waiting(op: LinearOperator) -> Waiting:
    """What waits of an operator's."""
    with _lock:
        return _waits.setdefault(op, Waiting())


def evaluate(
    op: LinearOperator,
    partials: Sequence[Partial],
    inputs: Inputs,
    keeper: Keeper | None,
    *,
    keep: bool = False,
    looks: bool = True,
) -> list[NDArray]:
    """:func:`seisops.bridge.calculus.evaluate` for what runs apart from its backward; results may share memory.

    Parameters
    ----------
    op, partials, inputs
        What is evaluated.
    keeper : Keeper or None
        Where a linearisation is left and looked for. Without one it waits, with others of the operator, until used.
    keep : bool
        Whether this is a product whose linearisation a backward will look for.
    looks : bool
        Whether it looks for one.
    """
    if keep:
        held = keeper or Keeper()
        results = calculus.evaluate(op, partials, inputs, held, copy=False)
        if keeper is None:
            waiting(op).leave(held)
        return results
    if not looks:
        return calculus.evaluate(op, partials, inputs, copy=False)
    if keeper is not None and keeper.kept:
        return calculus.evaluate(op, partials, inputs, Keeper(False, keeper.kept), copy=False)
    with waiting(op).borrow() as borrowed:
        return calculus.evaluate(op, partials, inputs, borrowed, copy=False)
