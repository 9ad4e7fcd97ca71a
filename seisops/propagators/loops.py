"""In which order the stages of a time step run: few loops, each of what may run together."""

from __future__ import annotations

from seisops.physics.ordering import commute
from seisops.physics.scheme import Scheme
from seisops.physics.steps import Port, Stage
from seisops.physics.terms import Difference


def arranged(scheme: Scheme) -> list:
    """The steps in an order of few loops: stages of the whole grid as soon as they can be, each strip's together.

    Strips along the first axis stand last: all others have loops over that axis in common with the whole grid, whose
    rows are then still in the caches.
    """
    found: list = []
    left = list(scheme.steps)
    while left:
        for nodes in sorted(dict.fromkeys([None, *map(_nodes, left)]), key=lambda nodes: nodes == 0):
            waiting: list = []
            for step in left:
                free = _nodes(step) == nodes and all(commute(step, other, scheme.second) for other in waiting)
                (found if free else waiting).append(step)
            left = waiting
    return found


def _nodes(step) -> int | str | None:
    """Where a step is: at points or all over a wavefield, in the strips of a layer, or a stage of the whole grid."""
    return "outside" if isinstance(step, Port) else _strip(step)


def _strip(step) -> int | None:
    """The layer that a step is in, if in any."""
    return step.strip if isinstance(step, Stage) else None


def runs(steps: list, last: list) -> list[list]:
    """The stages of a strip that stand behind one another, up to those of `last`; all others by themselves."""
    found: list[list] = []
    for step in steps:
        if found and _strip(step) is not None and _strip(found[-1][-1]) == _strip(step) and found[-1][-1] not in last:
            found[-1].append(step)
        else:
            found.append([step])
    return found


def turns(scheme: Scheme) -> dict[Stage, int]:
    """When the stages of strips may run: after those that change what they read, or read what they change.

    Of one turn those that touch the same nodes alone; a difference touches its neighbours. What is read of a field of
    second order is another level than what is changed.
    """
    changed: dict[str, int] = {}
    read: dict[str, int] = {}
    found = {}
    for stage in (s for s in scheme.stages if s.strip is not None):
        beside = {t.field: any(isinstance(o, Difference) for o in t.operations) for t in stage.terms}
        after = [changed.get(name, 0) + wide for name, wide in beside.items()]
        after += [changed.get(stage.target, 0), read.get(stage.target, 0)]
        found[stage] = max(after)
        for name, wide in beside.items():
            if name not in scheme.second:
                read[name] = max(read.get(name, 0), found[stage] + wide)
        if stage.target not in scheme.second:
            changed[stage.target] = max(changed.get(stage.target, 0), found[stage])
    return found
