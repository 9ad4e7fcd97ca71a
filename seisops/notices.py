"""Warnings that point at the user's line, once for every cause."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

# Whose lines a user did not write: ours, and those through which ours are called.
LIBRARIES = frozenset(
    {"seisops", "seisops_torch", "seisops_keras", "pylops", "scipy", "numpy", "torch", "keras", "tensorflow",
     "distributed", "concurrent", "threading", "contextlib", "functools", "contextvars", "importlib"}
)  # fmt: skip

# The line of the user for which shots run in this thread, which has no frame of it.
_line: ContextVar[tuple[str, int] | None] = ContextVar("line", default=None)


class SetupWarning(UserWarning):
    """A set-up that runs, and is hardly what was meant."""


class ReflectingWarning(SetupWarning):
    """A model whose edges reflect, as it has no absorbing layer."""


def warn(message: str, category: type[Warning] = SetupWarning, *, told: set | None = None, cause: Hashable = None):
    """Warn at the user's line.

    Parameters
    ----------
    message : str
    category : class
    told : set, optional
        Where it is written down that `cause` was warned of; one that stands there is not warned of again.
    cause : hashable
    """
    if told is not None:
        if cause in told:
            return
        told.add(cause)
    frame = _users_frame()
    if frame is not None:
        registry = frame.f_globals.setdefault("__warningregistry__", {})
        module = frame.f_globals.get("__name__", "<unknown>")
        warnings.warn_explicit(message, category, frame.f_code.co_filename, frame.f_lineno, module, registry)
    elif _line.get() is not None:
        warnings.warn_explicit(message, category, *_line.get())
    else:
        warnings.warn(message, category, stacklevel=2)


def at_this_line(task: Callable[..., T]) -> Callable[..., T]:
    """`task` for another thread, whose warnings point at the line of the user that runs here."""
    frame = _users_frame()
    line = _line.get() if frame is None else (frame.f_code.co_filename, frame.f_lineno)

    def run(*args) -> T:
        token = _line.set(line)
        try:
            return task(*args)
        finally:
            _line.reset(token)

    return run


def _users_frame() -> FrameType | None:
    """The innermost frame that is of no library; None in a thread that began in one."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in LIBRARIES:
            return frame
        frame = frame.f_back
    return None
