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
        self._lock, self._inside, self._limit = threading.Lock(), 0, None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                libraries = _libraries()
                # Where it has one already that is quickly seen; to change it takes as long as a small march.
                many = [lib for lib in libraries.lib_controllers if lib.get_num_threads() != 1]
                self._limit = libraries.limit(limits=1) if many else None
            self._inside += 1

    def __exit__(self, *error) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._limit is not None:
                self._limit.restore_original_limits()


@lru_cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


one_thread = _OneThread()
