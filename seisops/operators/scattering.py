r"""What the derivatives with respect to the model are made of.

`g` is the second time difference of a background wavefield: a perturbation of the model radiates where it meets
it, and an image is what other wavefields have in common with it.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seisops.algebra import (
    Chain,
    SeismicOperator,
    ShotIndex,
    apply,
    derivative,
    describe,
    fuse,
    placed,
    product,
    selected,
    tree,
)
from seisops.algebra.fusion import sampled
from seisops.algebra.operator import Footprint
from seisops.arrays import own, real
from seisops.execution.config import current
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.notices import warn
from seisops.operators.conditions import ADJOINT_STATE, Condition
from seisops.operators.projection import Projection
from seisops.operators.survey_operator import RECEIVER, Summed, SurveyOperator, wavefield_shape
from seisops.propagators import domain
from seisops.propagators.marching import Term
from seisops.storage import History, Storage, Subsampled, Wave, estimate
from seisops.storage.base import BLOCK
from seisops.storage.exact import Whole


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
        The background is U = op @ x. It is marched when first needed and kept as `storage` says.
    condition : imaging condition
        What of background and wavefield makes the image, see :mod:`seisops.operators.conditions`.
    storage : Storage, optional
        How the background is kept, see :mod:`seisops.storage`; that of ``so.config`` by default.

    Notes
    -----
    From a wavefield (nsrc, nt_comp, \*model.padded_shape) to a perturbation of the squared slowness of
    shape model.shape, s²/km², or what the condition makes of it. `m` is extended into the layer by its edge values
    (Pad), so what images in the layer is added to the edge.

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
    takes, gives = "wavefields", "grid"
    separable = False
    sums_shots = True

    def __init__(
        self,
        model: Model,
        geometry: Geometry,
        op: SeismicOperator | None,
        x: NDArray,
        *,
        condition: Condition = ADJOINT_STATE,
        storage: Storage | None = None,
    ) -> None:
        x = real(x, "What makes a background", None)
        # A derivative is in the model of its background.
        model = getattr(op, "model", None) or model
        super().__init__(model, geometry, wavefield_shape(model, geometry), condition.dims(model))
        if op is not None and op.shape[0] != self.shape[1]:
            raise ValueError(f"The background is a wavefield {self.dims}; {describe(op)} gives none such.")
        self.name = condition.symbol
        # A perturbation radiates as the background does that it meets.
        self.sampled = (None, sampled(op)[0])
        self.op, self.x, self.condition = op, own(x, model.dtype), condition
        self.parts = () if op is None else (op,)
        self.storage = current().storage if storage is None else storage
        self._kept: dict[int, History] = {}
        self._lock = threading.RLock()

    def _like(self, model: Model, geometry: Geometry, op: SeismicOperator | None, x: NDArray) -> Scattering:
        """The same with another background."""
        return Scattering(model, geometry, op, x, condition=self.condition, storage=self.storage)

    def _at(self, model):
        return self._like(model, self.geometry, self.op and tree.at(self.op, model), self.x)

    def within(self, window):
        if self.op is None:
            raise NotImplementedError(
                f"{self} has a wavefield of the whole model for its background: an aperture takes parts of products "
                "that march theirs, such as so.Jacobian(F, q)."
            )
        return self._like(window.model, self.geometry, *placed(self.op, self.x, window))

    def __getitem__(self, index: ShotIndex) -> Scattering:
        return self._like(self.model, self.geometry[index], *selected(self.op, self.x, index))

    def shots_out(self, dm, index):
        return dm

    def alone(self, i: int) -> Scattering:
        # What shots have in common on the way to their backgrounds, such as an image of all, is made here and once.
        propagation, z = self._marched
        if propagation is None:
            return self._like(self.model, self.geometry[[i]], None, self._shotwise(z.reshape(self.dims))[[i]])
        return self._like(
            self.model, self.geometry[[i]], propagation.alone(i), propagation.shots_in(z.reshape(propagation.dims), [i])
        )

    def __getstate__(self) -> dict:
        made = ("_lock", "_kept", "_marched")
        return {k: v for k, v in self.__dict__.items() if k not in made} | {"_kept": {}}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state, _lock=threading.RLock())

    # --- the background

    def wave(self, adjoint: bool = False, make=None) -> Wave:
        """What a history of one shot's background is of."""
        wave, count = super().wave(adjoint, make), self.condition.count
        return wave if count == 1 else replace(wave, shape=(count, *wave.shape))

    def footprint(self, nsrc):
        return Footprint(wave=self.wave(), backgrounds=[self])

    @cached_property
    def chosen(self) -> Storage:
        """What `storage` comes to in the memory that was free when the background was first asked for."""
        wave = self.wave()
        storage = domain.agreed(self.storage.chosen(wave, self.nsrc * domain.sharers()), lambda s: s.nbytes(wave))
        estimate.check(self.wave(), self.nsrc, storage)
        if isinstance(storage, Subsampled):
            self._warn_of_what_is_lost(storage)
        return storage

    def _warn_of_what_is_lost(self, storage: Subsampled) -> None:
        """Warn where the steps that are kept do not carry the band of the source."""
        propagation, z = self._marched
        source = getattr(propagation, "right", None)
        # Records that are marched back end with a jump, of any band: of sources alone it can be said.
        if source is None or propagation.adjoint_time or isinstance(source, Scattering):
            return
        q = np.concatenate(source.shots(z)) if isinstance(source, Projection) else source.wavelet
        lost = storage.lost(q, source.geometry.dt)
        if lost > 0.01:
            warn(
                f"Subsampled(fmax={storage.fmax:g}) leaves out {lost:.0%} of the energy that J and J.H need of this "
                "source: images and gradients are wrong. Give the highest frequency of the source, three times the "
                "peak frequency of a Ricker wavelet, in kHz.",
                told=self.model.told, cause=("subsampled", storage),
            )  # fmt: skip

    def history(self, adjoint: bool, make) -> History:
        """An empty history, for the march that `make` makes of it."""
        return self.chosen.history(self.wave(adjoint, make))

    def keep(self, histories: list[History]) -> None:
        """Take over the backgrounds of all shots."""
        with self._lock:
            self._kept.update(enumerate(histories))

    @cached_property
    def _marched(self) -> tuple[SeismicOperator | None, NDArray]:
        """The propagation whose wavefield is the background, and its input; None and the wavefield itself without."""
        propagation, z = _last_march(self.op, self.x)
        # Of what is complex on its way, real in the end; what a flat factor gives has no shape of its own.
        return propagation, z.real.reshape(self.dims if propagation is None else propagation.dims)

    def background(self, i: int) -> History:
        """g of shot `i`, (nt_comp, *model.padded_shape)."""
        with self._lock:
            if i in self._kept:
                return self._kept[i]
            propagation, z = self._marched
        if propagation is None:
            history = Whole(
                self.nt, self.condition.kept_of(domain.part(self.model, self._shotwise(z)[i]), self.model.dt)
            )
        else:
            history = propagation.filled(i, z, self)
        with self._lock:
            return self._kept.setdefault(i, history)

    def _whole(self, i: int) -> NDArray:
        """g of shot `i` in one array, for products that are not fused."""
        g = np.empty((self.nt, *self.wave().shape), self.dtype)
        with self.background(i).reading(adjoint=False) as history:
            for start in range(0, self.nt, BLOCK):
                stop = min(start + BLOCK, self.nt)
                history.read(start, stop, g[start:stop])
        return domain.whole(self.model, g)

    # --- the operator

    def _forward(self, u):
        shots = enumerate(self._shotwise(u))
        total = sum(self.condition.correlated(self._whole(i), ui).astype(np.float64) for i, ui in shots)
        return self.condition.gathered(self.model, total).astype(self.dtype)

    def _transposed(self, dm):
        padded = self.condition.padded(self.model, dm.astype(self.dtype))
        return np.stack([self.condition.scattered(padded, self._whole(i)) for i in range(self.nsrc)]).reshape(self.dims)

    def derivative(self, this, tail, x, wrt):
        dU = self.op and derivative(self.op, None, self.x, wrt)
        if dU is None:
            return None
        if this is self:
            # The image of u in dU is that of dU in u, the wavefields in each other's place.
            return product(Scattering(self.model, self.geometry, tail, x, condition=self.condition.reverse), dU)
        return product(VirtualSource(self.model, self.geometry, tail, x, condition=self.condition), dU)

    # --- as one end of a propagation

    def term(self, i: int, values: NDArray | None = None, end: str = RECEIVER) -> Term:
        """The coupling of shot `i`, with the perturbation to scatter off."""
        given = {} if values is None else {"perturbation": self.condition.padded(self.model, values.astype(self.dtype))}
        return Term(self.condition.coupling, given, history=self.background(i))

    def shots(self, x: NDArray) -> list[NDArray]:
        """What every shot scatters off: the same perturbation."""
        return [x] * self.nsrc

    def recorded(self, i: int, payload: NDArray, end: str = RECEIVER) -> NDArray:
        """The image of shot `i`."""
        return self.condition.gathered(self.model, payload)

    def collector(self) -> Summed:
        """Adds up the images of the shots."""
        return Summed()


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
    condition : imaging condition
        Whose linearised source it is, see :mod:`seisops.operators.conditions`.

    Notes
    -----
    From wavefields (nsrc, nt_comp, \*model.padded_shape) to sources of the same shape; its adjoint is that of the
    reverse condition. It stands between the two marches of a second derivative with respect to the model.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> rec = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> so.VirtualSource(model, rec, None, np.ones(model.shape))
    V: (1, 97, 71, 61) -> (1, 97, 71, 61)
    """

    def __init__(
        self, model: Model, geometry: Geometry, op, x: NDArray, *, condition: Condition = ADJOINT_STATE
    ) -> None:
        x = real(x, "What makes a perturbation", None)
        shape = wavefield_shape(model, geometry)
        super().__init__(model, geometry, shape, shape)
        self.name = "V"
        self.takes = self.gives = "wavefields"
        self.op, self.x, self.condition = op, own(x, model.dtype), condition
        self.parts = () if op is None else (op,)

    def _like(self, model: Model, geometry: Geometry, op, x: NDArray) -> VirtualSource:
        """The same with another perturbation."""
        return VirtualSource(model, geometry, op, x, condition=self.condition)

    def _at(self, model):
        return self._like(model, self.geometry, self.op and tree.at(self.op, model), self.x)

    def within(self, window):
        op, x = (None, window.crop(self.x)) if self.op is None else placed(self.op, self.x, window)
        return self._like(window.model, self.geometry, op, x)

    def __getitem__(self, index: ShotIndex) -> VirtualSource:
        # The perturbation is one for all shots, summed over all of those that made it.
        return self._like(self.model, self.geometry[index], self.op, self.x)

    @cached_property
    def perturbation(self) -> NDArray:
        """dm, an image."""
        dm = self.x if self.op is None else apply(self.op, self.x)
        return dm.real.reshape(self.condition.dims(self.model)).astype(self.dtype)

    def _radiated(self, condition: Condition, u: NDArray) -> NDArray:
        padded = condition.padded(self.model, self.perturbation)
        kept = (condition.kept_of(ui, self.model.dt) for ui in self._shotwise(u))
        return np.stack([condition.scattered(padded, g) for g in kept]).reshape(self.dims)

    def _forward(self, u):
        return self._radiated(self.condition, u)

    def _transposed(self, u):
        return self._radiated(self.condition.reverse, u)

    def derivative(self, this, tail, x, wrt):
        ddm = None if self.op is None else derivative(self.op, None, self.x, wrt)
        if ddm is None:
            return None
        condition = self.condition if this is self else self.condition.reverse
        return product(Scattering(self.model, self.geometry, tail, x, condition=condition).H, ddm)


def _last_march(op: SeismicOperator | None, x: NDArray) -> tuple[SeismicOperator | None, NDArray]:
    """The propagation that ends ``op @ x`` and its input, or None and the product where none does."""
    if op is None:
        return None, x
    chain = op if isinstance(op, Chain) else Chain([op])
    first, *rest = fuse(chain.factors)
    z = x if chain.scale == 1 else chain.dtype.type(chain.scale) * x
    for f in reversed(rest):
        z = apply(f, z)
    return (first, z) if hasattr(first, "filled") else (None, apply(first, z))
