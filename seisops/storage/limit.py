"""The memory that backgrounds may take, of which the settings know."""

from __future__ import annotations

from collections.abc import Callable

_limit: list[Callable[[], int | None]] = []


def limited(ask: Callable[[], int | None]) -> None:
    """Let the settings, which stand above, say how much it is."""
    _limit[:] = [ask]


def limit() -> int | None:
    """Bytes that the backgrounds of one derivative may take here; None without a limit."""
    return _limit[0]() if _limit else None
