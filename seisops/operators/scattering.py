r"""What the derivatives with respect to the model are made of.

`g` is the second time difference of a background wavefield: a perturbation of the model radiates where it meets
it, and an image is what other wavefields have in common with it.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seisops.algebra import (
    SeismicOperator,
    ShotIndex,
    apply,
    derivative,
    describe,
    placed,
    product,
    selected,
    tree,
)
from seisops.algebra.fusion import sampled
from seisops.arrays import own, real
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.operators.background import BackgroundOperator
from seisops.operators.conditions import ADJOINT_STATE, Condition
from seisops.operators.survey_operator import RECEIVER, Summed, SurveyOperator, wavefield_shape
from seisops.propagators.marching import Term
from seisops.storage import Storage


class Scattering(BackgroundOperator):
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
        dims, dimsd = wavefield_shape(model, geometry), condition.dims(model)
        super().__init__(model, geometry, dims, dimsd, op=op, x=x, condition=condition, storage=storage)
        if op is not None and op.shape[0] != self.shape[1]:
            raise ValueError(f"The background is a wavefield {self.dims}; {describe(op)} gives none such.")
        self.name = condition.symbol
        # A perturbation radiates as the background does that it meets.
        self.sampled = (None, sampled(op)[0])

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
        return self._like(window.of(self.model), self.geometry, *placed(self.op, self.x, window))

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
        return self._like(window.of(self.model), self.geometry, op, x)

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
