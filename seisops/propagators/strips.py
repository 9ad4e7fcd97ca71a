"""The strips of a layer, and the memories that live in them."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from devito import Function, Grid, SubDimension, SubDomain, configuration
from devito.mpi.distributed import SubDistributor
from sympy import Interval

from seisops.model import Model
from seisops.physics.scheme import Scheme
from seisops.physics.stencil import span
from seisops.physics.terms import Difference, Field, Term

# Cells that the widest vector instructions take at once; the rest of a strip would go cell by cell.
VECTOR = 16
# Those of the vectors that compilers choose by themselves.
CHOSEN = 8


def strip_cells(cells: int, contiguous: bool) -> int:
    """Cells of a strip that needs so many: along the contiguous axis whole vectors."""
    return -(-cells // VECTOR) * VECTOR if contiguous else cells


def felt(scheme: Scheme, axis: int, absorb: int, order: int) -> int:
    """Cells from a side of the grid, along an axis, as far as a scheme feels the layer there.

    Memories are met times a profile, which is zero outside of the layer; its last half cell may be one more.
    """
    memories = {f.name for f in scheme.fields if f.strip == axis}
    terms = (t for s in scheme.stages if s.strip == axis and s.target not in memories for t in s.terms)
    return absorb + max([1, *(_reach(t, axis, order) for t in terms)])


def width(scheme: Scheme, axis: int, ndim: int, absorb: int, order: int) -> int:
    """Cells of the strips of a scheme along an axis."""
    return strip_cells(felt(scheme, axis, absorb, order), axis == ndim - 1)


def sides_along(model: Model, scheme: Scheme, axis: int) -> tuple[str, ...]:
    """At which sides of an axis there are strips; "whole" where they would meet."""
    present = tuple(s for s, n in zip(("left", "right"), model.pad_widths[axis], strict=True) if n)
    cells = width(scheme, axis, model.ndim, model.absorb, model.space_order)
    return ("whole",) if len(present) * cells > model.padded_shape[axis] else present


def reach(scheme: Scheme, ndim: int, order: int, name: str = "") -> tuple[int, ...]:
    """How far along every axis differences read a field, in nodes; without a name the furthest of all."""
    terms = [t for stage in scheme.stages for t in stage.terms if name in ("", t.field)]
    return tuple(max([0, *(_reach(t, axis, order) for t in terms)]) for axis in range(ndim))


def _reach(term: Term, axis: int, order: int) -> int:
    along = (o for o in term.operations if isinstance(o, Difference) and o.axis == axis)
    return sum(max(map(abs, span(o, order))) for o in along)


def halo(shape: tuple[int, ...], reach: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Nodes around an array that differences read, so many that in every row the first of its own begins a vector."""
    *across, along = reach
    before = -(-along // CHOSEN) * CHOSEN
    return (*((n, n) for n in across), (before, along + -(before + shape[-1] + along) % VECTOR))


class _Strip(SubDistributor):
    """Where a strip is among the ranks; Devito finds it by algebra, where its thickness is a number."""

    @cached_property
    def subdomain_interval(self):
        axes = zip(self.dimensions, self.p.glb_shape, strict=True)
        return tuple(nodes(d, 0, n - 1) if d.is_Sub else None for d, n in axes)


def nodes(strip: SubDimension, first, last) -> Interval:
    """The nodes of a strip on an axis from the `first` to the `last`, its thickness a number."""
    left, right = (t.value for t in strip.thickness)
    if right is None:
        return Interval(first, first + (left - 1))
    if left is None:
        return Interval(last - (right - 1), last)
    return Interval(first + left, last - right)


class Side(SubDomain):
    """A strip of `thickness` cells at one side of the padded grid; "whole" takes all of the axis.

    Along the axes `apart` it has dimensions of its own too, so that Devito runs it in loops of its own there.
    """

    def __init__(
        self, axis: int, side: str, thickness: int, grid: Grid, turn: int = 0, apart: Collection[int] = ()
    ) -> None:
        self.name, self.axis, self.side, self.thickness, self.turn = f"{side}{axis}_{turn}", axis, side, thickness, turn
        self.apart = apart
        super().__init__(grid=grid)

    def define(self, dimensions):
        along = dimensions[self.axis]
        others = {
            d: SubDimension.middle(f"i{d.name}{self.axis}{self.turn}", d, 0, 0) if i in self.apart else d
            for i, d in enumerate(dimensions)
        }
        if self.side == "whole":
            return others
        make = {"left": SubDimension.left, "right": SubDimension.right}[self.side]
        # By the name of its dimension Devito tells a strip from one of another turn.
        strip = make(f"i{along.name}{self.turn}", along, self.thickness)
        return others | {along: strip}

    def __subdomain_finalize__(self):
        self.__subdomain_finalize_legacy__(self.grid)
        self._distributor = _Strip(self)
        here = self._distributor.intervals
        self._shape_local = tuple(0 if i.is_empty else i.end - i.start + 1 if i.is_Interval else 1 for i in here)

    def __subdomain_finalize_legacy__(self, grid):
        super().__subdomain_finalize_legacy__(grid)
        # Devito takes what has a dimension of its own to be as large as the grid.
        if self.side != "whole":
            self._shape = (*grid.shape[: self.axis], self.thickness, *grid.shape[self.axis + 1 :])

    def within(self, shape: tuple[int, ...], part: tuple[slice, ...]) -> tuple[slice, ...]:
        """The strip of a padded grid of `shape` in an array of the `part` of it."""
        n, held = shape[self.axis], part[self.axis]
        start, stop = {"left": (0, self.thickness), "right": (n - self.thickness, n), "whole": (0, n)}[self.side]
        start, stop = (min(max(i, held.start), held.stop) - held.start for i in (start, stop))
        return (slice(None),) * self.axis + (slice(start, stop),)


def lives_in_strips(f: Field, scheme: Scheme, sides: tuple[str, ...]) -> bool:
    """Whether a memory is met in the strips of its layer alone, and what is taken of it there needs no more of it."""
    elsewhere = any(s.strip != f.strip for s in scheme.stages if f.name in (s.target, *s.reads))
    bare = all(_bare(t) for s in scheme.stages for t in s.terms if t.field == f.name)
    # Of a grid that is cut among processes not all hold a strip.
    return not (configuration["mpi"] or elsewhere or "whole" in sides) and bare


def memories(f: Field, sides: list[Side], order: int, reach: tuple[int, ...]) -> list[Function]:
    """A memory in each strip of its layer."""
    return [
        Function(name=f"{f.name}_{side.side}", grid=side, space_order=(order, halo(side.shape, reach)))
        for side in sides
    ]


def _bare(term: Term) -> bool:
    """Whether differences are of the field itself, not of it times a coefficient."""
    seen = [isinstance(o, Difference) for o in term.operations]
    return seen == sorted(seen)
