r"""The wave equation, u = A(m)⁻¹ s."""

from __future__ import annotations

from functools import cached_property

from seisops.algebra import ShotIndex, product
from seisops.geometry import Geometry
from seisops.model import Model
from seisops.operators.parameters import perturbation
from seisops.operators.propagation import Propagation
from seisops.operators.scattering import Scattering
from seisops.operators.survey_operator import SurveyOperator, check_arguments, wavefield_shape
from seisops.units import check_times


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
    takes = gives = "wavefields"

    def __init__(self, model: Model, geometry: Geometry) -> None:
        check_arguments("Modeling", model, geometry)
        check_times(geometry.dt, geometry.end - geometry.onset, model)
        shape = wavefield_shape(model, geometry)
        super().__init__(model, geometry, shape, shape)
        self.name = "A"

    def _at(self, model):
        return self._copied(["_march"], model=model)

    def within(self, window):
        return Modeling(window.of(self.model), self.geometry)

    def __getitem__(self, index: ShotIndex) -> Modeling:
        return Modeling(self.model, self.geometry[index])

    def propagation(self, left, right, adjoint: bool = False) -> Propagation:
        """The march ``left A right.H`` (or with A.H) in one kernel."""
        return Propagation(left, self, right, adjoint=adjoint)

    @cached_property
    def _march(self) -> Propagation:
        return self.propagation(None, None)

    def _forward(self, s):
        return self._march._forward(s)

    def _transposed(self, u):
        return self._march._transposed(u)

    def derivative(self, this, tail, x, wrt):
        # Where A(m) u = s has a coefficient c times a field e, A dU = dc e; transposed likewise, fields exchanged.
        found = perturbation(self.model, wrt)
        if found is None:
            return None
        condition, change = found
        behind = this if tail is None else product(this, tail)
        condition = condition if this is self else condition.reverse
        return product(this, Scattering(self.model, self.geometry, behind, x, condition=condition).H, *change)
