"""What is mended in Devito's way from equations to loops while a kernel is built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from devito import SubDimension, configuration
from devito.finite_differences import finite_difference
from devito.ir.support import Scope
from devito.passes.clusters.fusion import Fusion
from devito.passes.iet.languages.openmp import OmpIteration
from devito.tools import Stamp
from devito.types.basic import AbstractFunction
from devito.types.utils import DimensionTuple
from sympy import Interval

from seisops.propagators.strips import nodes

# Devito cuts weights to nine digits, and writes what is left of them with nine in one loop and with fifteen in another:
# kernels of one operator then differ by 1e-10 in a weight. Seventeen are all that a double has.
DIGITS = 17


@contextmanager
def lowering() -> Iterator[None]:
    """Loops that compute what the equations say, and threads that take neighbouring rows."""
    clauses, groups = vars(OmpIteration)["_make_clauses"], Fusion._apply_heuristics

    def contiguous(cls, *, chunk_size=None, **others):
        # Devito lets threads take row after row as they come. On small grids they then wait for one another at the
        # counter, and rows move between the caches of the cores: a shot of 401 x 201 cells took up to three times as
        # long. Without a chunk size there is no schedule, and OpenMP's own gives every thread its rows.
        return clauses.__get__(None, cls)(chunk_size=chunk_size or False, **others)

    def lawful(self, clusters):
        # Loops that a sort has brought side by side are made one, whatever the second changes of what the first reads
        # at the nodes beyond: fields changed in place were 1e-5 off.
        return [part for group in groups(self, clusters) for part in _apart(group)]

    digits, interval = finite_difference._PRECISION, SubDimension._interval
    offsets = vars(AbstractFunction)["_offset_subdomain"]
    OmpIteration._make_clauses, Fusion._apply_heuristics = classmethod(contiguous), lawful
    finite_difference._PRECISION = DIGITS
    if not configuration["mpi"]:
        SubDimension._interval = property(_interval)
        AbstractFunction._offset_subdomain = property(_offsets)
    try:
        yield
    finally:
        OmpIteration._make_clauses, Fusion._apply_heuristics = clauses, groups
        finite_difference._PRECISION = digits
        SubDimension._interval, AbstractFunction._offset_subdomain = interval, offsets


def _interval(strip: SubDimension) -> Interval:
    """Where a strip is, its thickness a number: a compiler then knows how often a short loop runs.

    Of a grid that is cut among processes not all hold a strip, there the thickness is an argument.
    """
    return nodes(strip, strip.parent.symbolic_min, strip.parent.symbolic_max)


def _offsets(f: AbstractFunction) -> DimensionTuple:
    """Where in the grid an array of a strip begins."""
    found = [_first(d) if f._is_on_subdomain and d.is_Sub else 0 for d in f.dimensions]
    return DimensionTuple(*found, getters=f.dimensions)


def _first(strip: SubDimension):
    """Where a strip begins, of a grid that begins at 0."""
    left, right = (t.value for t in strip.thickness)
    if left is None:
        return strip.parent.symbolic_max - (right - 1)
    return 0 if right is None else left


def _apart(clusters) -> list[tuple]:
    """Clusters in order, in groups that each have loops of their own."""
    found: list[list] = []
    for cluster in clusters:
        if not found:
            found.append([cluster])
        elif any(_meet_elsewhere(other, cluster) for other in found[-1]):
            stamp = Stamp()
            found.append([_lifted(cluster, stamp)])
        else:
            found[-1].append(_lifted(cluster, stamp) if len(found) > 1 else cluster)
    return [tuple(group) for group in found]


def _lifted(cluster, stamp: Stamp):
    """The cluster in loops that are told from others of the same dimensions."""
    dimensions = [i.dim for i in cluster.ispace if i.dim.root.is_Space]
    return cluster.rebuild(ispace=cluster.ispace.lift(dimensions, stamp)) if dimensions else cluster


def _meet_elsewhere(first, second) -> bool:
    """Whether one touches what the other changes at another node of the grid."""
    scope = Scope.from_scopes(first.scope, second.scope)
    if scope is None:
        return False
    return any(d.root.is_Space for dependence in scope.d_all_gen() for d in dependence.cause)
