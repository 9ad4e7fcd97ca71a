"""Positions as users give them, as arrays of ours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.arrays import real


def points_of(x: ArrayLike, y: ArrayLike | None, depth: ArrayLike) -> NDArray:
    """Positions (point, axis) from coordinates of one length, or shorter ones that hold for all points."""
    coordinates = [np.atleast_1d(real(c, "Positions")) for c in (x, y, depth) if c is not None]
    try:
        return np.stack(np.broadcast_arrays(*coordinates), axis=-1).reshape(-1, len(coordinates))
    except ValueError as error:
        shapes = ", ".join(str(c.shape) for c in coordinates)
        raise ValueError(f"The coordinates of points must have one length or be single numbers: {shapes}.") from error


def positions_of(positions: ArrayLike | Sequence[ArrayLike]) -> tuple[NDArray, ...]:
    shots = tuple(np.array(real(p, "Positions")) for p in positions)
    if not shots:
        raise ValueError("A survey needs at least one shot.")
    for i, p in enumerate(shots):
        if p.ndim != 2 or p.shape[1] not in (2, 3) or not len(p):
            raise ValueError(
                f"Positions have axes (shot, point, axis) with 2 or 3 coordinates; shot {i} has shape {p.shape}. "
                "Geometry.line takes one point for every shot, Geometry.spread the same points for all."
            )
        if not np.all(np.isfinite(p)):
            raise ValueError(f"Shot {i} has positions that are not finite.")
        p.flags.writeable = False
    if len({p.shape[1] for p in shots}) > 1:
        raise ValueError("All shots must have the same number of coordinates.")
    return shots
