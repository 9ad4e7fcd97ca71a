r"""A scheme as Devito equations: every stage one equation, those of a layer one for each of its strips.

A field of second order is marched by leapfrog, its right-hand side gathered in the level ahead:

.. math:: u^{n+1} = 2 u^n - u^{n-1} + \frac{h^2}{M}\,\mathrm{rhs}

A transpose marches backwards, where the level ahead is the one before in time. All other fields are changed in place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from devito import Derivative, Eq, Function, Grid, Inc, TimeFunction

from seisops.physics.layer import profile
from seisops.physics.scheme import Scheme
from seisops.physics.stencil import of_order, span, weights
from seisops.physics.steps import Port, Receiver, Source, Stage
from seisops.physics.surface import edge
from seisops.physics.terms import ZERO, Difference, Field, Operation, Term
from seisops.propagators.loops import arranged, runs, turns
from seisops.propagators.strips import Side, halo, lives_in_strips, memories, reach, width


@dataclass(frozen=True, eq=False)
class Levels:
    """A field in a march: now, a step ahead and a step behind, and what scales all that is added to it or read.

    Of two levels none is behind once the one ahead is made.
    """

    now: object
    ahead: object
    behind: object
    scale: object

    @property
    def read(self):
        """What is read of it."""
        return self.scale * self.now if self.scale != 1 else self.now


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
    levels : {2, 3}
        Of a field of second order. Of two the step ahead takes the place of the one behind, node by node.
    """

    def __init__(
        self, scheme: Scheme, grid: Grid, sides, *, absorb: int, order: int, adjoint: bool, levels: int
    ) -> None:
        self.scheme, self.grid, self.order, self.adjoint, self.level_count = scheme, grid, order, adjoint, levels
        self._around = order, halo(grid.shape_local, reach(scheme, grid.dim, order))
        self.widths = [width(scheme, axis, grid.dim, absorb, order) for axis in range(grid.dim)]
        self.names, self.turns = sides, turns(scheme)
        self._sides: dict[tuple[int, int], list[Side]] = {}
        layered = [f for f in scheme.fields if f.strip is not None and lives_in_strips(f, scheme, sides[f.strip])]
        self.memories = {
            f.name: memories(f, self.sides(f.strip), order, reach(scheme, grid.dim, order, f.name)) for f in layered
        }
        self.fields = {f.name: self._field(f) for f in scheme.fields if f.name not in self.memories}
        self.coefficients = {name: self._coefficient(name) for name in scheme.coefficients}

    def sides(self, axis: int, turn: int = 0) -> list[Side]:
        """The strips of a layer.

        Devito may run what stands in the same strips in one loop, whatever it reads of its neighbours: what takes
        differences of a memory has strips of a later `turn`.
        """
        if (axis, turn) not in self._sides:
            sides = [Side(axis, side, self.widths[axis], self.grid, turn, self._apart) for side in self.names[axis]]
            self._sides[axis, turn] = sides
        return self._sides[axis, turn]

    @cached_property
    def _apart(self) -> Collection[int]:
        """The axes along which strips do not run in the loops of the whole grid.

        A loop over a short row must not read at once, at other offsets, what the one before it wrote: it would wait.
        Where none does, the rows of the grid that it reads are still in the caches.
        """
        scheme, axes = self.scheme, range(self.grid.dim)
        memories = {f.name for f in scheme.fields if f.strip is not None}
        taken = (t.operations for s in scheme.stages for t in s.terms if t.field in memories)
        beside = any(isinstance(o, Difference) for operations in taken for o in operations)
        if not scheme.second and not beside:
            return ()
        # In loops of the whole grid what is changed in place would change what the next nodes still read.
        return axes if any(not f.second and f.strip is None for f in scheme.fields) else axes[-2:-1]

    def all(self) -> Iterator[Function]:
        """Every function."""
        yield from self.moving()
        yield from self.coefficients.values()

    def moving(self) -> Iterator[Function]:
        """Those that change from step to step."""
        yield from self.fields.values()
        for found in self.memories.values():
            yield from found

    def _field(self, f) -> Function:
        if f.second:
            return TimeFunction(name=f.name, grid=self.grid, time_order=self.level_count - 1, space_order=self._around)
        return Function(name=f.name, grid=self.grid, space_order=self._around)

    def _coefficient(self, name: str) -> Function:
        along = profile(name)
        if along is None:
            return Function(name=name, grid=self.grid, space_order=self._around)
        axis = along[1]
        d, n = self.grid.dimensions[axis], self.grid.shape[axis]
        return Function(name=name, grid=self.grid, dimensions=(d,), shape=(n,), space_order=self.order)

    # --- equations

    def _function(self, name: str, strip: int) -> Function:
        """The function of a field, or of a memory in a strip."""
        return self.fields[name] if name in self.fields else self.memories[name][strip]

    def _axes(self, f: Function) -> tuple:
        """The dimensions of a function in space; of a memory in a strip those of the strip."""
        return tuple(f.dimensions)[-self.grid.dim :]

    def _on_grid(self, x, dimensions: tuple):
        """What is at the nodes of a strip, at those of the grid."""
        if dimensions == self.grid.dimensions:
            return x
        return x.subs(dict(zip(dimensions, self.grid.dimensions, strict=True)))

    def levels(self, name: str, strip: int = 0) -> Levels:
        """A field and what is beside it in time."""
        held, field = self._function(name, strip), self.scheme.field(name)
        u = self._on_grid(held, self._axes(held))
        if not field.second:
            return Levels(u, u, u, 1)
        ahead, behind = (u.backward, u.forward) if self.adjoint else (u.forward, u.backward)
        if self.level_count == 2:
            behind = None
        # h²/M is what a kernel is given of an inertia.
        return Levels(u, ahead, behind, self.coefficients[field.inertia] if field.inertia else 1)

    def port(self, kind: type[Port], name: str) -> Levels:
        """The field at a source or receiver of the scheme; what comes in there is scaled."""
        step = next(s for s in self.scheme.steps if isinstance(s, kind) and s.name == name)
        u = self.levels(step.field)
        # An inertia is what is added is divided by.
        scale = prod(
            (self.coefficients[o.coefficient] for o in step.operations), start=u.scale if kind is Source else 1
        )
        return Levels(u.now, u.ahead, u.behind, scale)

    def step(self, sources: Mapping[str, list[Eq]], measures: Mapping[str, list[Eq]], surface: bool) -> list[Eq]:
        """One time step, with what comes in and goes out at every port.

        What comes in at a field of second order, or goes out there, waits for all stages: it shows in the next step.
        """
        result, begun = [], set()
        incoming, outgoing, second = [], [], self.scheme.second
        steps = arranged(self.scheme)
        last = {s.changes: s for s in steps if s.changes} if surface else {}
        mirrored = [step for name, step in last.items() if name not in second and self.scheme.field(name).parity]
        for run in runs(steps, mirrored):
            step = run[0]
            match step:
                case Source():
                    (incoming if step.field in second else result).extend(sources.get(step.name, ()))
                case Receiver():
                    (outgoing if step.field in second else result).extend(measures.get(step.name, ()))
                case Stage(strip=None):
                    result.append(self._equation(step, step.target in begun, {}))
                    result += self._ended(step)
                    begun.add(step.target)
                case Stage():
                    # Strips add to what the whole grid begins with.
                    missing = dict.fromkeys(s.target for s in run if s.target in second - begun)
                    result += [self._equation(Stage(target, ()), False, {}) for target in missing]
                    begun.update(missing)
                    result += self._in_strips(run)
            if run[-1] in mirrored:
                result += self._mirrored(self.scheme.field(run[-1].changes))
        above = [eq for f in self.scheme.fields if surface and f.second for eq in self._mirrored(f)]
        return [*result, *incoming, *above, *outgoing]

    def _in_strips(self, stages: list[Stage]) -> list[Eq]:
        """Stages of one layer, side by side, as what meets in the same nodes is one loop."""
        places = [self.sides(stage.strip, self.turns[stage]) for stage in stages]
        return [
            self._equation(stage, True, {"subdomain": side}, strip)
            for strip, sides in enumerate(zip(*places, strict=True))
            for stage, side in zip(stages, sides, strict=True)
        ]

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

    def _equation(self, stage: Stage, begun: bool, where: dict, strip: int = 0) -> Eq:
        u, added = self.levels(stage.target, strip), sum((self._term(t, strip) for t in stage.terms), start=0)
        if self.scheme.field(stage.target).second:
            if begun:
                return Inc(u.ahead, u.scale * added, **where)
            behind = u.ahead if u.behind is None else u.behind
            return Eq(u.ahead, 2 * u.now - behind + u.scale * added, **where)
        if not self.scheme.second.intersection(stage.reads):
            # Devito would take out of the loop over time what names no time.
            time, space = self.grid.time_dim, self.grid.dimensions
            where = where | {"implicit_dims": (time,) if where else (time, *space)}
        if stage.keep == ZERO:
            return Eq(u.now, added, **where)
        if stage.keep:
            return Eq(u.now, self.coefficients[stage.keep] * u.now + added, **where)
        return Inc(u.now, added, **where)

    def _ended(self, stage: Stage) -> list[Eq]:
        """What the differences of a stage that end at the surface are more than central ones, row by row."""
        z, u, found = self.grid.dimensions[-1], self.levels(stage.target), {}
        for term in stage.terms:
            for i, o in enumerate(term.operations):
                if isinstance(o, Difference) and o.ending:
                    # What is beside it is pointwise.
                    outer = prod((self.coefficients[c.coefficient] for c in term.operations[:i]), start=term.factor)
                    inner = self._term(Term(term.field, term.operations[i + 1 :]))
                    for k, row in enumerate(edge(o, self.order)):
                        taken = sum(float(b) * inner._subs(z, j) for j, b in enumerate(row) if b)
                        found[k] = found.get(k, 0) + (outer / z.spacing)._subs(z, k) * taken
        time = {"implicit_dims": (self.grid.time_dim,)}
        return [Inc(u.ahead._subs(z, k), u.scale * added, **time) for k, added in found.items()]

    def _term(self, term: Term, strip: int = 0):
        result = self._function(term.field, strip)
        own, operations = self._axes(result), list(term.operations)
        if own != self.grid.dimensions:
            while operations and isinstance(operations[-1], Difference):
                # Taken now, as Devito knows where half a cell beyond is along a function's own dimensions alone.
                result = self._difference(operations.pop(), result, own).evaluate
            result = self._on_grid(result, own)
        for o in reversed(operations):
            result = self._operated(o, result)
        return result if term.factor == 1 else term.factor * result

    def _operated(self, o: Operation, x):
        if not isinstance(o, Difference):
            return self.coefficients[o.coefficient] * x
        return self._difference(o, x, self.grid.dimensions)

    def _difference(self, o: Difference, x, dimensions: tuple):
        d = dimensions[o.axis]
        x0 = {"x0": {d: d + o.shift * d.spacing / 2}} if o.shift else {}
        # Of order 2 Devito takes one side for a first derivative.
        nodes, values = weights(o, self.order)
        first, last = span(o, self.order)
        row = [dict(zip(nodes, values, strict=True)).get(k, 0.0) for k in range(first, last + 1)]
        return Derivative(x, (d, o.degree), fd_order=of_order(o, self.order), weights=row, **x0)
