"""The sampler Pw: wavefields by their correlation with a wavelet."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.algebra import ShotIndex
from seisops.arrays import real, shot_indices
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.operators.survey_operator import (
    RECEIVER,
    Collected,
    SurveyOperator,
    channel,
    check_arguments,
    filters,
    wavefield_shape,
)
from seisops.propagators.couplings import LowRank
from seisops.propagators.marching import Term
from seisops.time_operator import time_operator
from seisops.wavelets import warn_if_undersampled


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
    component : str
        What it weighs: the pressure "p", or another component of the medium, see :class:`Projection`.

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

    samples, varies = True, False
    takes, gives = "wavefields", "grid"

    def __init__(self, model: Model, geometry: Geometry, wavelet: ArrayLike, *, component: str = "p") -> None:
        check_arguments("LRWF", model, geometry)
        self.component, self._channel = component, channel(model, component)
        q = np.array(real(wavelet, "The wavelet"))
        n, nt = geometry.nsrc, geometry.nt
        if q.shape not in ((nt,), (n, nt), (n, 1, nt), (1, nt)):
            raise ValueError(f"The wavelet has shape ({nt},) or ({n}, {nt}) on {geometry}, got {q.shape}.")
        if not np.all(np.isfinite(q)):
            raise ValueError("The wavelet has values that are not finite.")
        self.wavelet = np.broadcast_to(q.reshape(-1, nt), (n, nt))
        warn_if_undersampled(model, geometry, self.wavelet)
        super().__init__(model, geometry, wavefield_shape(model, geometry), (*geometry.lead, *model.shape))
        self.name, self.sampled = "Pw", (None, (geometry.dt, geometry.onset))

    def _series(self, end: str | None = None) -> NDArray:
        """The wavelet of every shot in steps; as a march takes it at one end of A."""
        f = () if end is None else filters(self.model, self.component, end)
        W = time_operator(self.model, self.geometry, f, end == RECEIVER).astype(np.float64)
        # Row by row: a shot's own product is the same to the last bit among whichever others it stands.
        return np.stack([W @ row for row in self.wavelet]).astype(self.model.dtype)

    def derivative(self, this, tail, x, wrt):
        return None

    def _at(self, model):
        warn_if_undersampled(model, self.geometry, self.wavelet)
        return self._copied(model=model)

    def within(self, window):
        return LRWF(window.of(self.model), self.geometry, self.wavelet, component=self.component)

    def __getitem__(self, index: ShotIndex) -> LRWF:
        wavelet = self.wavelet[shot_indices(index, self.nsrc)]
        return LRWF(self.model, self.geometry[index], wavelet, component=self.component)

    def _forward(self, u):
        u = self._shotwise(u)
        u = u if self._channel is None else u[:, :, self._channel]
        w = np.einsum("st,st...->s...", self._series(), u, optimize=True)
        return self.model.crop(w).reshape(self.dimsd)

    def _transposed(self, w):
        w = self.model.embed(self._shotwise(w).astype(self.dtype))
        q = self._series()
        u = q.reshape(*q.shape, *(1,) * self.model.ndim) * w[:, None]
        return _among(u, self._channel, self.dims)

    # --- as one end of a propagation

    def term(self, i: int, values: NDArray | None = None, end: str = RECEIVER) -> Term:
        """The coupling of shot `i` at one end of A, with the weights to inject."""
        weights = {} if values is None else {"weights": self.model.embed(values.astype(self.dtype))}
        return Term(LowRank(port=self.component), {"wavelet": self._series(end)[i], **weights})

    def shots(self, x: NDArray) -> NDArray:
        """What every shot injects."""
        return self._shotwise(x)

    def recorded(self, i: int, payload: NDArray, end: str = RECEIVER) -> NDArray:
        """The weights of shot `i` from what its march measured."""
        return self.model.crop(payload)

    def collector(self) -> Collected:
        """Takes the weights of one shot after the other."""
        return Collected(lambda parts: np.stack(parts).reshape(self.dimsd))


def _among(u: NDArray, k: int | None, dims: tuple[int, ...]) -> NDArray:
    """The wavefield `u` (shot, step, ...) in its place among those of a medium, the others zero."""
    if k is None:
        return u.reshape(dims)
    found = np.zeros((*u.shape[:2], dims[-u.ndim + 1], *u.shape[2:]), u.dtype)
    found[:, :, k] = u
    return found.reshape(dims)
