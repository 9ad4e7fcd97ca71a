"""NumPy's linear algebra on one thread while shots run.

A BLAS with threads of its own lets them spin for their next work, on the cores that march: with two cores a gradient of
eight shots took 1.4 times as long.
"""

from __future__ import annotations

import threading
from functools import lru_cache

from threadpoolctl import ThreadpoolController


class _OneThread:
    """A context in which BLAS has one thread, from the first that enters to the last that leaves."""

    def __init__(self) -> None:
        # Shots that were given up may be collected, and leave, while their thread is in here.
        self._lock, self._inside, self._limited = threading.RLock(), 0, []

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                found = [(library, library.get_num_threads()) for library in _libraries()]
                self._limited = [(library, n) for library, n in found if n not in (None, 1)]
                for library, _ in self._limited:
                    _limit(library, 1)
            self._inside += 1

    def __exit__(self, *error) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for library, n in self._limited:
                    _limit(library, n)


def _limit(library, n: int) -> None:
    # Some releases of threadpoolctl listen to the first thread alone, and another may leave last.
    let_go = getattr(library, "clear_controlling_thread", None)
    if let_go:
        let_go(force=True)
    library.set_num_threads(n)
    if let_go:
        let_go(force=True)


@lru_cache
def _libraries() -> list:
    return ThreadpoolController().select(user_api="blas").lib_controllers


one_thread = _OneThread()
