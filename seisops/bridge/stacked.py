"""The parameters of a medium as one array, for what is asked of layers in any medium alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.bridge.parameters import model_shape, parameters_of


class Stacked:
    """A layer with the parameters of its medium as one array, those of several along an axis before the grid."""

    def __init__(self, layer: Any) -> None:
        self.layer, self.op, self.names = layer, layer.op, parameters_of(layer.op)

    def __call__(self, x, m=None):
        return self.layer(x, **self._named(m))

    def jvp(self, x, dx, m=None, dm=None):
        """Forward mode of layers that have it as a method."""
        return self.layer.jvp(x, dx, *(None if a is None else self._named(a) for a in (m, dm)))

    def _named(self, m) -> dict:
        if m is None or len(self.names) == 1:
            return dict.fromkeys(self.names, m)
        grid = (slice(None),) * self.op.model.ndim
        return {name: m[(..., i, *grid)] for i, name in enumerate(self.names)}


def model_of(op: LinearOperator, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """The parameters of an operator's medium as one array, and a perturbation."""
    m = np.stack([op.model.parameters[name] for name in parameters_of(op)]).reshape(model_shape(op))
    return m, (0.05 * m * rng.uniform(0.2, 1, m.shape)).astype(m.dtype)
