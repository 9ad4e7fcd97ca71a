"""Wavefields at the times and in the part of the model that are asked for, and the energy they leave everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.algebra import Chain, SeismicOperator, apply, check_finite, dependent, fuse
from seisops.arrays import real
from seisops.execution.shots import map_shots
from seisops.model import Model
from seisops.operators.propagation import Propagation
from seisops.propagators import domain
from seisops.propagators.couplings import Wavefield
from seisops.propagators.marching import Term
from seisops.storage import History
from seisops.time_operator import weights_at


@dataclass(frozen=True, eq=False)
class Snapshots:
    r"""Wavefields with their time axis; made by :func:`snapshots`.

    Attributes
    ----------
    u : array (nsrc, time, \*model.shape)
        In the unit of the data: what a receiver at that point records.
    times : array, ms
    model : Model
        The part of the model they are of, which gives the axes.
    """

    u: NDArray
    times: NDArray
    model: Model

    def __repr__(self) -> str:
        shots = self.u.shape[0] if self.u.ndim > self.model.ndim + 1 else 1
        times = f"{len(self.times)} times from {self.times[0]:g} to {self.times[-1]:g} ms"
        return f"Snapshots({shots} shot{'s' * (shots != 1)} at {times}, {self.model})"


def snapshots(
    F: SeismicOperator,
    q: ArrayLike,
    *,
    times: ArrayLike | None = None,
    every: float | None = None,
    window: Sequence[tuple[float, float] | None] | None = None,
    out: str | Path | None = None,
) -> Snapshots:
    r"""Wavefields ``F @ q`` on their way: at chosen times, in a part of the model, in one march a shot.

    .. math:: u(t_k) = \sum_n W_{nk}\, u_n

    interpolates from the computational steps as a receiver does. Only what is asked for is ever in memory.

    Parameters
    ----------
    F : operator
        Modelling, such as ``Pr @ A @ Ps.H`` or its adjoint; the wavefield is that of its first march.
    q : array of ``F.dims``
    times : sequence of float, ms
        When. Give these or `every`.
    every : float, ms
        From when waves set out, at 0 or with the first sample if that is earlier, to the end of the record in steps of
        this.
    window : sequence of (low, high), m, optional
        What of every axis; None is all of it.
    out : path, optional
        A file `.npy` that the wavefields are written to and stay in, for more than memory holds.

    Returns
    -------
    Snapshots
        With `u` (nsrc, time, \*shape), `times` (ms) and the `model` of the window.

    Raises
    ------
    ValueError
        For times beyond the record, a window outside of the model, or an operator without a march.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry.line([250], depth=20, dt=2, t=200)
    >>> F = so.modeling(model, src, src)
    >>> s = so.snapshots(F, so.ricker(src, f0=0.02), every=50, window=[(100, 400), None])
    >>> s.u.shape, s.times.tolist()
    ((1, 5, 31, 41), [0.0, 50.0, 100.0, 150.0, 200.0])
    """
    march, inputs = _first_march(F, q)
    model = march.model
    geometry = march.geometry if march.right is None else march.right.geometry
    if (times is None) == (every is None):
        raise ValueError("Give either the times (ms) of the snapshots, or every (ms) how long there is one.")
    first, last = geometry.onset, geometry.end
    if every is not None and not 0 < every <= last - first:
        raise ValueError(f"every = {every} ms must lie between 0 and the recording time, t = {last - first:g} ms.")
    late = last + 1e-9 * (last - first)
    times = np.arange(first, late, every) if times is None else np.atleast_1d(real(times, "Times"))
    if times.ndim != 1 or not len(times) or not np.all((times >= first) & (times <= late)):
        raise ValueError(
            f"Snapshots are at times from {first:g} to t = {last:g} ms, got {np.ravel(times).tolist()} ms."
        )
    part = _slices(model, window)
    weights = weights_at(model, geometry, times)
    shape = (len(times), *(s.stop - s.start for s in part))
    u = _empty(out, (march.nsrc, *shape), model.dtype)
    for i, shot in enumerate(_each(march, inputs, _Times(weights, _padded(model, part), shape))):
        u[i] = shot
    return Snapshots(u[0] if geometry.single else u, times, model.window(part))


def illumination(F: SeismicOperator, q: ArrayLike) -> NDArray:
    r"""How much energy the wavefields of all shots leave where, in one march a shot.

    .. math:: I(x) = \sum_{shots} \int u(x, t)^2\, dt

    Parameters
    ----------
    F : operator
        Modelling; its adjoint gives the illumination by receivers of the data it is given.
    q : array of ``F.dims``

    Returns
    -------
    array of ``model.shape``, float64, ms times the unit of the data squared

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry.line([250], depth=20, dt=2, t=200)
    >>> energy = so.illumination(so.modeling(model, src, src), so.ricker(src, f0=0.02))
    >>> [int(i) for i in np.unravel_index(energy.argmax(), model.shape)]
    [25, 2]
    """
    march, inputs = _first_march(F, q)
    model = march.model
    dt = (march.geometry if march.right is None else march.right.geometry).dt
    part = _padded(model, _slices(model, None))
    return dt * sum(_each(march, inputs, _Energy(part, model.shape)))


@dataclass(frozen=True)
class _Times:
    """Makes histories that keep the wavefield at some times."""

    weights: NDArray
    part: tuple[slice, ...]
    shape: tuple[int, ...]

    def __call__(self) -> _Kept:
        total = np.zeros(self.shape, self.weights.dtype)

        def add(start: int, stop: int, u: NDArray) -> None:
            flat = total.reshape(len(total), -1)
            flat += self.weights[start:stop].T @ u.reshape(stop - start, -1)

        return _Kept(total, self.part, add)


@dataclass(frozen=True)
class _Energy:
    """Makes histories that add up the squares of the wavefield."""

    part: tuple[slice, ...]
    shape: tuple[int, ...]

    def __call__(self) -> _Kept:
        total = np.zeros(self.shape)

        def add(start: int, stop: int, u: NDArray) -> None:
            np.add(total, np.einsum("t...,t...->...", u, u), out=total)

        return _Kept(total, self.part, add)


class _Kept(History):
    """What is made of a wavefield as its march goes by, in a part of the grid."""

    def __init__(self, total: NDArray, part: tuple[slice, ...], add: Callable[[int, int, NDArray], None]) -> None:
        self.total, self.part, self.add = total, part, add

    def write(self, start: int, stop: int, g: NDArray) -> None:
        self.add(start, stop, np.ascontiguousarray(g[(slice(None), *self.part)]))

    def read(self, start: int, stop: int, out: NDArray) -> None:
        raise NotImplementedError("What was kept of a wavefield does not give it back.")


@dataclass(frozen=True)
class _Shots:
    """The march of every shot into a history of its own."""

    march: Propagation
    inputs: Sequence[NDArray]
    make: Callable[[], _Kept]

    def __call__(self, i: int) -> NDArray:
        history = self.make()
        source = self.march.source.term(i, self.inputs[i])
        with self.march.marching(source, [Term(Wavefield(), history=history)]) as marching:
            marching.all()
        return history.total

    def only(self, i: int) -> _Shots:
        return self if self.march.geometry.single else _Shots(self.march.alone(i), [self.inputs[i]], self.make)


def _each(march: Propagation, inputs: Sequence[NDArray], make: Callable[[], _Kept]):
    if domain.ranks() > 1:
        raise NotImplementedError("Snapshots are of whole wavefields: switch DEVITO_MPI off.")
    return map_shots(_Shots(march, inputs, make), march.nsrc, int(np.prod(march.model.padded_shape)))


def _first_march(F: SeismicOperator, q: ArrayLike) -> tuple[Propagation, Sequence[NDArray]]:
    """The march that acts first in F, without what records it, and what every shot injects."""
    op = dependent(F)
    z = real(op._as_input(q), "What makes wavefields", None)
    check_finite(op, z)
    z = z.astype(op.dtype, copy=False)
    chain = op if isinstance(op, Chain) else Chain([op])
    for f in reversed(fuse(chain.factors)):
        if isinstance(f, Propagation):
            march = Propagation(None, f.A, f.right, adjoint=f.adjoint_time)
            return march, march._inputs(chain.scaled(z).reshape(march.dims))
        z = apply(f, z)
    raise ValueError(f"{op} has no march that leaves wavefields: give a product such as Pr @ A @ Ps.H.")


def _slices(model: Model, window: Sequence[tuple[float, float] | None] | None) -> tuple[slice, ...]:
    """The cells of a window in m."""
    if window is None:
        return tuple(slice(0, n) for n in model.shape)
    if len(window) != model.ndim:
        raise ValueError(f"A window has (low, high) in m, or None, for each of {model.ndim} axes; got {window}.")
    result = []
    for given, (low, high), h, n in zip(window, model.extent, model.spacing, model.shape, strict=True):
        a, b = (low, high) if given is None else given
        if not (a <= b and a >= low - 1e-6 and b <= high + 1e-6):
            raise ValueError(f"A window from {a:g} to {b:g} m is not inside the model, from {low:g} to {high:g} m.")
        first = min(round((a - low) / h), n - 2)
        result.append(slice(first, max(round((b - low) / h) + 1, first + 2)))
    return tuple(result)


def _padded(model: Model, part: tuple[slice, ...]) -> tuple[slice, ...]:
    """The same cells on the grid with its layer."""
    return tuple(slice(s.start + a, s.stop + a) for s, (a, _) in zip(part, model.pad_widths, strict=True))


def _empty(out: str | Path | None, shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
    if out is None:
        return np.empty(shape, dtype)
    path = Path(out)
    if path.suffix != ".npy" or not path.parent.is_dir():
        raise ValueError(f"Snapshots are written to a file .npy in a folder that exists, got {str(path)!r}.")
    return np.lib.format.open_memmap(path, "w+", dtype, shape)
