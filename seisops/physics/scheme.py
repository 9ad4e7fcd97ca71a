r"""A wave equation as the linear stages of one time step, which are transposed and linearised as symbols.

A *stage* adds linear terms to one field, a term being pointwise coefficients and differences on the way from a field:

.. math:: y \leftarrow q\,y + \sum c\, D\, b\, D' \cdots x

Nothing here knows a medium or computes: a medium writes its stages down (:mod:`seisops.physics.medium`), the
propagators compile them, :mod:`seisops.physics.reference` runs them in NumPy.

================ ====================================================================================================
of a scheme      how it is made
================ ====================================================================================================
transpose        :math:`\hat x \mathrel{+}= T^T \hat y`, stages in reverse order, sources and receivers exchanged;
                 :math:`(X\,Y)^T = Y^T X^T,\ c^T = c,\ D_\pm^T = -D_\mp`
linearisation    :math:`\delta y \mathrel{+}= A\,(\delta c \circ B x)` for every coefficient c of a term A c B x:
                 of the background B x is kept, and what meets A in the transposed march is its gradient
================ ====================================================================================================

A field of second order is marched by leapfrog with an inertia M, and its stages make its right-hand side:

.. math:: M\,(u^{n+1} - 2 u^n + u^{n-1}) / h^2 = \mathrm{rhs}

which is transposed into the same with the right-hand side transposed. A field of first order is changed in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from seisops.physics.ordering import kept_first, merged
from seisops.physics.steps import Perturbation, Port, Receiver, Source, Stage
from seisops.physics.terms import ZERO, Difference, Field, Operation, Term, Times


@dataclass(frozen=True)
class Scheme:
    """The steps of one time step, in order: stages, sources and receivers."""

    fields: tuple[Field, ...]
    steps: tuple[Stage | Source | Receiver, ...]

    def __post_init__(self) -> None:
        for stage in self.stages:
            for term in stage.terms:
                self._check_place(stage.target, term)

    @cached_property
    def _hash(self) -> int:
        return hash((self.fields, self.steps))

    def __hash__(self) -> int:
        # A kernel is looked up by its scheme before every march.
        return self._hash

    def __getstate__(self) -> dict:
        # The hash of a string is another in another process.
        return {"fields": self.fields, "steps": self.steps}

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages alone."""
        return tuple(s for s in self.steps if isinstance(s, Stage))

    @property
    def coefficients(self) -> tuple[str, ...]:
        """The names of all coefficients, in order of appearance."""
        found: dict[str, None] = {f.inertia: None for f in self.fields if f.inertia}
        for stage in self.stages:
            found |= dict.fromkeys(c for t in stage.terms for c in t.coefficients)
            found |= {stage.keep: None} if stage.keep not in (None, ZERO) else {}
        for port in self.steps:
            if isinstance(port, Port):
                found |= dict.fromkeys(o.coefficient for o in port.operations if isinstance(o, Times))
        return tuple(found)

    def field(self, name: str) -> Field:
        """The field of a name."""
        return next(f for f in self.fields if f.name == name)

    @property
    def second(self) -> set[str]:
        """The names of the fields of second order."""
        return {f.name for f in self.fields if f.second}

    # --- the two things a scheme is asked for

    @cached_property
    def transpose(self) -> Scheme:
        """The scheme that marches backwards in time, from what receivers take to what sources gave."""
        steps: list = []
        for step in reversed(self.steps):
            match step:
                case Source():
                    steps.append(Receiver(step.name, *_turned(step)))
                case Receiver():
                    steps.append(Source(step.name, *_turned(step)))
                case Stage():
                    # What a field adds to itself comes last: all others take it as it was.
                    steps += [
                        Stage(t.field, (t.transposed(step.target),), strip=self._strip(step, t))
                        for t in sorted(step.terms, key=lambda t: t.field == step.target)
                    ]
                    steps += [Stage(step.target, (), step.keep, step.strip)] if step.keep else []
        return Scheme(self.fields, merged(kept_first(steps, self.second), self.second))

    def linearised(self, coefficients: Iterable[str]) -> tuple[Perturbation, ...]:
        """How perturbations of `coefficients` scatter off what is kept of a background."""
        found: dict[tuple, Perturbation] = {}
        wanted = set(coefficients)
        for f in self.fields:
            if f.inertia in wanted:
                last = max(i for i, s in enumerate(self.steps) if isinstance(s, Stage) and s.target == f.name)
                found[f.name,] = Perturbation(f.inertia, f.name, (), None, last, -1.0)
        for position, step in enumerate(self.steps):
            for target, term in _added(step):
                for k, operation in enumerate(term.operations):
                    if not (isinstance(operation, Times) and operation.coefficient in wanted):
                        continue
                    kept = replace(term, operations=term.operations[k + 1 :])
                    key = (position, term.operations[: k + 1])
                    new = Perturbation(operation.coefficient, target, term.operations[:k], (kept,), position)
                    old = found.get(key)
                    found[key] = new if old is None else replace(old, kept=(*old.kept, kept))
        return tuple(found.values())

    # --- what must be so

    def _strip(self, stage: Stage, term: Term) -> int | None:
        """The layer in which the transpose of a term of a stage acts: that in which it has something to give.

        A difference of a memory reaches half a stencil beyond the layer; strips are that much wider.
        """
        return stage.strip if stage.strip is not None else self.field(term.field).strip

    def _check_place(self, target: str, term: Term) -> None:
        place = list(self.field(term.field).stagger)
        for o in reversed(term.operations):
            if isinstance(o, Difference) and o.shift:
                place[o.axis] += o.shift
        if tuple(place) != self.field(target).stagger:
            raise ValueError(
                f"{term} gives something at {tuple(place)} half cells off the nodes, {target} is at "
                f"{self.field(target).stagger}: shift its differences the other way, or interpolate."
            )


def _added(step) -> Iterator[tuple[str, Term]]:
    """What a step adds to which field."""
    match step:
        case Stage():
            yield from ((step.target, t) for t in step.terms)
        case Source():
            yield step.field, Term(step.input, step.operations)


def _turned(port: Port) -> tuple[str, tuple[Operation, ...]]:
    """The field and operations of a port whose ends are exchanged; pointwise, they are their own transpose."""
    return port.field, tuple(o.transpose[1] for o in reversed(port.operations))
