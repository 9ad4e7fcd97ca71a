"""Which steps may change places, and stages that are made one where they may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from seisops.physics.steps import Stage


def kept_first(steps: list, second: set[str]) -> list:
    """The same steps with every factor ``y = q y`` at the beginning: at the end of a step it is that of the next."""
    kept = [s for s in steps if isinstance(s, Stage) and s.keep and not s.terms]
    for s in kept:
        if not all(commute(s, other, second) for other in steps[steps.index(s) + 1 :]):
            raise ValueError(f"{s.target} is used after its factor {s.keep} in a step: put its stage last.")
    return kept + [s for s in steps if s not in kept]


def merged(steps: Iterable, second: set[str]) -> tuple:
    """The same steps with stages of one field in one, where what stands between them does not tell the difference.

    The first waits for the other, or that comes sooner. What is added to a field of `second` order shows in the next
    step.
    """
    result: list = []
    for step in steps:
        i = _earlier(result, step)
        if i is None:
            result.append(step)
            continue
        first, between = result[i], result[i + 1 :]
        both = replace(step, terms=first.terms + step.terms, keep=first.keep)
        if all(commute(first, other, second) for other in between):
            result = [*result[:i], *between, both]
        elif all(commute(step, other, second) for other in between):
            result[i] = both
        else:
            result.append(step)
    return tuple(result)


def _earlier(result: list, step) -> int | None:
    """Where the last stage is that a step could be one with."""
    if not isinstance(step, Stage) or step.keep:
        return None
    alike = (i for i, s in enumerate(result) if isinstance(s, Stage) and _place(s) == _place(step))
    return max(alike, default=None)


def _place(stage: Stage) -> tuple:
    return stage.target, stage.strip


def commute(one, other, second: set[str]) -> bool:
    """Whether the order of two steps is of no consequence."""
    scaled = one.changes == other.changes and (one.keep or other.keep)
    return not (scaled or ({one.changes} - second) & other.reads or ({other.changes} - second) & one.reads)
