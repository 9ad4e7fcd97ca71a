"""Every wavefield open to the outside.

A medium's wavefields are the channels of its modelling operator: what enters at a field is added to it just after its
last stage, and there it is read. So a perturbation of a coefficient c of a stage ``y += c x`` is a source at y of what
is read at x, and modelling, its adjoint and all derivatives run on one scheme.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from seisops.physics.scheme import Scheme
from seisops.physics.steps import Port, Receiver, Source, Stage
from seisops.physics.terms import ZERO, Expression, Field


def ported(
    fields: Iterable[Field], stages: Iterable[Stage], ports: Iterable[Port] = (), closed: Collection[str] = ()
) -> Scheme:
    """The scheme of `stages` with `ports`, and with a source and a receiver at every field, named after it.

    Fields that are `closed` have only those of `ports`.
    """
    fields, stages, result = tuple(fields), list(stages), []
    last = {stage.target: i for i, stage in enumerate(stages)}
    for i, stage in enumerate(stages):
        result.append(stage)
        name = stage.target
        if last[name] == i:
            own = [] if name in closed else [Source(name, name), Receiver(name, name)]
            # What comes in is there when it is read.
            result += sorted((*(p for p in ports if p.field == name), *own), key=lambda p: isinstance(p, Receiver))
    return Scheme(fields, tuple(result))


def assigned(target: Field, value: Expression) -> Stage:
    """The stage that makes a field anew in every step."""
    return Stage(target.name, value.terms, keep=ZERO)


def added(target: Field, value: Expression) -> Stage:
    """The stage that adds to a field."""
    return Stage(target.name, value.terms)


@dataclass(frozen=True)
class Scatterer:
    """How a coefficient scatters: ``target += factor δc kept``.

    Parameters
    ----------
    coefficient : str
    target : str
        The source it acts at.
    kept : str
        The receiver at which the background is read.
    second : bool
        Whether that is its second time difference over h², which an inertia multiplies.
    """

    coefficient: str
    target: str
    kept: str
    factor: float = 1.0
    second: bool = False


def scatterers(scheme: Scheme, coefficients: Collection[str]) -> tuple[Scatterer, ...]:
    """How perturbations of `coefficients` scatter, from port to port of `scheme`.

    Raises
    ------
    ValueError
        Where a coefficient is not in front of a field that can be read, with the remedy.
    """
    sources = {s.field: s for s in scheme.steps if isinstance(s, Source) and not s.operations}
    receivers = {s.field: s for s in scheme.steps if isinstance(s, Receiver) and not s.operations}
    at = {s: i for i, s in enumerate(scheme.steps)}
    found = []
    for p in scheme.linearised(coefficients):
        if p.kept is None:
            found.append(Scatterer(p.coefficient, sources[p.target].name, receivers[p.target].name, p.factor, True))
            continue
        for kept in p.kept:
            receiver = receivers.get(kept.field)
            plain = not (p.operations or kept.operations) and receiver and p.target in sources
            # Read after the last change of the field, and before it is used.
            if not plain or (receiver.field not in scheme.second and at[receiver] > p.position):
                raise ValueError(
                    f"The coefficient {p.coefficient} of the stage of {p.target} does not multiply a field by itself "
                    "that is complete by then, so that there is nothing to keep for its derivative. Make that a field "
                    "of its own, with a stage that assigns it: assigned(e, D(u)), then added(s, Times(c)(e))."
                )
            scatters = p.factor * kept.factor
            found.append(Scatterer(p.coefficient, sources[p.target].name, receiver.name, scatters))
    if any(s.keep in coefficients for s in scheme.stages):
        raise ValueError(
            "What a field keeps from step to step depends on the parameters, which has no derivative here: copy the "
            "field, assigned(y0, y), and add the change, added(y, Times(c)(y0))."
        )
    return tuple(found)
