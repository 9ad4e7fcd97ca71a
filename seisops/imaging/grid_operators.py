"""Operators on arrays of the model's grid: the parts of imaging conditions that no wavefield meets."""

from __future__ import annotations

from functools import cached_property

from numpy.typing import NDArray
from pylops import LinearOperator
from scipy.ndimage import convolve1d

from seisops.algebra import SeismicOperator, apply, derivative, placed, product, selected, tree
from seisops.arrays import own, real
from seisops.model import Model
from seisops.operators.parameters import Change
from seisops.physics.stencil import second_derivative_weights


class GridOperator(SeismicOperator):
    """From arrays of the model's shape to others; real and symmetric."""

    takes = gives = "grid"
    knows_shots = False

    def __init__(self, model: Model) -> None:
        super().__init__(model.shape, model.shape, model.dtype, model)

    def _adjoint(self):
        return self

    def _transposed(self, y):
        return self._forward(y)

    def shots_in(self, x, index):
        return x

    def shots_out(self, y, index):
        return y


class Laplacian(GridOperator):
    r"""The Laplacian of the model's order on its grid, zero beyond.

    .. math:: (L x)_i = \sum_k c_k (x_{i+k} + x_{i-k}) / d^2 \quad \text{along every axis}

    Parameters
    ----------
    model : Model

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> so.imaging.laplacian(so.Model(v=np.full((51, 41), 2.0), spacing=10))
    L: (51, 41) -> (51, 41)
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.name = "L"

    def _forward(self, x):
        weights = second_derivative_weights(self.model.space_order)
        along = (convolve1d(x, weights / d**2, axis=axis, mode="constant") for axis, d in enumerate(self.model.spacing))
        return sum(along)

    def derivative(self, this, tail, x, wrt):
        return None

    def _at(self, model):
        return Laplacian(model)

    def within(self, window):
        return Laplacian(window.of(self.model))

    def __getitem__(self, index):
        return self


class Weighting(GridOperator):
    r"""Multiplies by the squared slowness, or by what a product gives.

    .. math:: y = m \circ x \quad \text{or} \quad y = (op\; z) \circ x

    Parameters
    ----------
    model : Model
    op : operator with arrays of the model's shape as its output, or None
    z : array, optional
        The weights are op @ z, or `z` itself; m without.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> so.imaging.Weighting(model)
    m: (51, 41) -> (51, 41)
    """

    def __init__(self, model: Model, op: LinearOperator | None = None, z: NDArray | None = None) -> None:
        super().__init__(model)
        z = None if z is None else real(z, "What makes weights", None)
        self.name = "m" if z is None else "D"
        self.parts = () if op is None else (op,)
        self.op, self.z = op, None if z is None else own(z, model.dtype)

    @property
    def sums_shots(self) -> bool:
        """Whether the weights do."""
        return getattr(self.op, "sums_shots", False)

    @property
    def knows_shots(self) -> bool:
        """Whether the weights are others for other shots."""
        return self.sums_shots

    @cached_property
    def weights(self) -> NDArray:
        """An array of the model's shape."""
        if self.z is None:
            return self.model.m
        weights = self.z if self.op is None else apply(self.op, self.z)
        return weights.real.reshape(self.dims).astype(self.dtype)

    def _forward(self, x):
        return self.weights * x

    def _at(self, model):
        return Weighting(model, self.op and tree.at(self.op, model), self.z)

    def within(self, window):
        if self.op is None:
            return Weighting(window.of(self.model), None, None if self.z is None else window.crop(self.z))
        return Weighting(window.of(self.model), *placed(self.op, self.z, window))

    def __getitem__(self, index):
        return Weighting(self.model, *selected(self.op, self.z, index)) if self.sums_shots else self

    def derivative(self, this, tail, x, wrt):
        other = Weighting(self.model, tail, x)
        if self.z is None:
            # Of m, whatever the perturbation is spelled in.
            change = [] if wrt == ("m",) else [Change(self.model, [("m", "m")], wrt, padded=False)]
            return product(other, *change)
        dw = None if self.op is None else derivative(self.op, None, self.z, wrt)
        return None if dw is None else product(other, dw)
