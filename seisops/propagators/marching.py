"""One shot: fill the fields of a kernel, march, read what was measured."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack, nullcontext
from fractions import Fraction
from functools import cache, cached_property
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from seisops import watching
from seisops.model import Model
from seisops.physics import Medium
from seisops.physics.inlining import inlined
from seisops.physics.layer import absorbing, scaled
from seisops.physics.scheme import Scheme
from seisops.physics.surface import applied
from seisops.propagators import domain
from seisops.propagators.kernels import KernelSpec, float_environment, kernel
from seisops.propagators.strips import sides_along
from seisops.propagators.terms import PortArrays, Term
from seisops.propagators.workspaces import workspaces
from seisops.storage.base import BLOCK

# How many wavefields have been marched by this process; what an operation costs is counted in these. Part of a
# march, as histories that are not kept whole ask for, is a fraction.
marches: int | Fraction = 0
_count = threading.Lock()
_NO_BAR = nullcontext()


class Marching:
    """One shot's solution of the wave equation, or of its transpose; use it in a ``with`` statement.

    Parameters
    ----------
    model : Model
    nt : int
        Time steps.
    adjoint : bool
        March backwards, with the transpose.
    source : Term
    measures : list of Term
    threaded : bool
        Of a kernel with threads, which may run with one.
    threads, threads_at_points : int
        Of OpenMP, for the grid and for what is injected and recorded at points.

    Attributes
    ----------
    block : int
        Steps it runs at a time: all of them, or as many as the histories of its terms take and give at once.
    parted : bool
        Whether other ranks march parts of the same grid.
    """

    def __init__(
        self, model: Model, nt: int, *, adjoint: bool, source: Term, measures: list[Term], threaded: bool,
        threads: int, threads_at_points: int,
    ) -> None:  # fmt: skip
        self.model, self.nt, self.adjoint = model, nt, adjoint
        self.terms = [source, *measures]
        self.spec = _known_spec(model, adjoint, threaded, source, measures)
        self.threads = {"nthreads": threads, "nthreads_nonaffine": threads_at_points}
        self.shows_steps = watching.shows_steps()
        self.parted = domain.ranks() > 1
        self.block = min(nt, BLOCK) if self.shows_steps else nt
        for term in self.terms:
            if term.history is not None and term.history.block:
                self.block = min(nt, BLOCK)

    def __enter__(self) -> Marching:
        self.operator, self.space = kernel(self.spec), workspaces.borrow(self.spec, self.model)
        try:
            self.begin()
            self.ports = []
            for term, slots in zip(self.terms, self.space.slots, strict=True):
                self.ports.append(PortArrays(term, slots, self, measures=bool(self.ports)))
            for port in self.ports:
                if port.reads:
                    reading = port.term.history.reading(self.adjoint, port.seen["background"])
                    port.reader = self._readers.enter_context(reading)
            arrays: dict[str, NDArray] = {}
            for port in self.ports:
                arrays |= port.arguments
            scalars = {"h": self.model.dt, **self.threads, "time_m": 0, "time_M": self.block - 1}
            self._arguments, self._last_step = self.space.bound(self.operator, arrays, scalars)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *error) -> None:
        # What a march borrowed goes back, and with it all that refers to what it measured.
        self.ports, self._arguments = [], None
        try:
            if "_readers" in self.__dict__:
                self._readers.__exit__(*error)
        finally:
            workspaces.give_back(self.spec, self.model, self.space)

    @cached_property
    def _readers(self) -> ExitStack:
        """What reads the histories of its terms, where any is read while it marches."""
        return ExitStack()

    def all(self) -> list[NDArray]:
        """March to the end; see :meth:`results`.

        Raises
        ------
        FloatingPointError
            If the wavefield is not finite.
        """
        starts = range(0, self.nt, self.block)
        with watching.bar(self.nt, "time steps") if self.shows_steps else _NO_BAR as moved_on:
            for start in reversed(starts) if self.adjoint else starts:
                watching.check_given_up()
                self.run(start)
                if moved_on is not None:
                    moved_on(min(self.block, self.nt - start))
        finite = [np.logical_and.reduce(np.isfinite(u), axis=None) for u in self.space.waves.values()]
        if domain.anywhere(not all(finite)):
            raise FloatingPointError(
                f"The wavefield of {self.model} grew beyond {self.model.dtype.name} within {self.nt} steps. Check that "
                "the source is finite and of sensible amplitude, and that the model has not been made with a dt of "
                "your own near the stability limit."
            )
        return self.results()

    def run(self, start: int) -> None:
        """March the block of steps from `start`, in the direction of the march."""
        global marches
        stop = min(start + self.block, self.nt)
        for port in self.ports:
            port.before(start, stop)
        self._arguments[self._last_step] = stop - start - 1
        with float_environment():
            status = self.operator.cfunction(*self._arguments)
        if status:
            raise RuntimeError(f"The compiled kernel gave up with status {status} on {self.model}.")
        with _count:
            marches += 1 if stop - start == self.nt else Fraction(stop - start, self.nt)
        for port in self.ports:
            port.after(start, stop)

    def last_step(self, start: int, stop: int) -> int | None:
        """Which of the steps from `start` to `stop` is the last of the march, if any is."""
        last = 0 if self.adjoint else self.nt - 1
        return last - start if start <= last < stop else None

    def levels(self, port: str, step: int) -> tuple[NDArray, NDArray]:
        """The wavefield of second order at a port in a step of the block that has run, and that behind it."""
        u = self.space.levels(port)
        return u[step % len(u)], u[(step + (1 if self.adjoint else -1)) % len(u)]

    def results(self) -> list[NDArray]:
        """What every measure saw; None for what went into a history."""
        return list(map(PortArrays.result, self.ports[1:]))

    def begin(self) -> None:
        """Stand before the first step again."""
        self.space.prepare(self.model)

    def state(self) -> list[NDArray]:
        """All that the next block depends on."""
        return [np.array(part) for part in self.space.moving()]

    def restore(self, state: list[NDArray]) -> None:
        """Go on from `state`."""
        # The level that is not in a state is written before it is read, but for a march that begins within a block.
        for u in self.space.waves.values():
            u[...] = 0
        for part, saved in zip(self.space.moving(), state, strict=True):
            part[...] = saved


# Bounded, as an aperture has a grid for every shot.
_specs: dict[tuple, KernelSpec] = {}
SPECS = 512


def _known_spec(model: Model, adjoint: bool, threaded: bool, source: Term, measures: list[Term]) -> KernelSpec:
    """The kernel of a march, made out once for all of one kind."""
    key = (model.medium, model.padded_shape, model.pad_widths, model.space_order, model.absorb, model.free_surface,
           model.dtype, adjoint, threaded, domain.ranks(), source.coupling,
           *map(attrgetter("coupling"), measures))  # fmt: skip
    spec = _specs.get(key)
    if spec is None:
        if len(_specs) >= SPECS:
            _specs.clear()
        spec = _specs[key] = _spec(model, adjoint, threaded, source, measures)
    return spec


def _spec(model: Model, adjoint: bool, threaded: bool, source: Term, measures: list[Term]) -> KernelSpec:
    layers = frozenset(a for a, w in enumerate(model.pad_widths) if any(w))
    ports = frozenset(source.coupling.ports), frozenset(name for t in measures for name in t.coupling.ports)
    scheme = _scheme(model.medium, model.ndim, layers, ports, model.free_surface, adjoint)
    sides = tuple(sides_along(model, scheme, axis) for axis in range(model.ndim))
    return KernelSpec(
        scheme=scheme, ndim=model.ndim, dtype=model.dtype.name, space_order=model.space_order, absorb=model.absorb,
        sides=sides, free_surface=model.free_surface, adjoint=adjoint, threaded=threaded,
        source=source.coupling, measures=tuple(t.coupling for t in measures),
    )  # fmt: skip


@cache
def _scheme(
    medium: Medium, ndim: int, layers: frozenset[int], ports: tuple[frozenset[str], frozenset[str]], surface: bool,
    adjoint: bool,
) -> Scheme:  # fmt: skip
    """The scheme of a march from some ports to others."""
    scheme = applied(medium.scheme(ndim), surface)
    kept = {f.name for f in scheme.fields if surface and f.parity}
    ends = reversed(ports) if adjoint else ports
    scheme = absorbing(inlined(scheme, *ends, kept, adjoint=adjoint), layers)
    return scaled(scheme.transpose) if adjoint else scheme
