"""Large arrays, aligned and reused: fresh pages cost more than the stencil that fills them."""

from __future__ import annotations

import threading
from collections import defaultdict
from math import prod

import numpy as np
import psutil
from numpy.typing import NDArray

ALIGNMENT = 64
# Bytes of idle memory that may be held back from the system.
IDLE_LIMIT = psutil.virtual_memory().total // 4

_idle: dict[int, list[NDArray]] = defaultdict(list)
_held = 0
_lock = threading.RLock()


def take(shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
    """An aligned array with arbitrary contents, whose memory is reused once nothing refers to it."""
    global _held
    size = prod(shape) * np.dtype(dtype).itemsize
    with _lock:
        raw = _idle[size].pop() if _idle[size] else None
        _held -= 0 if raw is None else size
    return np.asarray(_Block(_aligned(size) if raw is None else raw)).view(dtype).reshape(shape)


def aligned(array: NDArray, dtype: np.dtype) -> NDArray:
    """`array` itself where a kernel can use it as it is, an aligned copy elsewhere."""
    array = np.asarray(array)
    if array.dtype == dtype and array.flags.c_contiguous and array.__array_interface__["data"][0] % ALIGNMENT == 0:
        return array
    return copied(array, dtype)


def copied(array: NDArray, dtype: np.dtype) -> NDArray:
    """Copy `array` to aligned memory, which frameworks share as it is: what is not aligned they would copy again."""
    copy = take(array.shape, dtype)
    copy[...] = array
    return copy


def clear() -> None:
    """Return all idle memory to the system."""
    global _held
    with _lock:
        _idle.clear()
        _held = 0


class _Block:
    """Owns memory for NumPy: every view of it keeps the block alive, and its end makes the memory idle."""

    def __init__(self, raw: NDArray) -> None:
        self.raw = raw
        self.__array_interface__ = raw.__array_interface__

    def __del__(self) -> None:
        global _held
        with _lock:
            if _held + self.raw.nbytes <= IDLE_LIMIT:
                _idle[self.raw.nbytes].append(self.raw)
                _held += self.raw.nbytes


def _aligned(size: int) -> NDArray:
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]
