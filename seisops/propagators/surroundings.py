"""What builds and runs of kernels leave as they found it: the arithmetic of the thread, the collector, the log."""

from __future__ import annotations

import ctypes
import gc
import logging
import platform
import sys
from contextlib import contextmanager
from contextvars import ContextVar

from devito.logger import logger


@contextmanager
def uncollected():
    """Without the garbage collector: looking through what a build makes takes a fifth of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


_inside: ContextVar[bool] = ContextVar("inside_seisops", default=False)


def _wanted(record: logging.LogRecord) -> bool:
    """Devito reports every build and run at its default level; from within this library only warnings matter.

    And not that which takes the layer's profiles along one axis for a part that is too small: grids are checked before;
    nor that a difference between nodes has as many weights as nodes.
    """
    routine = record.levelno == logging.INFO == logger.level
    known = any(words in record.getMessage() for words in ("but the current rank", "Less weights"))
    return not (_inside.get() and (routine or known))


logger.addFilter(_wanted)


@contextmanager
def quiet():
    """Silence Devito's routine reports; its configuration stays the user's."""
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)


_process = ctypes.CDLL(None)
_Environment = ctypes.c_char * 256


# Of an environment of floating point, where its control word begins and which bits make zeros of subnormal numbers.
_KNOWN = {("linux", "x86_64"): (28, 0x8040), ("linux", "aarch64"): (0, 1 << 24)}
FLUSH = _KNOWN.get((sys.platform, platform.machine()))


class float_environment:
    """Keep the process in IEEE arithmetic inside a ``with`` block.

    A library linked with -ffast-math switches its thread to flush-to-zero when it is loaded, and Devito's kernels do
    when they are called; the thread is the user's.
    """

    flush = None

    def __enter__(self) -> None:
        self.saved = _Environment()
        _process.fegetenv(self.saved)
        if self.flush:
            start, bits = self.flush
            ours = _Environment.from_buffer_copy(self.saved)
            ctypes.c_uint32.from_buffer(ours, start).value |= bits
            _process.fesetenv(ours)

    def __exit__(self, *error) -> None:
        _process.fesetenv(self.saved)


class flushing(float_environment):
    """Take subnormal numbers for zero inside a ``with`` block, as kernels do, where it is known how.

    A processor stops at each of them, and what points record before a wave arrives is full of them: the change of time
    axes took ten times as long.
    """

    flush = FLUSH
