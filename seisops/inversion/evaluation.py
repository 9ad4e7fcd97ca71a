"""The misfit of records and its gradient, shot by shot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.algebra import Chain, SeismicOperator, Sum, blocks, product
from seisops.arrays import real
from seisops.inversion import misfits
from seisops.inversion.records import Data, check_real, read, records_of_shots

Misfit = Callable[[NDArray, NDArray], tuple[float, NDArray]]


@dataclass(frozen=True)
class ShotGradients:
    """The misfit and gradient of every shot by itself, as a task for an executor."""

    misfit: Misfit
    wrt: tuple[str, ...]
    op: SeismicOperator
    P: SeismicOperator | None
    q: NDArray
    d: Data

    def __call__(self, i: int) -> tuple[float, NDArray]:
        return misfit_and_gradient(**vars(self.only(i)))

    def only(self, i: int) -> ShotGradients:
        """Take shot `i` alone."""
        P = None if self.P is None else self.P[[i]]
        d = records_of_shots(self.op, self.d, [i])
        return ShotGradients(self.misfit, self.wrt, self.op[[i]], P, self.op.shots_in(self.q, [i]), d)


def misfit_and_gradient(
    misfit: Misfit, wrt: tuple[str, ...], op: SeismicOperator, P: LinearOperator | None, q: NDArray, d: Data
) -> tuple[float, NDArray]:
    """Compare ``P op q`` with ``P d``: the misfit, and its gradient in the parameters `wrt`, flat."""
    op, d = behind(P, op, d)
    synthetic, J = op.linearize(q, wrt)
    value, residual = evaluate(op, misfit, synthetic, d)
    return value, J.rmatvec(residual)


def check_misfit(misfit: Misfit) -> None:
    """Refuse what cannot be called with records."""
    if isinstance(misfit, type):
        raise TypeError(f"misfit is an object: write so.misfits.{misfit.__name__}(...), with parentheses.")
    if not callable(misfit):
        known = next((n for n in misfits.__all__ if n.lower() == str(misfit).lower()), "L2")
        raise TypeError(
            f"misfit is a function (d_syn, d_obs) -> value, residual, got {misfit!r}: write so.misfits.{known}(), or "
            f"another of {', '.join(misfits.__all__)}."
        )


def behind(P: LinearOperator | None, op: LinearOperator, d: Data) -> tuple[LinearOperator, NDArray]:
    """Put P before the operator and before its data, which are taken to double precision first."""
    d = read(op, d).astype(np.float64)
    if P is None:
        return op, d
    check_real(P)
    return product(P, op), P.matvec(d.ravel()).reshape(P.dimsd)


def evaluate(op: LinearOperator, misfit: Misfit, d_syn: NDArray, d_obs: NDArray) -> tuple[float, NDArray]:
    """Add up the misfits of all shots; with the gradient in the synthetic records, flat."""
    value, residuals = 0.0, []
    for s, d in by_shot(op, np.asarray(d_syn, np.float64), np.asarray(d_obs, np.float64)):
        part, residual = misfit(s, d)
        if np.shape(residual) != s.shape:
            raise ValueError(f"{misfit!r} gives a residual of shape {np.shape(residual)} for records of {s.shape}.")
        part, residual = (real(x, f"What {misfit!r} gives") for x in (part, residual))
        if not (np.isfinite(part) and np.all(np.isfinite(residual))):
            raise ValueError(f"{misfit!r} gives a value or a residual that is not finite.")
        value += float(part)
        residuals.append(np.ravel(residual))
    return value, np.concatenate(residuals)


def by_shot(op: LinearOperator, *data: NDArray) -> list[tuple[NDArray, ...]]:
    """Cut data into the records of every shot; leave them together where `op` does not tell shots apart."""
    stacked = blocks(op)
    if stacked[0][1] is not op:
        return [s for part, row in stacked for s in by_shot(row, *(np.ravel(d)[part] for d in data))]
    last = end(op, 0)
    if not getattr(last, "separable", False) or last.nsrc == 1:
        return [data]
    return [tuple(last.shots_out(d, [i]) for d in data) for i in range(last.nsrc)]


def end(op: LinearOperator, i: int) -> LinearOperator:
    """Find the factor that makes the output of `op` (0), or takes its input (-1)."""
    while isinstance(op, (Chain, Sum)):
        op = op.factors[i] if isinstance(op, Chain) else op.terms[0]
    return op
