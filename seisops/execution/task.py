"""What is done for every shot, and the order in which results come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Pending(Protocol[T]):
    """A result that will come, such as a future of :mod:`concurrent.futures`."""

    def result(self) -> T:
        """Wait for it."""

    def cancel(self) -> object:
        """Give it up if it has not begun."""


class Task(Protocol):
    """What is done for the shots of a survey."""

    def __call__(self, i: int):
        """Return the result of shot `i`."""

    def only(self, i: int) -> Task:
        """Take shot `i` alone, as shot 0, to be sent to another process."""


def in_order(submit: Callable[[int], Pending[T]], n: int, window: int) -> Iterator[T]:
    """Give the results of ``submit(0), ..., submit(n - 1)``, at most `window` of them begun and not yet taken.

    Whatever ends this early, an error or Ctrl-C, cancels what has not begun.
    """
    begun: deque[Pending[T]] = deque()
    try:
        for i in range(n):
            begun.append(submit(i))
            if len(begun) == window:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
