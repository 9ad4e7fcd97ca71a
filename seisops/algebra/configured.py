"""An operator with settings of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.algebra.core import SeismicOperator, apply, derivative
from seisops.execution.config import config


class Configured(SeismicOperator):
    """An operator that runs under its own settings, wherever it is used; made by ``op.configured(...)``.

    Its adjoint, its shots and its derivatives run under them too. It does not fuse with what it is multiplied by:
    configure a whole product, not a factor.
    """

    def __init__(self, op: SeismicOperator, settings: dict) -> None:
        with config(**settings):
            super().__init__(op.dims, op.dimsd, op.dtype, op.model)
        self.op, self.settings = op, settings
        self.separable, self.sums_shots, self.samples = op.separable, op.sums_shots, False
        self.takes, self.gives, self.sampled = op.takes, op.gives, op.sampled

    @property
    def nsrc(self) -> int:
        """Number of shots."""
        return self.op.nsrc

    def _again(self, op: SeismicOperator) -> Configured:
        return Configured(op, self.settings)

    def _forward(self, x: NDArray) -> NDArray:
        with config(**self.settings):
            return apply(self.op, x)

    def _transposed(self, y: NDArray) -> NDArray:
        with config(**self.settings):
            return apply(self.op.H, y)

    def _adjoint(self):
        return self._again(self.op.H)

    def _at(self, model):
        return self._again(self.op._at(model))

    def within(self, window):
        return self._again(self.op.within(window))

    def conj(self):
        return self._again(self.op.conj())

    def __getitem__(self, index):
        return self._again(self.op[index])

    def shots_in(self, x, index):
        return self.op.shots_in(x, index)

    def shots_out(self, y, index):
        return self.op.shots_out(y, index)

    def linearize(self, x):
        """``op @ x`` with its derivative, under the operator's settings."""
        with config(**self.settings):
            return self.op.linearize(x)

    def derivative(self, this, tail: LinearOperator | None, x: NDArray) -> LinearOperator | None:
        with config(**self.settings):
            inner = derivative(self.op if this is self else this.op, tail, np.asarray(x))
        return None if inner is None else self._again(inner)

    @property
    def sentence(self) -> str:
        return f"({self.op.sentence}).configured({', '.join(self.settings)})"
