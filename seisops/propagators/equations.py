r"""A scheme as Devito equations: every stage one equation, those of a layer one for each of its strips.

A field of second order is marched by leapfrog, its right-hand side gathered in the level ahead:

.. math:: u^{n+1} = 2 u^n - u^{n-1} + \frac{h^2}{M}\,\mathrm{rhs}

A transpose marches backwards, where the level ahead is the one before in time. All other fields are changed in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from devito import Derivative, Eq, Function, Grid, Inc, SubDimension, SubDomain, TimeFunction

from seisops.physics.layer import profile
from seisops.physics.ordering import commute
from seisops.physics.scheme import Scheme
from seisops.physics.stencil import span, weights
from seisops.physics.steps import Port, Receiver, Source, Stage
from seisops.physics.terms import ZERO, Difference, Field, Operation, Term

# Cells that the widest vector instructions take at once; the rest of a strip would go cell by cell.
VECTOR = 16


def depth(scheme: Scheme, axis: int) -> int:
    """How many differences along `axis` a stage of its layer takes of one another."""
    terms = (t for stage in scheme.stages if stage.strip == axis for t in stage.terms)
    return max([1, *(sum(isinstance(o, Difference) and o.axis == axis for o in t.operations) for t in terms)])


def strip_cells(absorb: int, order: int, contiguous: bool, deep: int = 1) -> int:
    """Cells of the strip a layer lives on: as far as its differences reach, `deep` of them of one another.

    Along the contiguous axis whole vectors.
    """
    reach = absorb + deep * order // 2
    return -(-reach // VECTOR) * VECTOR if contiguous else reach


class Side(SubDomain):
    """A strip of `thickness` cells at one side of the padded grid; "whole" takes all of the axis.

    One that stands `apart` has dimensions of its own along the other axes too, so that Devito runs it in loops of its
    own: in those of the whole grid it would change what the next nodes still read.
    """

    def __init__(
        self, axis: int, side: str, thickness: int, grid: Grid, turn: int = 0, *, apart: bool = False
    ) -> None:  # fmt: skip
        self.name, self.axis, self.side, self.thickness, self.turn = f"{side}{axis}_{turn}", axis, side, thickness, turn
        self.apart = apart
        super().__init__(grid=grid)

    def define(self, dimensions):
        along = dimensions[self.axis]
        others = {
            d: SubDimension.middle(f"i{d.name}{self.axis}{self.turn}", d, 0, 0) if self.apart else d for d in dimensions
        }
        if self.side == "whole":
            return others
        make = {"left": SubDimension.left, "right": SubDimension.right}[self.side]
        # By the name of its dimension Devito tells a strip from one of another turn.
        strip = make(f"i{along.name}{self.turn}", along, self.thickness)
        return others | {along: strip}

    def within(self, shape: tuple[int, ...], part: tuple[slice, ...]) -> tuple[slice, ...]:
        """The strip of a padded grid of `shape` in an array of the `part` of it."""
        n, held = shape[self.axis], part[self.axis]
        start, stop = {"left": (0, self.thickness), "right": (n - self.thickness, n), "whole": (0, n)}[self.side]
        start, stop = (min(max(i, held.start), held.stop) - held.start for i in (start, stop))
        return (slice(None),) * self.axis + (slice(start, stop),)


@dataclass(frozen=True, eq=False)
class Levels:
    """A field in a march: now, a step ahead and a step behind, and what scales all that is added to it."""

    now: object
    ahead: object
    behind: object
    scale: object


class Functions:
    """The Devito functions of a scheme on one grid.

    Parameters
    ----------
    scheme : Scheme
    grid : Grid
    sides : tuple of tuple of str
        At which sides of every axis there is a layer.
    absorb : int
        Its cells.
    order : int
        Of the differences.
    adjoint : bool
        March backwards in time.
    """

    def __init__(self, scheme: Scheme, grid: Grid, sides, *, absorb: int, order: int, adjoint: bool) -> None:
        self.scheme, self.grid, self.order, self.adjoint = scheme, grid, order, adjoint
        self.fields = {f.name: self._field(f) for f in scheme.fields}
        self.coefficients = {name: self._coefficient(name) for name in scheme.coefficients}
        self.widths = [strip_cells(absorb, order, a == grid.dim - 1, depth(scheme, a)) for a in range(grid.dim)]
        self.names = sides

    def sides(self, axis: int, turn: int = 0) -> list[Side]:
        """The strips of a layer.

        Devito may run what stands in the same strips in one loop, whatever it reads of its neighbours: what takes
        differences of a memory has strips of a later `turn`.
        """
        apart = any(not f.second and f.strip is None for f in self.scheme.fields)
        return [Side(axis, side, self.widths[axis], self.grid, turn, apart=apart) for side in self.names[axis]]

    def all(self) -> Iterator[Function]:
        """Every function."""
        yield from self.fields.values()
        yield from self.coefficients.values()

    def _field(self, f) -> Function:
        if f.second:
            return TimeFunction(name=f.name, grid=self.grid, time_order=2, space_order=self.order)
        return Function(name=f.name, grid=self.grid, space_order=self.order)

    def _coefficient(self, name: str) -> Function:
        along = profile(name)
        if along is None:
            return Function(name=name, grid=self.grid, space_order=self.order)
        axis = along[1]
        d, n = self.grid.dimensions[axis], self.grid.shape[axis]
        return Function(name=name, grid=self.grid, dimensions=(d,), shape=(n,), space_order=self.order)

    # --- equations

    def levels(self, name: str) -> Levels:
        """A field and what is beside it in time."""
        u, field = self.fields[name], self.scheme.field(name)
        if not field.second:
            return Levels(u, u, u, 1)
        ahead, behind = (u.backward, u.forward) if self.adjoint else (u.forward, u.backward)
        # h²/M is what a kernel is given of an inertia.
        return Levels(u, ahead, behind, self.coefficients[field.inertia] if field.inertia else 1)

    def port(self, kind: type[Port], name: str) -> Levels:
        """The field at a source or receiver of the scheme; what comes in there is scaled."""
        step = next(s for s in self.scheme.steps if isinstance(s, kind) and s.name == name)
        u = self.levels(step.field)
        scale = prod((self.coefficients[o.coefficient] for o in step.operations), start=u.scale)
        return Levels(u.now, u.ahead, u.behind, scale)

    def step(self, sources: Mapping[str, list[Eq]], measures: Mapping[str, list[Eq]], surface: bool) -> list[Eq]:
        """One time step, with what comes in and goes out at every port.

        What comes in at a field of second order, or goes out there, waits for all stages: it shows in the next step.
        """
        result, turns, begun = [], _turns(self.scheme), set()
        incoming, outgoing, second = [], [], self.scheme.second
        steps = _leading(self.scheme)
        last = {s.changes: i for i, s in enumerate(steps) if s.changes}
        for i, step in enumerate(steps):
            match step:
                case Source():
                    (incoming if step.field in second else result).extend(sources.get(step.name, ()))
                case Receiver():
                    (outgoing if step.field in second else result).extend(measures.get(step.name, ()))
                case Stage():
                    if step.strip is not None and step.target in second - begun:
                        # Strips add to what the whole grid begins with.
                        result.append(self._equation(Stage(step.target, ()), False, {}))
                        begun.add(step.target)
                    sides = [] if step.strip is None else self.sides(step.strip, turns[step])
                    for where in [{"subdomain": side} for side in sides] or [{}]:
                        result.append(self._equation(step, step.target in begun, where))
                    begun.add(step.target)
            if surface and last.get(step.changes) == i and step.changes not in second:
                result += self._mirrored(self.scheme.field(step.changes))
        above = [eq for f in self.scheme.fields if surface and f.second for eq in self._mirrored(f)]
        return [*result, *incoming, *above, *outgoing]

    def _mirrored(self, f: Field) -> list[Eq]:
        """What a field is above a free surface at the first node of the last axis."""
        if not f.parity:
            return []
        z, new, reach = self.grid.dimensions[-1], self.levels(f.name).ahead, self.order // 2
        timeless = {} if f.second else {"implicit_dims": (self.grid.time_dim,)}
        if f.stagger[-1]:
            return [Eq(new._subs(z, -k - 1), f.parity * new._subs(z, k), **timeless) for k in range(reach)]
        mirror = [Eq(new._subs(z, -k), f.parity * new._subs(z, k), **timeless) for k in range(1, reach + 1)]
        return [Eq(new._subs(z, 0), 0, **timeless), *mirror] if f.parity < 0 else mirror

    def _equation(self, stage: Stage, begun: bool, where: dict) -> Eq:
        u, added = self.levels(stage.target), sum((self._term(t) for t in stage.terms), start=0)
        if self.scheme.field(stage.target).second:
            if begun:
                return Inc(u.ahead, u.scale * added, **where)
            return Eq(u.ahead, 2 * u.now - u.behind + u.scale * added, **where)
        if not any(self.fields[name].is_TimeFunction for name in stage.reads):
            # Devito would take out of the loop over time what names no time.
            time, space = self.grid.time_dim, self.grid.dimensions
            where = where | {"implicit_dims": (time,) if where else (time, *space)}
        if stage.keep == ZERO:
            return Eq(u.now, added, **where)
        if stage.keep:
            return Eq(u.now, self.coefficients[stage.keep] * u.now + added, **where)
        return Inc(u.now, added, **where)

    def _term(self, term: Term):
        result = self.fields[term.field]
        for o in reversed(term.operations):
            result = self._operated(o, result)
        return result if term.factor == 1 else term.factor * result

    def _operated(self, o: Operation, x):
        if not isinstance(o, Difference):
            return self.coefficients[o.coefficient] * x
        d = self.grid.dimensions[o.axis]
        x0 = {"x0": {d: d + o.shift * d.spacing / 2}} if o.shift else {}
        # Devito's own weights have nine digits, and of order 2 it takes one side for a first derivative.
        nodes, values = weights(o, self.order)
        first, last = span(o, self.order)
        row = [dict(zip(nodes, values, strict=True)).get(k, 0.0) for k in range(first, last + 1)]
        return Derivative(x, (d, o.degree), fd_order=self.order, weights=row, **x0)


def _leading(scheme: Scheme) -> list:
    """The steps in order, the stages of the whole grid of a field of second order before those of its strips."""
    result: list = []
    for step in scheme.steps:
        place = len(result)
        if isinstance(step, Stage) and step.target in scheme.second and step.strip is None:
            while place and commute(step, result[place - 1], scheme.second):
                place -= 1
        result.insert(place, step)
    return result


def _turns(scheme: Scheme) -> dict[Stage, int]:
    """When the stages of strips may run: after those that change what they read, or read what they change.

    Of one turn those that touch the same nodes alone; a difference touches its neighbours. What is read of a field of
    second order is another level than what is changed.
    """
    changed: dict[str, int] = {}
    read: dict[str, int] = {}
    turns = {}
    for stage in (s for s in scheme.stages if s.strip is not None):
        beside = {t.field: any(isinstance(o, Difference) for o in t.operations) for t in stage.terms}
        after = [changed.get(name, 0) + wide for name, wide in beside.items()]
        after += [changed.get(stage.target, 0), read.get(stage.target, 0)]
        turns[stage] = max(after)
        for name, wide in beside.items():
            if name not in scheme.second:
                read[name] = max(read.get(name, 0), turns[stage] + wide)
        if stage.target not in scheme.second:
            changed[stage.target] = max(changed.get(stage.target, 0), turns[stage])
    return turns
