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

    What is added to a field of `second` order shows in the next step.
    """
    result: list = []
    for step in steps:
        earlier = _mergeable(result, step, second)
        if earlier is None:
            result.append(step)
        else:
            first = result.pop(earlier)
            result.append(replace(step, terms=first.terms + step.terms, keep=first.keep))
    return tuple(result)


def _mergeable(result: list, step, second: set[str]) -> int | None:
    """The stage that can wait until `step` and be one with it."""
    if not isinstance(step, Stage) or step.keep:
        return None
    for i in reversed(range(len(result))):
        earlier = result[i]
        if isinstance(earlier, Stage) and (earlier.target, earlier.strip) == (step.target, step.strip):
            return i if all(commute(earlier, s, second) for s in result[i + 1 :]) else None
    return None


def commute(one, other, second: set[str]) -> bool:
    """Whether the order of two steps is of no consequence."""
    scaled = one.changes == other.changes and (one.keep or other.keep)
    return not (scaled or ({one.changes} - second) & other.reads or ({other.changes} - second) & one.reads)
