"""One shot: fill the fields of a kernel, march, read what was measured."""

from __future__ import annotations

import threading
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from seisops import watching
from seisops.model import Model
from seisops.physics import Medium
from seisops.physics.layer import absorbing
from seisops.physics.ports import inlined
from seisops.physics.scheme import Scheme
from seisops.physics.steps import Receiver
from seisops.propagators import domain
from seisops.propagators.equations import depth, strip_cells
from seisops.propagators.kernels import Coupling, KernelSpec, float_environment, kernel, quiet, runs_threaded
from seisops.propagators.points import PointWeights
from seisops.propagators.workspaces import workspaces
from seisops.storage import buffers
from seisops.storage.base import BLOCK, History


@dataclass(frozen=True, eq=False)
class Term:
    """A coupling with its values: what is injected, and the constants of the coupling.

    The background wavefield of a coupling, too large to be a value like the others, is its `history`.
    """

    coupling: Coupling
    values: dict[str, NDArray] = field(default_factory=dict)
    points: tuple[PointWeights, ...] = ()
    history: History | None = None


# How many wavefields have been marched by this process; what an operation costs is counted in these. Part of a
# march, as histories that are not kept whole ask for, is a fraction.
marches = Fraction(0)
_count = threading.Lock()


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
    threads, threads_at_points : int
        Of OpenMP, for the grid and for what is injected and recorded at points.

    Attributes
    ----------
    block : int
        Steps it runs at a time: all of them, or as many as the histories of its terms take and give at once.
    """

    def __init__(
        self, model: Model, nt: int, *, adjoint: bool, source: Term, measures: list[Term], threads: int,
        threads_at_points: int,
    ) -> None:  # fmt: skip
        self.model, self.nt, self.adjoint = model, nt, adjoint
        self.terms = {"src": source} | {f"rec{i}": term for i, term in enumerate(measures)}
        self.spec = _spec(model, adjoint, runs_threaded(threads), source, measures)
        self.threads = {"nthreads": threads, "nthreads_nonaffine": threads_at_points}
        by_block = any(t.history is not None and t.history.block for t in self.terms.values())
        self.block = min(nt, BLOCK) if by_block or watching.shows_steps() else nt

    def __enter__(self) -> Marching:
        with quiet(), ExitStack() as stack:
            self.operator = kernel(self.spec)
            self.space = stack.enter_context(workspaces.borrow(self.spec, self.model))
            self.begin()
            fields = (self.space.fields.source, *self.space.fields.measures)
            self.ports = [
                _Port(term, f, self, measures=tag != "src")
                for (tag, term), f in zip(self.terms.items(), fields, strict=True)
            ]
            for port in self.ports:
                if port.reads:
                    history = port.term.history
                    port.reader = stack.enter_context(history.reading(self.adjoint, port.seen["background"]))
            bound = self._bound()
            self._arguments = [bound[p.name] for p in self.operator.parameters]
            self._last_step = [p.name for p in self.operator.parameters].index("time_M")
            self._lent = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        # What a march borrowed goes back, and with it all that refers to what it measured.
        self.ports, self._arguments = [], None
        self._lent.__exit__(*error)

    def _bound(self) -> dict:
        """The arguments of the kernel, for all blocks."""
        arguments = {f.name: f for f in self.space.fields.all()}
        for port in self.ports:
            arguments |= port.arguments
        known = {p.name for p in self.operator.parameters}
        scalars = {k: x for k, x in {"h": self.model.dt, **self.threads}.items() if k in known}
        return self.space.bound(self.operator, arguments, scalars | {"time_m": 0, "time_M": self.block - 1})

    def all(self) -> list[NDArray]:
        """March to the end; see :meth:`results`.

        Raises
        ------
        FloatingPointError
            If the wavefield is not finite.
        """
        starts = range(0, self.nt, self.block)
        with watching.bar(self.nt, "time steps") if watching.shows_steps() else nullcontext() as moved_on:
            for start in reversed(starts) if self.adjoint else starts:
                watching.check_given_up()
                self.run(start)
                if moved_on is not None:
                    moved_on(min(self.block, self.nt - start))
        if domain.anywhere(not all(np.isfinite(u).all() for u in self.space.waves.values())):
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
            marches += Fraction(stop - start, self.nt)
        for port in self.ports:
            port.after(start, stop)

    def last_step(self, start: int, stop: int) -> int | None:
        """Which of the steps from `start` to `stop` is the last of the march, if any is."""
        last = 0 if self.adjoint else self.nt - 1
        return last - start if start <= last < stop else None

    def levels(self, port: str, step: int) -> tuple[NDArray, NDArray]:
        """The wavefield of second order at a port in a step of the block that has run, and that behind it."""
        u = self.space.fields.physics.port(Receiver, port).now.data.view(np.ndarray)
        return u[step % 3], u[(step + (1 if self.adjoint else -1)) % 3]

    def results(self) -> list[NDArray]:
        """What every measure saw; None for what went into a history."""
        return [port.result() for port in self.ports[1:]]

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


class _Port:
    """A term at work: the arrays that a kernel sees of it, filled and emptied block by block."""

    def __init__(self, term: Term, fields: dict, marching: Marching, *, measures: bool) -> None:
        term = _here(term, fields, marching.model)
        self.term, self.marching = term, marching
        self.payload = payload = term.coupling.payload
        whole = marching.block == marching.nt
        # What neither comes in nor goes out stays as the workspace has it.
        fields = {k: f for k, f in fields.items() if k in (payload, "background", *term.values)}
        timed = {k for k, f in fields.items() if f.is_TimeFunction}
        # A history is written where the wavefield itself is measured, and read where something else is.
        self.writes = term.history is not None and payload in timed
        self.reads = term.history is not None and not self.writes
        self.reader = None
        # What a kernel can use as it is; all else it sees through a buffer of one block.
        direct = {k: x for k, x in term.values.items() if whole or k not in timed}
        if self.reads and whole and term.history.block is None:
            direct["background"], self.reads = term.history.whole, False
        if self.writes and not whole and term.history.buffer is not None:
            direct[payload] = term.history.buffer

        def buffer(k: str, f) -> NDArray:
            step = (1 + max(int(p.rows.max()) for p in term.points),) if term.points else f.shape[1:]
            return buffers.take((marching.block, *step) if k in timed else f.shape, f.dtype)

        self.seen = {k: buffers.aligned(direct[k], f.dtype) if k in direct else buffer(k, f) for k, f in fields.items()}
        self.arguments = {fields[k].name: x for k, x in self.seen.items()}
        self.given = {k: x for k, x in term.values.items() if k not in direct}
        seen = self.seen.get(payload)
        if measures and term.coupling.additive:
            seen[...] = 0
        # Series to which several ports add in a step.
        self.adds_up = measures and len(term.points) > 1
        # What a block holds is overwritten; the history of a whole march is handed over as it is.
        self.collected = None
        if measures and payload in timed and not self.writes:
            self.collected = seen if whole else np.empty((marching.nt, *seen.shape[1:]), seen.dtype)

    def before(self, start: int, stop: int) -> None:
        """Bring in what the block from `start` to `stop` takes."""
        for k, x in self.given.items():
            self.seen[k][: stop - start] = x[start:stop]
        if self.adds_up:
            self.seen[self.payload][...] = 0
        if self.reads:
            self.reader.read(start, stop, self.seen["background"][: stop - start])
        if self.writes:
            self.term.history.before(start, self.marching)

    def after(self, start: int, stop: int) -> None:
        """Take out what the block measured."""
        seen = self.seen.get(self.payload)
        last = self.marching.last_step(start, stop)
        if last is not None and hasattr(self.term.coupling, "at_the_end"):
            h = seen.dtype.type(self.marching.model.dt)
            self.term.coupling.at_the_end(seen[last], partial(self.marching.levels, step=last), h)
        if self.writes:
            self.term.history.write(start, stop, seen[: stop - start])
        elif self.collected is not None and self.collected is not seen:
            self.collected[start:stop] = seen[: stop - start]

    def result(self) -> NDArray | None:
        """What the whole march measured; None where that went into a history."""
        if self.writes:
            return None
        measured = self.seen[self.payload] if self.collected is None else self.collected
        return domain.total(measured) if self.term.points else domain.whole(self.marching.model, measured)


def _here(term: Term, fields: dict, model: Model) -> Term:
    """The term with this rank's part of what lies on the grid."""
    values = {k: domain.part(model, x) if fields[k].dimensions[-1].is_Space else x for k, x in term.values.items()}
    if term.points:
        values |= term.coupling.given(tuple(domain.own(model, points) for points in term.points))
    return replace(term, values=values)


def _spec(model: Model, adjoint: bool, threaded: bool, source: Term, measures: list[Term]) -> KernelSpec:
    sides = []
    layers = frozenset(a for a, w in enumerate(model.pad_widths) if any(w))
    ports = frozenset(name for term in (source, *measures) for name in term.coupling.ports)
    scheme = _scheme(model.medium, model.ndim, layers, ports, model.free_surface, adjoint)
    if domain.ranks() > 1 and any(not f.second and f.strip is None for f in scheme.fields):
        raise NotImplementedError(
            f"{type(model.medium).__name__} is marched by one process a shot: run shots side by side with "
            "so.config(executor=...), or leave DEVITO_MPI out."
        )
    for axis, (before, after) in enumerate(model.pad_widths):
        present = tuple(s for s, n in (("left", before), ("right", after)) if n)
        cells = strip_cells(model.absorb, model.space_order, axis == model.ndim - 1, depth(scheme, axis))
        overlap = len(present) * cells > model.padded_shape[axis]
        sides.append(("whole",) if overlap else present)
    return KernelSpec(
        scheme=scheme, ndim=model.ndim, dtype=model.dtype.name, space_order=model.space_order, absorb=model.absorb,
        sides=tuple(sides), free_surface=model.free_surface, adjoint=adjoint, threaded=threaded,
        source=source.coupling, measures=tuple(t.coupling for t in measures),
    )  # fmt: skip


@cache
def _scheme(
    medium: Medium, ndim: int, layers: frozenset[int], ports: frozenset[str], surface: bool, adjoint: bool
) -> Scheme:
    """The scheme of a march between some ports."""
    scheme = medium.scheme(ndim)
    kept = {f.name for f in scheme.fields if surface and f.parity}
    scheme = absorbing(inlined(scheme, ports, kept), layers)
    return scheme.transpose if adjoint else scheme
