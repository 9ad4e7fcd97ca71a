"""One shot on several processes: Devito decomposes the grid, and every rank marches its part of it.

All ranks run the same script and hold models, surveys and results whole. Wavefields, absorbing layers and the histories
of backgrounds exist in parts only: what enters a march is cut to the rank's part, what comes out is put together
again, the same on every rank. With a single process all of this does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from time import sleep
from typing import TypeVar

import numpy as np
from devito import Grid, configuration
from devito.mpi import MPI, devito_mpi_init
from numpy.typing import NDArray

from seisops.model import Model
from seisops.propagators.points import PointWeights
from seisops.propagators.strips import strip_cells

T = TypeVar("T")


def ranks() -> int:
    """Processes that march every shot together: those of MPI where Devito's configuration asks for it, else one.

    Raises
    ------
    ImportError
        If it does and mpi4py is not there.
    """
    # As a dict it is asked without the functions around it: this is looked at many times in a march.
    if not dict.__getitem__(configuration, "mpi"):
        return 1
    try:
        import mpi4py  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Devito's configuration asks for MPI, which uses mpi4py and an MPI library: pip install mpi4py mpich, or "
            "switch DEVITO_MPI off."
        ) from error
    devito_mpi_init()
    return MPI.COMM_WORLD.size


def sharers() -> int:
    """How many of them run on this machine and share its cores and memory."""
    return _sharers() if ranks() > 1 else 1


@cache
def _sharers() -> int:
    here = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
    size = here.size
    here.Free()
    return size


@contextmanager
def in_turn() -> Iterator[None]:
    """The first rank before all others, which may then find on disk what it made."""
    first = ranks() == 1 or MPI.COMM_WORLD.rank == 0
    if not first:
        _meet()
    try:
        yield
    finally:
        if first and ranks() > 1:
            _meet()


def _meet() -> None:
    """Wait for all ranks, asleep: MPI's own waiting takes a core."""
    met = MPI.COMM_WORLD.Ibarrier()
    while not met.Test():
        sleep(0.01)


# ---------------------------------------------------------------------- grids


def grid(model: Model, reach: int = 0) -> Grid:
    """The padded grid of `model`, decomposed over the ranks into parts of at least `reach` cells.

    Raises
    ------
    ValueError
        If a part would be smaller than the absorbing layer at its side, or than what neighbours exchange.
    """
    shape, order = model.padded_shape, model.space_order
    found = _grid(shape, model.spacing, model.dtype.type, model.free_surface)
    for axis, (n, k) in enumerate(zip(shape, found.distributor.topology, strict=True)):
        # Devito takes a layer to lie within the ranks at the edge, and a halo within the next neighbour.
        strip = strip_cells(model.absorb + order // 2, contiguous=axis == model.ndim - 1)
        least = max(strip, order, reach)
        if k > 1 and n // k < least:
            raise ValueError(
                f"{ranks()} ranks cut axis {axis} of the padded grid {shape} into parts of {n // k} cells; with "
                f"absorb = {model.absorb} and space_order = {order} a part needs {least} here. Use fewer ranks."
            )
    return found


@lru_cache
def _grid(shape: tuple[int, ...], spacing: tuple[float, ...], dtype: type, free_surface: bool) -> Grid:
    extent = tuple((n - 1) * d for n, d in zip(shape, spacing, strict=True))
    return Grid(shape, extent=extent, dtype=dtype, topology=_topology(len(shape), free_surface))


def template(shape: tuple[int, ...], dtype: type, free_surface: bool) -> Grid:
    """A grid to compile a kernel for, whatever the number of ranks; made without the others."""
    alone = MPI.COMM_SELF if ranks() > 1 else None
    return Grid(shape, dtype=dtype, comm=alone, topology=_topology(len(shape), free_surface))


def _topology(ndim: int, free_surface: bool) -> tuple | None:
    """How to cut the grid. The mirror above a free surface stays with the nodes it mirrors: depth is not cut."""
    return (*("*",) * (ndim - 1), 1) if free_surface else None


def slices(model: Model) -> tuple[slice, ...]:
    """The part of the padded grid that this rank holds."""
    if ranks() == 1:
        return tuple(slice(0, n) for n in model.padded_shape)
    return tuple(grid(model).distributor.glb_slices.values())


def shape(model: Model) -> tuple[int, ...]:
    """The shape of that part."""
    return model.padded_shape if ranks() == 1 else tuple(s.stop - s.start for s in slices(model))


# ---------------------------------------------------------------------- arrays


def part(model: Model, x: NDArray) -> NDArray:
    """What this rank holds of an array (..., *model.padded_shape)."""
    return x if ranks() == 1 else x[(..., *slices(model))]


def whole(model: Model, x: NDArray) -> NDArray:
    """The array (..., *model.padded_shape) of which every rank gives its part; the transpose of :func:`part`."""
    if ranks() == 1:
        return x
    result = np.zeros((*x.shape[: x.ndim - model.ndim], *model.padded_shape), x.dtype)
    part(model, result)[...] = x
    return total(result)


def total(x: NDArray) -> NDArray:
    """The sum of the arrays of all ranks."""
    if ranks() > 1:
        x = np.ascontiguousarray(x)
        MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, x)
    return x


def anywhere(found: bool) -> bool:
    """Whether any rank found it."""
    return MPI.COMM_WORLD.allreduce(found, MPI.LOR) if ranks() > 1 else found


def agreed(choice: T, size: Callable[[T], float]) -> T:
    """One choice for all ranks: of theirs the smallest."""
    return min(MPI.COMM_WORLD.allgather(choice), key=size) if ranks() > 1 else choice


# ---------------------------------------------------------------------- points


def own(model: Model, points: PointWeights) -> PointWeights:
    """The points with the weights of the nodes this rank holds: what they inject and record is the sum over ranks."""
    return points if ranks() == 1 else points.within(slices(model))
