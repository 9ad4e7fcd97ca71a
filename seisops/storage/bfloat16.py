"""Sixteen bits for a number, bfloat16: the upper half of a float32, rounded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Half of the last bit that is kept.
HALF_BIT = np.uint32(1 << 15)


def narrowed(x: NDArray) -> NDArray:
    """The bits of `x`, rounded; kernels round alike."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + HALF_BIT) >> 16).astype(np.uint16)


def widened(bits: NDArray) -> NDArray:
    """The float32 whose upper half is `bits`."""
    wide = bits.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)
