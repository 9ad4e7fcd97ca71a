"""Observed records: those of the chosen shots, checked, and read no earlier than they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from pylops import LinearOperator

from seisops.algebra import SeismicOperator, ShotIndex, check_finite, dependent, describe
from seisops.arrays import real, shot_indices


@dataclass(frozen=True)
class Unread:
    """Records of `shots` that stay in their file until they are asked for."""

    data: Any
    shots: Sequence[int]

    def __getitem__(self, chosen: Sequence[int]) -> Unread:
        shots = [self.shots[i] for i in chosen]
        # What another process gets tells of no other shots; and a slice is what every lazy array understands.
        return Unread(self.data[shots[0] : shots[0] + 1], [0]) if len(shots) == 1 else Unread(self.data, shots)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray:
        return np.asarray(np.concatenate([np.ravel(self.data[i : i + 1]) for i in self.shots]), dtype)


Data = NDArray | Unread


def observed(F, q: ArrayLike, d: ArrayLike, shots: ShotIndex | None = None) -> tuple[SeismicOperator, NDArray, Data]:
    """Check F, the source and the data, and select the chosen shots of each."""
    op = dependent(F)
    q = real(op._as_input(q), "The source", None)
    check_finite(op, q)
    q = q if shots is None else op.shots_in(q, chosen_shots(op, shots))
    op, d = of_shots(op, d, shots)
    return op, q, d


def of_shots(op: LinearOperator, d: ArrayLike, shots: ShotIndex | None) -> tuple[LinearOperator, Data]:
    """Select the chosen shots of `op` and of its data."""
    check_real(op)
    if isinstance(d, (list, tuple)) and len({np.shape(x) for x in d}) > 1:
        # The records of shots that differ in their points, as geometry.split gives them.
        d = np.concatenate([np.ravel(x) for x in d])
    if np.prod(np.shape(d)) != op.shape[0]:
        raise ValueError(f"The data have shape {np.shape(d)}, {describe(op)} gives {op.dimsd}.")
    d = Unread(d, range(op.nsrc)) if _stays_unread(op, d) else read(op, d)
    if shots is None:
        return op, d
    chosen = chosen_shots(op, shots)
    return op[chosen], records_of_shots(op, d, chosen)


def chosen_shots(op: LinearOperator, shots: ShotIndex) -> list[int]:
    """List the chosen shots of an operator."""
    if not isinstance(op, SeismicOperator):
        raise TypeError(
            f"Cannot select shots of {describe(op)}: it does not say what a shot is. On records, "
            "so.preconditioners.ShotWise makes an operator that does from one for every shot."
        )
    return shot_indices(shots, op.nsrc)


def _stays_unread(op: LinearOperator, d: ArrayLike) -> bool:
    """True if `d` is no array but hands out the record of a shot."""
    if isinstance(d, np.ndarray) or not hasattr(d, "__getitem__") or not getattr(op, "separable", False):
        return False
    return tuple(getattr(d, "shape", ())) == op.dimsd and len(d) == op.nsrc > 1


def read(op: LinearOperator, d: ArrayLike) -> NDArray:
    """Read the data into an array; raise where it is complex or not finite."""
    d = real(d, "The data", None)
    if not np.all(np.isfinite(d)):
        raise ValueError(f"The data have {int(np.sum(~np.isfinite(d)))} samples that are not finite.")
    return d.reshape(op.dimsd)


def records_of_shots(op: LinearOperator, d: Data, chosen: Sequence[int]) -> Data:
    """Select the records of the chosen shots, still unread if they are."""
    return d[chosen] if isinstance(d, Unread) else op.shots_out(d, chosen)


def check_real(op: LinearOperator) -> None:
    """Raise for an operator that gives complex records."""
    if np.issubdtype(op.dtype, np.complexfloating):
        raise TypeError(
            f"A misfit is of real records, {describe(op)} is complex: take its real and imaginary part apart."
        )
