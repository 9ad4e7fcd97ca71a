"""What whoever waits for a march may want: to see how far it is, to be told what takes long, and to give it up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tqdm.auto import tqdm

# What takes long is said here, at the level INFO: that a kernel is compiled, and how long it took.
logger = logging.getLogger("seisops")
logger.addHandler(logging.NullHandler())

# Whether marches show their steps, which those of several shots do not.
_steps: ContextVar[bool] = ContextVar("steps", default=False)
# Set when what runs here is not waited for any more.
_given_up: ContextVar[threading.Event | None] = ContextVar("given_up", default=None)


class GivenUp(Exception):
    """A march that nobody waits for."""


def shows_steps() -> bool:
    """Whether marches that run here show a bar over their steps."""
    return _steps.get()


@contextmanager
def showing_steps() -> Iterator[None]:
    """Show a bar over the steps of marches inside a ``with`` block."""
    token = _steps.set(True)
    try:
        yield
    finally:
        _steps.reset(token)


@contextmanager
def bar(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Show a bar inside a ``with`` block, and give the function that moves it on."""
    with tqdm(total=total, desc=what, leave=what == "shots") as shown:
        yield shown.update


def told(message: str) -> None:
    """Say what takes long: to the logger, and on standard error where progress is shown."""
    logger.info(message)


def check_given_up() -> None:
    """End a march that nobody waits for."""
    event = _given_up.get()
    if event is not None and event.is_set():
        raise GivenUp


def until(event: threading.Event, task: Callable) -> Callable:
    """`task`, whose marches end when `event` is set."""

    def run(*args):
        token = _given_up.set(event)
        try:
            return task(*args)
        finally:
            _given_up.reset(token)

    return run
