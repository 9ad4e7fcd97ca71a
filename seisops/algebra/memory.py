"""What a product takes in memory, said before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from pylops import LinearOperator

from seisops.algebra.operator import SeismicOperator
from seisops.execution.config import current
from seisops.storage import estimate


@dataclass(frozen=True, repr=False)
class MemoryEstimate:
    """What a product holds while it runs; shown and printed as a table.

    Attributes
    ----------
    marching : int
        Bytes of the wavefields that are marched at once, with their absorbing layers.
    wavefields : int
        Bytes of inputs, outputs and intermediate results, wavefields over all time steps among them.
    background : int
        Bytes of the background wavefields of the derivatives in the product, as they will be kept.
    table : str
        How the backgrounds, or those of the product's own derivative, could be kept, and what is free.
    product : str
        What it is of.
    """

    marching: int
    wavefields: int
    background: int
    table: str
    product: str = ""

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.marching + self.wavefields + self.background

    def __str__(self) -> str:
        rows = [
            ("marching, shots at once", self.marching),
            ("inputs and outputs", self.wavefields),
            ("backgrounds", self.background),
            ("in all", self.total),
        ]
        shown = [f"  {name:24} {estimate.size(n):>10}" for name, n in rows]
        return "\n".join([self.product, *shown, self.table])

    __repr__ = __str__


def memory(op: SeismicOperator, *, verbose: bool = False) -> MemoryEstimate:
    """An estimate of what ``op @ x`` takes, which a notebook shows as a table; nothing runs.

    Parameters
    ----------
    op : SeismicOperator
    verbose : bool
        Print it, in a script.

    Returns
    -------
    MemoryEstimate

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> rec = so.Geometry([[[100, 55.5]]], dt=2, t=200)
    >>> Pr, A = so.Projection(model, rec), so.Modeling(model, rec)
    >>> (Pr @ A @ Pr.H).memory(verbose=False).background
    0
    """
    running = list(_running(op))
    held = sum(prod(f.dimsd) * f.dtype.itemsize for f, _ in running) + prod(op.dims) * op.dtype.itemsize
    footprints = [(f.footprint(nsrc), nsrc) for f, nsrc in running if isinstance(f, SeismicOperator)]
    # An image and its adjoint share a background.
    kept = list({id(s): s for footprint, _ in footprints for s in footprint.backgrounds}.values())
    backgrounds = sum(s.nsrc * s.chosen.nbytes(s.wave()) for s in kept)
    waves = [(footprint.wave, nsrc) for footprint, nsrc in footprints if footprint.wave is not None]
    table = "  no wavefields: nothing is kept"
    if waves:
        wave, nsrc = waves[0]
        # Of what is kept of a step; shots of an aperture have backgrounds of their own.
        wave = kept[0].wave() if kept else wave
        chosen = kept[0].chosen if kept else current().storage.chosen(wave, nsrc)
        table = ("" if kept else "  were it differentiated,\n") + estimate.table(wave, nsrc, chosen)
    marching = max((footprint.marching for footprint, _ in footprints), default=0)
    result = MemoryEstimate(marching, held, backgrounds, table, repr(op))
    if verbose:
        print(result)
    return result


def _running(op: LinearOperator, shots: int = 0) -> Iterator[tuple[LinearOperator, int]]:
    """The operators that run for a product, through all that they are made of, and of how many shots they are."""
    parts = op.running() if isinstance(op, SeismicOperator) else (op,)
    if any(part is op for part in parts):
        shots = max(shots, getattr(op, "nsrc", 1))
    for part in parts:
        if part is op:
            yield op, shots
        else:
            yield from _running(part, shots)
