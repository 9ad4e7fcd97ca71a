"""One shot: fill the fields of a kernel, march, read what was measured."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from devito import Grid, SparseTimeFunction
from numpy.typing import NDArray

from seisops.model import Model
from seisops.propagators import buffers
from seisops.propagators.couplings import Points
from seisops.propagators.kernels import Coupling, FieldSet, KernelSpec, float_environment, kernel, make_fields, quiet
from seisops.propagators.points import PointWeights

# Amplitude reflection of the layer at vertical incidence in the continuous limit.
REFLECTION = 1e-4
# Cells per wavelength at the frequency below which the layer turns from absorbing to evanescent waves.
CELLS_PER_WAVELENGTH = 80


@dataclass(frozen=True, eq=False)
class Term:
    """A coupling with its values: what is injected, and the constants of the coupling."""

    coupling: Coupling
    values: dict[str, NDArray] = field(default_factory=dict)
    points: PointWeights | None = None


# How many wavefields have been marched by this process; what an operation costs is counted in these.
marches = 0
_count = threading.Lock()


def march(
    model: Model, nt: int, *, adjoint: bool, source: Term, measures: list[Term], threads: int | None = None
) -> list[NDArray]:
    """Solve the wave equation (or its transpose) for one shot and return what each of `measures` saw.

    Raises
    ------
    FloatingPointError
        If the wavefield is not finite at the end.
    """
    global marches
    source, *measures = _one_width([source, *measures])
    spec = _spec(model, adjoint, source, measures)
    operator = kernel(spec)
    tags = ["src", *(f"rec{i}" for i in range(len(measures)))]
    terms = dict(zip(tags, (source, *measures), strict=True))
    npoints = {tag: len(t.points.nodes) for tag, t in terms.items() if t.points is not None}
    with quiet(), _workspaces.borrow(spec, model, nt, npoints) as space:
        space.prepare(model)
        arguments, results = {}, []
        for tag, term in terms.items():
            fields = space.fields.source if tag == "src" else space.fields.measures[int(tag[3:])]
            given, out = _bind(term, fields, model, nt, measured=tag != "src")
            arguments |= given
            results += [out] if tag != "src" else []
        arguments |= {f.name: f for f in space.fields.all() if f.name not in arguments}
        known = {p.name for p in operator.parameters}
        scalars = {"h": model.dt, "nthreads": threads, "nthreads_nonaffine": threads}
        arguments |= {k: x for k, x in scalars.items() if k in known and x is not None}
        with float_environment():
            operator.apply(time_m=0, time_M=nt - 1, **arguments)
        with _count:
            marches += 1
        if not np.isfinite(space.u).all():
            raise FloatingPointError(
                f"The wavefield of {model} grew beyond {model.dtype.name} within {nt} steps. Check that the source "
                "is finite and of sensible amplitude, and that the model has not been made with a dt of your own "
                "near the stability limit."
            )
        return [np.array(out) if term.points is not None else out for term, out in zip(measures, results, strict=True)]


def _one_width(terms: list[Term]) -> list[Term]:
    """The terms with the widest of their points' weights for all: Devito gives the weights of a kernel one size."""
    widths = [t.coupling.half_width for t in terms if isinstance(t.coupling, Points)]

    def widened(t: Term) -> Term:
        if not isinstance(t.coupling, Points) or t.coupling.half_width == max(widths):
            return t
        return Term(Points(max(widths)), t.values, t.points.resized(len(t.points.nodes), max(widths)))

    return [widened(t) for t in terms]


def _spec(model: Model, adjoint: bool, source: Term, measures: list[Term]) -> KernelSpec:
    sides = []
    for axis, (before, after) in enumerate(model.pad_widths):
        present = tuple(s for s, n in (("left", before), ("right", after)) if n)
        overlap = len(present) == 2 and model.shape[axis] < model.space_order
        sides.append(("whole",) if overlap else present)
    return KernelSpec(
        ndim=model.ndim, dtype=model.dtype.name, space_order=model.space_order, absorb=model.absorb,
        sides=tuple(sides), free_surface=model.free_surface, adjoint=adjoint,
        source=source.coupling, measures=tuple(t.coupling for t in measures),
    )  # fmt: skip


def _bind(term: Term, fields: dict, model: Model, nt: int, *, measured: bool) -> tuple[dict, NDArray]:
    """Arguments of a kernel for one term, and the array its payload lies in."""
    payload = term.coupling.payload
    if isinstance(term.coupling, Points):
        f = fields[payload]
        r = term.coupling.half_width
        _view(f.gridpoints)[:] = term.points.nodes + (r - 1)
        _view(f.interpolation_coeffs)[:] = term.points.weights
        if not measured:
            _view(f)[:] = term.values[payload]
        return {f.name: f}, _view(f)
    arrays = {k: buffers.aligned(x, model.dtype) for k, x in term.values.items()}
    if measured:
        arrays[payload] = buffers.take(_payload_shape(fields[payload], model, nt), model.dtype)
        if term.coupling.additive:
            arrays[payload][...] = 0
    return {fields[k].name: x for k, x in arrays.items()}, arrays[payload]


def _payload_shape(f, model: Model, nt: int) -> tuple[int, ...]:
    return (nt, *model.padded_shape) if f.is_TimeFunction else model.padded_shape


def _view(f) -> NDArray:
    """The memory of a Devito function, halo included."""
    return (f.data if isinstance(f, SparseTimeFunction) else f.data_with_halo).view(np.ndarray)


class Workspace:
    """The fields of one kernel on one grid, for one shot at a time."""

    def __init__(self, spec: KernelSpec, model: Model, nt: int, npoints: dict[str, int]) -> None:
        shape = model.padded_shape
        extent = tuple((n - 1) * d for n, d in zip(shape, model.spacing, strict=True))
        self.fields: FieldSet = make_fields(spec, Grid(shape, extent=extent, dtype=model.dtype.type), nt, npoints)
        self.u = _view(self.fields.u)
        self.zeroed = [self.u] + [_view(f) for layer in self.fields.layers for f in (layer.psi, layer.zeta)]
        self.filled_with = (None, None)

    def prepare(self, model: Model) -> None:
        """A quiet wavefield in `model`."""
        for array in self.zeroed:
            array[...] = 0
        profile = (model.dt, model.vmax)
        if self.filled_with[0] is not model.dinv:
            self.fields.dinv.data[:] = model.dinv
        if self.filled_with[1] != profile:
            for layer in self.fields.layers:
                axis = self.fields.u.grid.dimensions.index(layer.dimension)
                layer.a.data[:], layer.b.data[:] = layer_profiles(model, axis)
        self.filled_with = (model.dinv, profile)


def layer_profiles(model: Model, axis: int) -> tuple[NDArray, NDArray]:
    r"""The coefficients a and b of the absorbing layer along `axis` (padded length).

    :math:`b = e^{-(\sigma + \alpha) dt},\ a = \sigma (b - 1) / (\sigma + \alpha)` with a quadratic
    :math:`\sigma`; constants of the grid alone, so that the wave equation stays linear in m.
    """
    before, after = model.pad_widths[axis]
    n, cells, d = model.padded_shape[axis], model.absorb, model.spacing[axis]
    i = np.arange(n)
    depth = np.maximum((before - i) * (before > 0), (i - (n - 1 - after)) * (after > 0)).clip(0) / cells
    sigma = -3 * model.vmax * np.log(REFLECTION) / (2 * cells * d) * depth**2
    alpha = np.pi * model.vmax / (CELLS_PER_WAVELENGTH * d) * (1 - depth)
    b = np.exp(-(sigma + alpha) * model.dt)
    a = np.where(depth > 0, sigma / np.where(depth > 0, sigma + alpha, 1) * (b - 1), 0)
    return a.astype(model.dtype), b.astype(model.dtype)


class _Workspaces:
    """Workspaces that wait for the next shot; at most one for every shot that runs at once."""

    def __init__(self) -> None:
        self.idle: dict[tuple, list[Workspace]] = defaultdict(list)
        self.lock = threading.Lock()

    def borrow(self, spec: KernelSpec, model: Model, nt: int, npoints: dict[str, int]) -> _Loan:
        key = (spec, model.padded_shape, model.spacing, nt if npoints else 0, tuple(sorted(npoints.items())))
        with self.lock:
            space = self.idle[key].pop() if self.idle[key] else None
        if space is None:
            space = Workspace(spec, model, nt, npoints)
        return _Loan(self, key, space)


@dataclass
class _Loan:
    owner: _Workspaces
    key: tuple
    space: Workspace

    def __enter__(self) -> Workspace:
        return self.space

    def __exit__(self, *_) -> None:
        with self.owner.lock:
            self.owner.idle[self.key].append(self.space)


_workspaces = _Workspaces()
