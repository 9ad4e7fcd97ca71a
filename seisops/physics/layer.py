r"""The absorbing layer of any scheme: every difference along an axis stretched, by a memory in the layer's strips.

.. math:: \partial x \to \partial x + \psi, \qquad \psi \leftarrow b\,\psi + a\,\partial x

and for a compact second difference :math:`\partial^2 x \to \partial^2 x + \partial\psi + \zeta`,
:math:`\zeta \leftarrow b\,\zeta + a\,(\partial^2 x + \partial\psi)`, with :math:`\psi` half a cell beside x, where four
nodes do for both of its differences. The profiles a and b are constants of the grid,
named after their axis and whether they are on nodes (0) or half cells (1): ``a0_0``, ``b0_0``. So are r and s, which
take the weight of a free surface off (:mod:`seisops.physics.surface`), whose differences are ordinary ones in a layer.

References
----------
D. Komatitsch and R. Martin, 2007, An unsplit convolutional perfectly matched layer improved at grazing incidence for
the seismic wave equation, Geophysics 72.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import replace

from seisops.physics.ordering import merged
from seisops.physics.scheme import Scheme
from seisops.physics.steps import Stage
from seisops.physics.terms import Difference, Expression, Field, Term, Times

# Of the differences that make and take the first memory of a second difference: half a cell beside, those of order 4
# reflect -89 dB from ten cells where those of order 8 reflect -92, and central ones of order 8, 6, 4 -93, -87 and -74.
ORDER = 4


def profile(coefficient: str) -> tuple[str, int, int] | None:
    """Of a profile its letter, axis and half cells; None for another coefficient."""
    found = re.fullmatch(r"([abrs])(\d)_([01])", coefficient)
    return found and (found[1], int(found[2]), int(found[3]))


def absorbing(scheme: Scheme, axes: Container[int]) -> Scheme:
    """`scheme` with a layer at the sides of `axes`."""
    maker = _Stretcher(scheme, axes)
    for step in scheme.steps:
        maker.add(step)
    return Scheme(scheme.fields + tuple(maker.memories.values()), merged(maker.steps, scheme.second))


def scaled(scheme: Scheme) -> Scheme:
    """The same scheme with every memory that is read times a profile multiplied by it when it is made.

    In a transpose the profile stands behind the difference, which would multiply by it at each of its nodes. It is
    constant in time.
    """
    steps = scheme.steps
    for field in scheme.fields:
        found = {t.operations[-1:] for s in scheme.stages for t in s.terms if t.field == field.name}
        if field.strip is None or len(found) != 1:
            continue
        for times in found.pop():
            if isinstance(times, Times) and profile(times.coefficient):
                steps = tuple(_multiplied(s, field.name, times) if isinstance(s, Stage) else s for s in steps)
    return Scheme(scheme.fields, steps)


def _multiplied(stage: Stage, name: str, times: Times) -> Stage:
    """A stage of a scheme in which the field `name` is `times` what it was."""
    terms = (replace(t, operations=t.operations[:-1]) if t.field == name else t for t in stage.terms)
    made = Expression(tuple(terms))
    return replace(stage, terms=(times(made) if stage.target == name else made).terms)


class _Stretcher:
    """Goes through the steps of a scheme and gathers what the layer adds."""

    def __init__(self, scheme: Scheme, axes: Container[int]) -> None:
        self.scheme, self.axes = scheme, axes
        self.memories: dict[tuple, Field] = {}
        self.steps: list = []

    def add(self, step) -> None:
        """The step, its memories, and what they give."""
        if not isinstance(step, Stage):
            self.steps.append(step)
            return
        self.steps.append(step)
        strips: dict[int, list[Term]] = {}
        for term in step.terms:
            for axis, extra in self._stretched(term):
                strips.setdefault(axis, []).append(extra)
        self.steps += [Stage(step.target, tuple(terms), strip=axis) for axis, terms in strips.items()]

    def _stretched(self, term: Term) -> list[tuple[int, Term]]:
        """What the layers along each axis add to a term."""
        done, extras = Expression((Term(term.field),)), []
        place = list(self.scheme.field(term.field).stagger)
        for o in reversed(term.operations):
            if isinstance(o, Difference):
                place[o.axis] += o.shift
            news = []
            if isinstance(o, Difference) and o.degree and o.axis in self.axes:
                inputs = [(None, t) for t in done.terms] + extras
                for _, t in inputs:
                    news += [(o.axis, n) for n in self._memory(o, t, tuple(place))]
            done = done.behind(o)
            extras = [(axis, replace(t, operations=(o, *t.operations))) for axis, t in extras] + news
        return [(axis, replace(t, factor=t.factor * term.factor)) for axis, t in extras]

    def _memory(self, o: Difference, inner: Term, place: tuple[int, ...]) -> list[Term]:
        """What is added to a difference of a term."""
        a, b = (f"{name}{o.axis}_{place[o.axis]}" for name in "ab")
        o = replace(o, ending=0)
        if o.degree == 1:
            psi = self._field("psi", o, inner, place)
            self._stage(psi, b, Times(a)(o(Expression((inner,)))))
            return [Term(psi.name)]
        half = -1 if place[o.axis] else 1
        there, back = (replace(o, degree=1, shift=shift, order=ORDER) for shift in (half, -half))
        beside = tuple(k + half * (axis == o.axis) for axis, k in enumerate(place))
        a_beside, b_beside = (f"{name}{o.axis}_{beside[o.axis]}" for name in "ab")
        psi = self._field("psi", there, inner, beside)
        self._stage(psi, b_beside, Times(a_beside)(there(Expression((inner,)))))
        zeta = self._field("zeta", o, inner, place)
        self._stage(zeta, b, Times(a)(o(Expression((inner,)))) + Times(a)(back(psi.value)))
        return [Term(psi.name, (back,)), Term(zeta.name)]

    def _field(self, kind: str, o: Difference, inner: Term, place: tuple[int, ...]) -> Field:
        key = (kind, o, inner)
        if key not in self.memories:
            name = f"{kind}{o.axis}" if (kind, o.axis) not in {(k, d.axis) for k, d, _ in self.memories} else \
                f"{kind}{o.axis}_{len(self.memories)}"  # fmt: skip
            self.memories[key] = Field(name, place, strip=o.axis)
        return self.memories[key]

    def _stage(self, memory: Field, keep: str, value: Expression) -> None:
        if not any(isinstance(s, Stage) and s.target == memory.name for s in self.steps):
            self.steps.append(Stage(memory.name, value.terms, keep, memory.strip))
