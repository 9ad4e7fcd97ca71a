"""Operators and keepers by number, for graphs that hold only tensors and numbers."""

from __future__ import annotations

import itertools
import threading
import uuid
import weakref
from typing import Any

from pylops import LinearOperator

from seisops.bridge.calculus import Keeper

_numbered: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
_next = itertools.count(1)
_lock = threading.Lock()

# Of this process alone: what leaves it, in a file, tells by this name whose numbers it has.
PROCESS = uuid.uuid4().hex


def register(thing: LinearOperator | Keeper) -> int:
    """A number by which a graph calls `thing`, valid while it lives."""
    with _lock:
        if thing not in _numbers:
            _numbers[thing] = next(_next)
            _numbered[_numbers[thing]] = thing
        return _numbers[thing]


def registered(number: int) -> Any:
    """What a number stands for.

    Raises
    ------
    RuntimeError
        If it is gone.
    """
    thing = _numbered.get(number)
    if thing is None:
        raise RuntimeError("This graph was compiled for an operator that no longer exists; build the layer again.")
    return thing


def keeper(number: int) -> Keeper | None:
    """The keeper of a number; None for 0, and where it is gone: a graph may outlive the product it was traced in."""
    return _numbered.get(number)
