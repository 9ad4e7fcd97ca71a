"""What users hand in, as arrays of real numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


def real(x: ArrayLike, what: str, dtype: DTypeLike | None = np.float64) -> NDArray:
    """`x` as an array, refused where it is complex: NumPy would drop the imaginary part."""
    x = np.asarray(x)
    if np.iscomplexobj(x):
        raise TypeError(f"{what} must be real, not {x.dtype}: take the real and the imaginary part apart.")
    return x if dtype is None else x.astype(dtype, copy=False)
