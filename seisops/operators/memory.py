"""What a product takes in memory, said before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from pylops import LinearOperator

from seisops.algebra import Adjoint, Chain, SeismicOperator, Sum
from seisops.algebra.configured import Configured
from seisops.execution.config import current
from seisops.execution.cores import at_once
from seisops.operators.modeling import Propagation
from seisops.operators.scattering import Scattering
from seisops.operators.survey_operator import SurveyOperator
from seisops.storage import estimate


@dataclass(frozen=True)
class MemoryEstimate:
    """What a product holds while it runs.

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
    """

    marching: int
    wavefields: int
    background: int
    table: str

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
        return "\n".join([*(f"  {name:24} {estimate.size(n):>10}" for name, n in rows), self.table])


def memory(op: SeismicOperator, *, verbose: bool = True) -> MemoryEstimate:
    """An estimate of what ``op @ x`` takes; nothing runs.

    Parameters
    ----------
    op : SeismicOperator
    verbose : bool
        Print it.

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
    found = list(_factors(op))
    factors = [f for f, _ in found]
    marching = (_marching(f, nsrc) for f, nsrc in found if isinstance(f, Propagation))
    # An image and its adjoint share a background.
    scattering = list({id(s): s for f in factors for s in _scattering(f)}.values())
    held = sum(prod(f.dimsd) * f.dtype.itemsize for f in factors) + prod(op.dims) * op.dtype.itemsize
    backgrounds = sum(s.nsrc * s.chosen.nbytes(s.wave()) for s in scattering)
    surveys = [(f.wave(), nsrc) for f, nsrc in found if isinstance(f, SurveyOperator)]
    table = "  no wavefields: nothing is kept"
    if surveys:
        wave, nsrc = surveys[0]
        chosen = scattering[0].chosen if scattering else current().storage.chosen(wave, nsrc)
        table = ("" if scattering else "  were it differentiated,\n") + estimate.table(wave, nsrc, chosen)
    result = MemoryEstimate(max(marching, default=0), held, backgrounds, table)
    if verbose:
        print(f"{op!r}\n{result}")
    return result


def _factors(op, shots: int = 0) -> Iterator[tuple[LinearOperator, int]]:
    """The factors of a product as they run, through sums, adjoints and apertures, and of how many shots they are."""
    match op:
        case Sum():
            for term in op.terms:
                yield from _factors(term, shots)
        case Chain():
            for f in op.running():
                yield from _factors(f, shots)
        case Adjoint() | Configured():
            yield from _factors(op.op, shots)
        case SeismicOperator(part=part):
            yield op, shots
            for i in range(op.nsrc):
                yield from _factors(part(i), max(shots, op.nsrc))
        case _:
            yield op, max(shots, getattr(op, "nsrc", 1))


def _scattering(f) -> list[Scattering]:
    ends = (f.left, f.right) if isinstance(f, Propagation) else (f,)
    return [s for s in ends if isinstance(s, Scattering)]


def _marching(f: Propagation, nsrc: int) -> int:
    """Bytes of the fields of the shots that are marched at once, of as many as `nsrc` like `f`."""
    model = f.model
    cells = prod(n + 2 * model.space_order for n in f.wave().shape)
    # Three levels of the wavefield, the model, and two memory fields for every axis.
    return at_once(nsrc, prod(model.padded_shape)) * (4 + 2 * model.ndim) * cells * f.dtype.itemsize
