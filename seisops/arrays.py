"""What users hand in, as arrays of real numbers that are ours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


def real(x: ArrayLike, what: str, dtype: DTypeLike | None = np.float64) -> NDArray:
    """`x` as an array, refused where it is complex: NumPy would drop the imaginary part."""
    x = np.asarray(x)
    if x.dtype.kind == "c":
        raise TypeError(f"{what} must be real, not {x.dtype}: take the real and the imaginary part apart.")
    return x if dtype is None else x.astype(dtype, copy=False)


def real_type(dtype: DTypeLike) -> np.dtype:
    """The type of the real part of numbers of a type."""
    return np.zeros(0, dtype).real.dtype


def own(x: ArrayLike, dtype: np.dtype | None = None) -> NDArray:
    """A copy of `x`, in `dtype` at least, that does not change when `x` does; `x` itself where that cannot change."""
    x = np.asarray(x)
    dtype = x.dtype if dtype is None or x.dtype == dtype else np.result_type(x, dtype)
    base: object = x
    while isinstance(base, np.ndarray) and not base.flags.writeable:
        base = base.base
    if base is None and x.dtype == dtype:
        return x
    x = np.array(x, dtype)
    x.flags.writeable = False
    return x


def number(x):
    """A scalar as one of Python's, whose products do not overflow or round as those of a small type of NumPy's do."""
    if isinstance(x, (str, bytes)):
        raise TypeError(f"An operator is multiplied by numbers, arrays and operators, not by {x!r}.")
    return x.item() if isinstance(x, np.generic) else x


def shot_indices(index: int | slice | Sequence[int], nsrc: int) -> list[int]:
    """List the shots `index` selects among `nsrc`, as NumPy would; at least one."""
    if isinstance(index, (bool, np.bool)) or (not isinstance(index, slice) and np.ndim(index) > 1):
        raise IndexError(f"Shots are a whole number, a slice or a list of whole numbers, not {index}.")
    try:
        chosen = np.atleast_1d(np.arange(nsrc)[index if isinstance(index, slice) else np.asarray(index)]).tolist()
    except IndexError as error:
        raise IndexError(f"Shots {index} do not exist among {nsrc} (0 to {nsrc - 1}).") from error
    if not chosen:
        raise IndexError(f"Shots {index} select nothing among {nsrc}.")
    return chosen
