r"""The operators: modelling A(m)⁻¹, the samplers Pr, Ps, Pw, and what products of them become.

With wavefields u of axes (shot, time, x, z):

=============== =============================================== ==============================
operator        product                                         adjoint
=============== =============================================== ==============================
Projection      d = Wᵀ R u, records at points                   W, Rᵀ: injects at points
LRWF            w = Σₙ q[n] u[n], correlates with a wavelet     w(x) q(t), an extended source
Modeling        u = A(m)⁻¹ s, the wave equation                 the wave equation backwards
Scattering      dm = -Padᵀ Σₙ g[n] u[n], the image              -dm ∘ g, the Born source
VirtualSource   -dm ∘ ∂²u/∂t²                                   itself
Propagation     left A right.H in one march                     right A.H left.H
=============== =============================================== ==============================

`R` interpolates in space (:mod:`seisops.propagators.points`), `W` is the time operator
(:mod:`seisops.time_operator`), `g` the second time difference of a background wavefield.
"""

from __future__ import annotations

import threading
from functools import cached_property

import numpy as np
import psutil
from numpy.typing import ArrayLike, NDArray

from seisops.algebra import (
    Chain,
    SeismicOperator,
    ShotIndex,
    _at,
    apply,
    compose,
    derivative,
    describe,
    fuse,
    phrase,
    product,
)
from seisops.execution import map_shots, threads_per_shot
from seisops.geometry import Geometry, shot_indices
from seisops.model import Model
from seisops.propagators.couplings import LowRank, Points, SecondDifference, Wavefield
from seisops.propagators.couplings import Scattering as ScatteringCoupling
from seisops.propagators.marching import Term, march
from seisops.propagators.points import HALF_WIDTH, PointWeights, point_weights
from seisops.time_operator import computational_steps, time_operator
from seisops.wavelets import warn_if_undersampled

# Part of the memory that is free when a background wavefield is first needed, which it may keep.
KEEP_FRACTION = 0.5


class SurveyOperator(SeismicOperator):
    """An operator on the wavefields of a survey: of some shots, steps and a padded grid."""

    separable = True

    def __init__(self, model: Model, geometry: Geometry, dims: tuple, dimsd: tuple) -> None:
        self.geometry = geometry
        self.nt = computational_steps(model, geometry)
        super().__init__(dims, dimsd, model.dtype, model)

    @property
    def nsrc(self) -> int:
        """Number of shots."""
        return self.geometry.nsrc

    def shots_in(self, x: NDArray, index: ShotIndex) -> NDArray:
        """What ``op[index]`` takes of an input `x` of all shots."""
        return x[index]

    def shots_out(self, y: NDArray, index: ShotIndex) -> NDArray:
        """What ``op[index]`` gives of an output `y` of all shots."""
        return y[index]

    def _shotwise(self, x: NDArray) -> NDArray:
        """`x` with its shot axis, also for the one shot of ``op[i]``."""
        return x[None] if self.geometry.single else x

    def _each(self, task) -> list:
        return map_shots(task, self.nsrc, int(np.prod(self.model.padded_shape)))


def wavefield_shape(model: Model, geometry: Geometry) -> tuple[int, ...]:
    """Shape of a wavefield, (nsrc, computational steps, *model.padded_shape)."""
    return (*geometry.lead, computational_steps(model, geometry), *model.padded_shape)


class Projection(SurveyOperator):
    r"""Records wavefields at points; the adjoint injects at points.

    .. math:: d = W^T R\, u

    with the interpolation `R` (Kaiser-windowed sinc or linear) and the time operator `W`.

    Parameters
    ----------
    model : Model
    geometry : Geometry
        Points of every shot, anywhere in the model, and the time axis of the data.
    interpolation : {"sinc", "linear"}
        Weights of a point off the grid.

    Notes
    -----
    From a wavefield (nsrc, nt_comp, \*model.padded_shape) to data (nsrc, npoint, nt), dimensionless.

    Raises
    ------
    ValueError
        For points outside the model, or on its free surface.

    References
    ----------
    G. Hicks, 2002, Arbitrary source and receiver positioning in finite-difference schemes using
    Kaiser windowed sinc functions, Geophysics 67.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> so.Projection(model, so.Geometry([[[100, 55.5]]], dt=2, t=200))
    Pr: (1, 97, 71, 61) -> (1, 1, 101)
    """

    samples = True
    source_name = "Ps"

    def __init__(self, model: Model, geometry: Geometry, *, interpolation: str = "sinc") -> None:
        if interpolation not in HALF_WIDTH:
            raise ValueError(f"interpolation is one of {sorted(HALF_WIDTH)}, got {interpolation!r}.")
        self.interpolation = interpolation
        weights = [point_weights(model, p, interpolation) for p in geometry.positions]
        self._build(model, geometry, weights, max(w.half_width for w in weights), max(geometry.counts))

    def _build(self, model, geometry, weights: list[PointWeights], half_width: int, npoint: int) -> None:
        super().__init__(model, geometry, wavefield_shape(model, geometry), geometry.shape)
        self.name = "Pr"
        self._weights = weights
        # What all shots of the survey share, so that one kernel and one set of fields serves them.
        self._half_width, self._npoint = half_width, npoint

    def _copy(self, model: Model, geometry: Geometry, weights: list[PointWeights]) -> Projection:
        other = object.__new__(Projection)
        other.interpolation = self.interpolation
        other._build(model, geometry, weights, self._half_width, self._npoint)
        return other

    def _at(self, model):
        return self._copy(model, self.geometry, self._weights)

    def __getitem__(self, index: ShotIndex) -> Projection:
        chosen = shot_indices(index, self.nsrc)
        return self._copy(self.model, self.geometry[index], [self._weights[i] for i in chosen])

    def shots_out(self, d, index):
        shots = self.geometry.split(d)
        return self.geometry[index].join([shots[i] for i in shot_indices(index, self.nsrc)])

    def _forward(self, u):
        W, u = time_operator(self.model, self.geometry), self._shotwise(u)
        matrices = [w.matrix(self.model.padded_shape) for w in self._weights]
        return self.geometry.join([(R @ ui.reshape(self.nt, -1).T) @ W for R, ui in zip(matrices, u, strict=True)])

    def _transposed(self, d):
        W = time_operator(self.model, self.geometry)
        matrices = [w.matrix(self.model.padded_shape) for w in self._weights]
        shots = self.geometry.split(d)
        return np.stack([(R.T @ (s @ W.T)).T for R, s in zip(matrices, shots, strict=True)]).reshape(self.dims)

    # --- as one end of a propagation

    def term(self, i: int, values: NDArray | None = None) -> Term:
        """The coupling of shot `i`, with the series to inject."""
        points = self._weights[i].resized(self._npoint, self._half_width)
        series = {}
        if values is not None:
            series["series"] = np.zeros((self.nt, self._npoint), self.dtype)
            series["series"][:, : len(values)] = time_operator(self.model, self.geometry) @ values.T
        return Term(Points(self._half_width), series, points)

    def shots(self, x: NDArray) -> list[NDArray]:
        """What every shot injects."""
        return self.geometry.split(x)

    def recorded(self, i: int, payload: NDArray) -> NDArray:
        """The data of shot `i` from what its march measured."""
        return payload[:, : self.geometry.counts[i]].T @ time_operator(self.model, self.geometry)

    def gather(self, results: list[NDArray]) -> NDArray:
        """The data of all shots."""
        return self.geometry.join(results)


class LRWF(SurveyOperator):
    r"""Low-rank wavefield: correlates wavefields with one wavelet; the adjoint is an extended source.

    .. math:: w(x) = \sum_n (W q)_n\, u_n(x), \qquad P_w^T w = w(x)\, q(t)

    Parameters
    ----------
    model : Model
    geometry : Geometry
        How many shots and the time axis; its positions are not used.
    wavelet : array (nt,) or (nsrc, nt) or (nsrc, 1, nt)
        The wavelet q on the time axis of `geometry`.

    Notes
    -----
    From a wavefield (nsrc, nt_comp, \*model.padded_shape) to weights (nsrc, \*model.shape), dimensionless.

    Raises
    ------
    ValueError
        If the wavelet does not fit the time axis or is not finite.

    References
    ----------
    P. Witte et al., 2019, A large-scale framework for symbolic implementations of seismic inversion
    algorithms in Julia, Geophysics 84.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> rec = so.Geometry([[[100, 55.5]]], dt=2, t=200)
    >>> so.LRWF(model, rec, np.ones(101))
    Pw: (1, 97, 71, 61) -> (1, 51, 41)
    """

    samples = True

    def __init__(self, model: Model, geometry: Geometry, wavelet: ArrayLike) -> None:
        q = np.asarray(wavelet, dtype=np.float64)
        n, nt = geometry.nsrc, geometry.nt
        if q.shape not in ((nt,), (n, nt), (n, 1, nt), (1, nt)):
            raise ValueError(f"The wavelet has shape ({nt},) or ({n}, {nt}) on {geometry}, got {q.shape}.")
        if not np.all(np.isfinite(q)):
            raise ValueError("The wavelet has values that are not finite.")
        self.wavelet = np.broadcast_to(q.reshape(-1, nt), (n, nt))
        warn_if_undersampled(model, geometry, self.wavelet)
        super().__init__(model, geometry, wavefield_shape(model, geometry), (*geometry.lead, *model.shape))
        self.name = "Pw"
        self._series = (self.wavelet @ time_operator(model, geometry).T.astype(np.float64)).astype(model.dtype)

    def _at(self, model):
        return LRWF(model, self.geometry, self.wavelet)

    def __getitem__(self, index: ShotIndex) -> LRWF:
        return LRWF(self.model, self.geometry[index], self.wavelet[shot_indices(index, self.nsrc)])

    def _forward(self, u):
        w = np.einsum("st,st...->s...", self._series, self._shotwise(u), optimize=True)
        return self.model.crop(w).reshape(self.dimsd)

    def _transposed(self, w):
        w = self.model.embed(self._shotwise(w).astype(self.dtype))
        q = self._series.reshape(*self._series.shape, *(1,) * self.model.ndim)
        return (q * w[:, None]).reshape(self.dims)

    # --- as one end of a propagation

    def term(self, i: int, values: NDArray | None = None) -> Term:
        """The coupling of shot `i`, with the weights to inject."""
        weights = {} if values is None else {"weights": self.model.embed(values.astype(self.dtype))}
        return Term(LowRank(), {"wavelet": self._series[i], **weights})

    def shots(self, x: NDArray) -> NDArray:
        """What every shot injects."""
        return self._shotwise(x)

    def recorded(self, i: int, payload: NDArray) -> NDArray:
        """The weights of shot `i` from what its march measured."""
        return self.model.crop(payload)

    def gather(self, results: list[NDArray]) -> NDArray:
        """The weights of all shots."""
        return np.stack(results).reshape(self.dimsd)


class Modeling(SurveyOperator):
    r"""The wave equation: from sources everywhere to the wavefield.

    .. math:: u = A(m)^{-1} s, \qquad \frac{m}{h^2} (u_{n+1} - 2 u_n + u_{n-1}) = L u_n + s_n

    Parameters
    ----------
    model : Model
    geometry : Geometry
        How many shots and how long; its positions are not used.

    Notes
    -----
    From sources (nsrc, nt_comp, \*model.padded_shape) to wavefields of the same shape. The computational
    time axis is isometric: a wavefield made from data is sqrt(geometry.dt / model.dt) times
    smaller than its physical value, which a Projection on the left restores.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[100, 55.5], [400, 55.5]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> F
    Pr @ A @ Ps.H: (1, 1, 101) -> (1, 2, 101)
    >>> d = F @ so.ricker(src, f0=0.02)
    """

    propagates = True

    def __init__(self, model: Model, geometry: Geometry) -> None:
        shape = wavefield_shape(model, geometry)
        super().__init__(model, geometry, shape, shape)
        self.name = "A"

    def _at(self, model):
        return Modeling(model, self.geometry)

    def __getitem__(self, index: ShotIndex) -> Modeling:
        return Modeling(self.model, self.geometry[index])

    def propagation(self, left, right, adjoint: bool = False) -> Propagation:
        """The march ``left A right.H`` (or with A.H) in one kernel."""
        return Propagation(left, self, right, adjoint=adjoint)

    def _forward(self, s):
        return self.propagation(None, None)._forward(s)

    def _transposed(self, u):
        return self.propagation(None, None)._transposed(u)

    def derivative(self, this, tail, x):
        # A(m) u = s gives A dU = -dm d²u/dt²; transposed likewise, as the second difference is symmetric.
        behind = this if tail is None else product(this, tail)
        return product(this, Scattering(self.model, self.geometry, behind, x).H)


class _Everywhere:
    """The end of a propagation that no sampler stands at: the wavefield itself."""

    def __init__(self, A: Modeling) -> None:
        self.A = A

    def term(self, i: int, values: NDArray | None = None) -> Term:
        return Term(Wavefield(), {} if values is None else {"history": values})

    def shots(self, x: NDArray) -> NDArray:
        return self.A._shotwise(x)

    def recorded(self, i: int, payload: NDArray) -> NDArray:
        return payload

    def gather(self, results: list[NDArray]) -> NDArray:
        return np.stack(results).reshape(self.A.dims)


class Propagation(SurveyOperator):
    """What fusion makes of ``left @ A @ right.H``: one march for every shot.

    Parameters
    ----------
    left, right : sampler or None
        A :class:`Projection`, :class:`LRWF` or :class:`Scattering`; None is the wavefield itself.
    A : Modeling
    adjoint : bool
        March ``left @ A.H @ right.H`` instead.

    Notes
    -----
    From what `right` records to what `left` records.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> rec = so.Geometry([[[100, 55.5]]], dt=2, t=200)
    >>> Pr, A = so.Projection(model, rec), so.Modeling(model, rec)
    >>> (Pr @ A @ Pr.H).fused[0]
    Pr @ A @ Ps.H: (1, 1, 101) -> (1, 1, 101)
    """

    def __init__(self, left, A: Modeling, right, *, adjoint: bool = False) -> None:
        dims = A.dims if right is None else right.dimsd
        dimsd = A.dims if left is None else left.dimsd
        super().__init__(A.model, A.geometry, dims, dimsd)
        self.left, self.A, self.right, self.adjoint_time = left, A, right, adjoint
        # How many factors of the product this stands for, and which of them is A.
        self.length, self.position = 1 + (left is not None) + (right is not None), int(left is not None)
        self.name = phrase([op for op in (left, A.H if adjoint else A, right and right.H) if op is not None])

    def _forward(self, x):
        return self._run(x, self.right, self.left, self.adjoint_time)[0]

    def _transposed(self, y):
        return self._run(y, self.left, self.right, not self.adjoint_time)[0]

    def forward_keeping(self, x: NDArray, background: Scattering) -> NDArray:
        """The product, whose march also leaves its second time difference with `background`."""
        if not background.keeps:
            return self._forward(x)
        ends = (self.right, self.left, self.adjoint_time)
        result, histories = self._run(x, *ends, also=lambda i: Term(SecondDifference()))
        background.keep(histories)
        return result

    def transposed_imaging(self, y: NDArray, background: Scattering) -> tuple[NDArray, NDArray]:
        """The transposed product, and the image of its wavefield in `background` from the same march."""
        ends = (self.left, self.right, not self.adjoint_time)
        result, images = self._run(y, *ends, also=background.term)
        return result, background.gather([background.recorded(i, image) for i, image in enumerate(images)])

    def second_difference(self, i: int, x: NDArray) -> NDArray:
        """The second time difference of shot `i`'s wavefield."""
        source = self.right or _Everywhere(self.A)
        return self._march(i, source.term(i, source.shots(x)[i]), [Term(SecondDifference())], self.adjoint_time)[0]

    def _run(self, x, source, measure, adjoint: bool, also=None) -> tuple[NDArray, list]:
        source, measure = source or _Everywhere(self.A), measure or _Everywhere(self.A)
        inputs = source.shots(x)
        if isinstance(source, Projection) and not adjoint:
            warn_if_undersampled(self.model, source.geometry, np.concatenate(inputs))

        def shot(i: int):
            measures = [measure.term(i), *([] if also is None else [also(i)])]
            payload, *more = self._march(i, source.term(i, inputs[i]), measures, adjoint)
            return measure.recorded(i, payload), *more

        results = self._each(shot)
        return measure.gather([r[0] for r in results]), [r[1] for r in results if also is not None]

    def _march(self, i: int, source: Term, measures: list[Term], adjoint: bool) -> list[NDArray]:
        return march(self.model, self.nt, adjoint=adjoint, source=source, measures=measures, threads=threads_per_shot())


class Scattering(SurveyOperator):
    r"""The image of wavefields in a background; the adjoint is the Born source of a perturbation.

    .. math:: dm = -\mathrm{Pad}^T \sum_n g_n \circ u_n, \qquad g_n = (U_{n+1} - 2 U_n + U_{n-1}) / h^2

    Parameters
    ----------
    model : Model
    geometry : Geometry
        How many shots and how long.
    op : operator with wavefields as its output
    x : array of ``op.dims``
        The background is U = op @ x. It is computed when first needed and kept while memory allows.

    Notes
    -----
    From a wavefield (nsrc, nt_comp, \*model.padded_shape) to a perturbation of the squared slowness of
    shape model.shape, s²/km². `m` is extended into the layer by its edge values (Pad), so what images
    in the layer is added to the edge.

    References
    ----------
    A. Tarantola, 1984, Inversion of seismic reflection data in the acoustic approximation, Geophysics 49.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> Ps, A = so.Projection(model, src), so.Modeling(model, src)
    >>> so.Scattering(model, src, A @ Ps.H, so.ricker(src, f0=0.02))
    S: (1, 97, 71, 61) -> (51, 41)
    """

    samples = True
    separable = False
    sums_shots = True

    def __init__(self, model: Model, geometry: Geometry, op: SeismicOperator | None, x: NDArray) -> None:
        super().__init__(model, geometry, wavefield_shape(model, geometry), model.shape)
        self.name = "S"
        self.op, self.x = op, x
        self._kept: dict[int, NDArray] = {}
        self._lock = threading.RLock()

    def _at(self, model):
        return Scattering(model, self.geometry, self.op and self.op._at(model), self.x)

    def __getitem__(self, index: ShotIndex) -> Scattering:
        return Scattering(self.model, self.geometry[index], *_select(self.op, self.x, index))

    def shots_out(self, dm, index):
        return dm

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_kept", "_marched")} | {"_kept": {}}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state, _lock=threading.RLock())

    # --- the background

    @property
    def nbytes(self) -> int:
        """Bytes of the background of all shots."""
        return self.nsrc * self.nt * int(np.prod(self.model.padded_shape)) * self.dtype.itemsize

    @cached_property
    def keeps(self) -> bool:
        """Whether the background fits in the memory that was free when it was first asked for."""
        return self.nbytes <= KEEP_FRACTION * psutil.virtual_memory().available

    def keep(self, backgrounds: list[NDArray]) -> None:
        """Take over the backgrounds of all shots."""
        with self._lock:
            self._kept.update(enumerate(backgrounds))

    @cached_property
    def _marched(self) -> tuple[Propagation | None, NDArray]:
        """The propagation whose wavefield is the background, and its input; None and the wavefield itself without."""
        return _last_march(self.op, self.x)

    def background(self, i: int) -> NDArray:
        """g of shot `i`, (nt_comp, *model.padded_shape)."""
        with self._lock:
            if i in self._kept:
                return self._kept[i]
            propagation, z = self._marched
        if propagation is None:
            g = second_time_difference(self._shotwise(z)[i], self.model.dt)
        else:
            g = propagation.second_difference(i, z)
        if self.keeps:
            with self._lock:
                self._kept.setdefault(i, g)
        return g

    # --- the operator

    def _forward(self, u):
        total = np.zeros(self.model.padded_shape, np.float64)
        for i, ui in enumerate(self._shotwise(u)):
            total -= np.einsum("t...,t...->...", self.background(i), ui)
        return self.model.pad_adjoint(total).astype(self.dtype)

    def _transposed(self, dm):
        padded = self.model.pad(dm.astype(self.dtype))
        return np.stack([-padded * self.background(i) for i in range(self.nsrc)]).reshape(self.dims)

    def derivative(self, this, tail, x):
        dU = self.op and derivative(self.op, None, self.x)
        if dU is None:
            return None
        if this is self:
            # d(S u) = -Padᵀ Σ u ∂²dU = S' dU with u as the background of S': the second difference is symmetric.
            return product(Scattering(self.model, self.geometry, tail, x), dU)
        return product(VirtualSource(self.model, self.geometry, tail, x), dU)

    # --- as one end of a propagation

    def term(self, i: int, values: NDArray | None = None) -> Term:
        """The coupling of shot `i`, with the perturbation to scatter off."""
        given = {} if values is None else {"perturbation": self.model.pad(values.astype(self.dtype))}
        return Term(ScatteringCoupling(), {"background": self.background(i), **given})

    def shots(self, x: NDArray) -> list[NDArray]:
        """What every shot scatters off: the same perturbation."""
        return [x] * self.nsrc

    def recorded(self, i: int, payload: NDArray) -> NDArray:
        """The image of shot `i`."""
        return self.model.pad_adjoint(payload)

    def gather(self, results: list[NDArray]) -> NDArray:
        """The image of all shots."""
        return sum(results[1:], start=results[0])


class VirtualSource(SurveyOperator):
    r"""What a wavefield radiates from a perturbation dm = op @ x of the squared slowness.

    .. math:: s_n = -dm \circ (u_{n+1} - 2 u_n + u_{n-1}) / h^2

    Parameters
    ----------
    model : Model
    geometry : Geometry
        How many shots and how long.
    op : operator with a model perturbation as its output, or None
    x : array
        The perturbation is op @ x, or `x` itself.

    Notes
    -----
    From wavefields (nsrc, nt_comp, \*model.padded_shape) to sources of the same shape; symmetric. It stands
    between the two marches of a second derivative with respect to the model.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> rec = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> so.VirtualSource(model, rec, None, np.ones(model.shape))
    V: (1, 97, 71, 61) -> (1, 97, 71, 61)
    """

    def __init__(self, model: Model, geometry: Geometry, op, x: NDArray) -> None:
        shape = wavefield_shape(model, geometry)
        super().__init__(model, geometry, shape, shape)
        self.name = "V"
        self.op, self.x = op, x

    def _at(self, model):
        return VirtualSource(model, self.geometry, _at(self.op, model), self.x)

    def __getitem__(self, index: ShotIndex) -> VirtualSource:
        # The perturbation is one for all shots, summed over all of those that made it.
        return VirtualSource(self.model, self.geometry[index], self.op, self.x)

    @cached_property
    def perturbation(self) -> NDArray:
        """dm on the padded grid."""
        dm = self.x if self.op is None else apply(self.op, self.x)
        return self.model.pad(dm.reshape(self.model.shape).astype(self.dtype))

    def _forward(self, u):
        sources = [-self.perturbation * second_time_difference(ui, self.model.dt) for ui in self._shotwise(u)]
        return np.stack(sources).reshape(self.dims)

    _transposed = _forward

    def derivative(self, this, tail, x):
        ddm = None if self.op is None else derivative(self.op, None, self.x)
        return None if ddm is None else product(Scattering(self.model, self.geometry, tail, x).H, ddm)


def Jacobian(op: SeismicOperator, x: ArrayLike, wrt: str = "m") -> SeismicOperator:
    r"""The derivative of a composed operator: Born modelling, whose adjoint is reverse-time migration.

    .. math:: J\,dm = \frac{\partial\, (op(m)\, x)}{\partial m}\, dm

    Parameters
    ----------
    op : operator
        Any composition; PyLops factors count as constant.
    x : array of ``op.dims``
        The source q of ``F = Pr @ A @ Ps.H``, the weights of an extended source, data for an adjoint.
    wrt : {"m"}
        The parameter: squared slowness, s²/km².

    Returns
    -------
    operator from ``model.shape`` to ``op.dimsd``
        It keeps the background wavefield while memory allows, so that J and J.H cost one march a shot.

    Raises
    ------
    ValueError
        If `op` does not depend on the parameter.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[100, 55.5], [400, 55.5]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> so.Jacobian(F, so.ricker(src, f0=0.02))
    Pr @ A @ S.H: (51, 41) -> (1, 2, 101)
    """
    composed = compose(op)
    if not isinstance(composed, SeismicOperator):
        raise ValueError(f"{describe(composed)} holds no operator of this library: it does not depend on {wrt}.")
    return composed.jacobian(x, wrt)


def second_time_difference(u: NDArray, h: float) -> NDArray:
    """(u[n+1] - 2 u[n] + u[n-1]) / h² along the first axis, zero before and after; a symmetric operator."""
    g = -2 * u
    g[:-1] += u[1:]
    g[1:] += u[:-1]
    return g / u.dtype.type(h) ** 2


def _last_march(op: SeismicOperator | None, x: NDArray) -> tuple[Propagation | None, NDArray]:
    """The propagation that ends ``op @ x`` and its input, or None and the product where none does."""
    if op is None:
        return None, x
    chain = op if isinstance(op, Chain) else Chain([op])
    first, *rest = fuse(chain.factors)
    z = x if chain.scale == 1 else chain.dtype.type(chain.scale) * x
    for f in reversed(rest):
        z = apply(f, z)
    return (first, z) if isinstance(first, Propagation) else (None, apply(first, z))


def _select(op, x: NDArray, index: ShotIndex) -> tuple:
    """``op[index]`` and the part of `x` it takes."""
    return (None, x[index]) if op is None else (op[index], op.shots_in(x, index))
