"""Smooth steps between zero and one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def rise(x: ArrayLike, start: ArrayLike, end: ArrayLike) -> NDArray:
    """0 before `start`, 1 from `end` on, the square of a sine between; a step where they are equal."""
    length = np.subtract(end, start)
    part = np.where(length > 0, (x - start) / np.where(length > 0, length, 1), np.greater_equal(x, end))
    return np.sin(0.5 * np.pi * np.clip(part, 0, 1)) ** 2


def both_ends(x: NDArray, low: float, high: float, width: float, unit: str) -> NDArray:
    """A rise from `low` and a fall to `high`, each over `width`."""
    if not 0 <= width <= (high - low) / 2:
        raise ValueError(f"A taper of {width:g} {unit} at both ends needs 0 to {(high - low) / 2:g} {unit}.")
    return rise(x, low, low + width) * rise(-x, -high, -high + width)
