"""What no misfit takes, refused in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def check_positive(misfit, name: str) -> None:
    """Raise where a parameter of a misfit is not positive."""
    value = getattr(misfit, name)
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} of {type(misfit).__name__} must be positive, got {value}.")


def check_traces(misfit, d: NDArray) -> None:
    """Raise for records without a trace axis."""
    if d.ndim < 2:
        raise ValueError(
            f"{type(misfit).__name__} compares traces: it takes arrays (..., trace, time), got {d.size} samples in a "
            "row. Give d[None] for one trace."
        )
