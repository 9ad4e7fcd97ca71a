"""Large arrays, aligned and reused: fresh pages cost more than the stencil that fills them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from math import prod

import numpy as np
import psutil
from numpy.typing import NDArray

ALIGNMENT = 64
# Bytes of idle memory that may be held back from the system.
IDLE_LIMIT = psutil.virtual_memory().total // 4

# By size, the size that came back last at the end.
_idle: OrderedDict[int, list[NDArray]] = OrderedDict()
_held = 0
_lock = threading.Lock()


def take(shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
    """An aligned array with arbitrary contents, whose memory is reused once nothing refers to it."""
    size = prod(shape) * np.dtype(dtype).itemsize
    room = _room(size)
    raw = _reused(room)
    return np.asarray(_Block(_aligned(room) if raw is None else raw))[:size].view(dtype).reshape(shape)


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
        # Held for whoever comes next; where it is too much, what was not used for longest goes.
        global _held
        # The end of an array can come in the middle of any line, of these too: then its memory goes to the system.
        # At the end of the process what is here may have gone before.
        if _lock is None or not _lock.acquire(blocking=False):
            return
        try:
            _idle.setdefault(self.raw.nbytes, []).append(self.raw)
            _idle.move_to_end(self.raw.nbytes)
            _held += self.raw.nbytes
            while _held > IDLE_LIMIT:
                oldest, arrays = next(iter(_idle.items()))
                _held -= arrays.pop(0).nbytes
                if not arrays:
                    del _idle[oldest]
        finally:
            _lock.release()


def _room(size: int) -> int:
    """`size` rounded up by an eighth at most, so that wavefields of about as many steps share memory."""
    step = max(1 << size.bit_length() >> 4, ALIGNMENT)
    return -(-size // step) * step


def _reused(room: int) -> NDArray | None:
    """Idle memory of that size, where there is some."""
    global _held
    with _lock:
        if room not in _idle:
            return None
        raw = _idle[room].pop()
        if not _idle[room]:
            del _idle[room]
        _held -= room
        return raw


def _aligned(size: int) -> NDArray:
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]
