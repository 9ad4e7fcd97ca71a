"""Operators on arrays of the model that say what they are."""

from __future__ import annotations

from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.algebra import Constant, describe


class OnGrid(Constant):
    """A symmetric operator of PyLops on arrays of the model's shape, by name.

    Parameters
    ----------
    op : LinearOperator
    name : str
        How a product shows it.
    """

    takes = gives = "grid"
    knows_shots = False

    def __init__(self, op: LinearOperator, name: str) -> None:
        super().__init__(op.dims, op.dimsd, op.dtype)
        self.op, self.name = op, name

    def _adjoint(self):
        return self

    def _forward(self, x):
        return self.op.matvec(x.ravel()).reshape(self.dimsd).astype(self.dtype, copy=False)

    def _transposed(self, y):
        return self._forward(y)

    def within(self, window):
        raise ValueError(
            f"{describe(self)} does not say what it is on a part of the model: put it outside the aperture."
        )

    def __getitem__(self, index):
        return self

    def shots_in(self, x, index):
        return x

    def shots_out(self, y, index):
        return y


class Weights(OnGrid):
    """Multiplies by weights at every node.

    Parameters
    ----------
    weights : array of ``model.shape``
        In the model's precision.
    name : str
        How a product shows it.
    """

    def __init__(self, weights: NDArray, name: str) -> None:
        Constant.__init__(self, weights.shape, weights.shape, weights.dtype)
        self.weights, self.name = weights, name

    def _forward(self, x):
        return self.weights * x

    def within(self, window):
        return Weights(window.crop(self.weights), self.name)
