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
from typing import ClassVar

# ---------------------------------------------------------------------- terms


@dataclass(frozen=True)
class Times:
    """Multiplication by a coefficient, a function of space."""

    coefficient: str

    @property
    def transpose(self) -> tuple[float, Times]:
        return 1.0, self

    def __call__(self, expression: Expression) -> Expression:
        return expression.behind(self)


@dataclass(frozen=True)
class Difference:
    """A central difference of `degree` along an axis, 0 interpolating; `shift` moves the result by half a cell."""

    axis: int
    degree: int = 1
    shift: int = 0

    @property
    def transpose(self) -> tuple[float, Difference]:
        return (-1.0) ** self.degree, replace(self, shift=-self.shift)

    def __call__(self, expression: Expression) -> Expression:
        return expression.behind(self)


Operation = Times | Difference


@dataclass(frozen=True)
class Term:
    """`factor` times operations on a field, the last of which acts first."""

    field: str
    operations: tuple[Operation, ...] = ()
    factor: float = 1.0

    @property
    def coefficients(self) -> Iterator[str]:
        """The coefficients in it."""
        return (o.coefficient for o in self.operations if isinstance(o, Times))

    def transposed(self, target: str) -> Term:
        """What `target`, to which this was added, gives to the field."""
        signs, operations = zip(*(o.transpose for o in reversed(self.operations)), strict=True) if self.operations \
            else ((), ())  # fmt: skip
        factor = self.factor
        for sign in signs:
            factor *= sign
        return Term(target, tuple(operations), factor)


@dataclass(frozen=True)
class Expression:
    """A sum of terms."""

    terms: tuple[Term, ...]

    def behind(self, operation: Operation) -> Expression:
        """`operation` of it."""
        return Expression(tuple(replace(t, operations=(operation, *t.operations)) for t in self.terms))

    def __add__(self, other: Expression) -> Expression:
        return Expression(self.terms + other.terms)

    def __radd__(self, zero: int) -> Expression:
        """For Python's own sum, which begins with 0."""
        return self

    def __rmul__(self, factor: float) -> Expression:
        return Expression(tuple(replace(t, factor=factor * t.factor) for t in self.terms))

    def __neg__(self) -> Expression:
        return -1.0 * self

    def __sub__(self, other: Expression) -> Expression:
        return self + -other


@dataclass(frozen=True)
class Field:
    """A wavefield, or the memory of a layer.

    Parameters
    ----------
    name : str
    stagger : tuple of int
        Half cells by which its nodes lie off the grid's, along every axis.
    inertia : str, optional
        The coefficient M of a field of second order; a field without one is changed in place.
    strip : int, optional
        The axis in whose absorbing layer it lives; a wavefield is everywhere.
    odd : bool
        Whether it vanishes on a free surface, and is mirrored above it with the opposite sign.
    """

    name: str
    stagger: tuple[int, ...]
    inertia: str | None = None
    strip: int | None = None
    odd: bool = False

    @property
    def value(self) -> Expression:
        """The field, to build stages from."""
        return Expression((Term(self.name),))


# ---------------------------------------------------------------------- stages


@dataclass(frozen=True)
class Stage:
    """``target = keep * target + terms``; within the layer along `strip` alone, where that is given."""

    target: str
    terms: tuple[Term, ...]
    keep: str | None = None
    strip: int | None = None

    @property
    def reads(self) -> set[str]:
        """The fields it takes."""
        return {t.field for t in self.terms}

    @property
    def changes(self) -> str:
        """The field it is about."""
        return self.target


@dataclass(frozen=True)
class Port:
    """Where the outside meets a field: a source adds ``operations`` of what comes in, a receiver takes them of it."""

    name: str
    field: str
    operations: tuple[Operation, ...] = ()
    keep: ClassVar = None


class Source(Port):
    """What comes in is added to a field."""

    reads: ClassVar = frozenset()

    @property
    def changes(self) -> str:
        """The field it is added to."""
        return self.field

    @property
    def input(self) -> str:
        """What comes in, as a term calls it."""
        return f"source {self.name}"


class Receiver(Port):
    """What goes out is read from a field."""

    changes: ClassVar = None

    @property
    def reads(self) -> set[str]:
        """The field it is read from."""
        return {self.field}


@dataclass(frozen=True)
class Perturbation:
    r"""How a coefficient scatters: ``target += operations (δc · kept)``, just before the stage at `position`.

    `kept` are terms of the background (or of what comes in at a source), or None for the second time difference
    of the target over h², which the inertia of a field multiplies.
    """

    coefficient: str
    target: str
    operations: tuple[Operation, ...]
    kept: tuple[Term, ...] | None
    position: int
    factor: float = 1.0


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
            found |= {stage.keep: None} if stage.keep else {}
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
        return {f.name for f in self.fields if f.inertia}

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
                    steps += [
                        Stage(t.field, (t.transposed(step.target),), strip=self._strip(step, t)) for t in step.terms
                    ]
                    steps += [Stage(step.target, (), step.keep, step.strip)] if step.keep else []
        return Scheme(self.fields, merged(_kept_first(steps, self.second), self.second))

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


def _kept_first(steps: list, second: set[str]) -> list:
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
