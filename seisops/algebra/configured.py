"""An operator with settings of its own."""

from __future__ import annotations

import numpy as np
from pylops import LinearOperator

from seisops.algebra.calculus import derivative
from seisops.algebra.linearization import Linearization
from seisops.algebra.nodes import Node
from seisops.algebra.operator import SeismicOperator, apply
from seisops.execution.config import config


class Configured(Node):
    """An operator that runs under its own settings, wherever it is used; made by ``op.configured(...)``.

    Its adjoint, its shots and its derivatives run under them too. It does not fuse with what it is multiplied by:
    configure a whole product, not a factor.
    """

    def __init__(self, op: SeismicOperator, settings: dict) -> None:
        with config(**settings):
            super().__init__(op.dims, op.dimsd, op.dtype, op.model)
        self.op, self.settings, self.parts = op, settings, (op,)
        self.takes, self.gives, self.sampled = op.takes, op.gives, op.sampled

    def rebuild(self, parts):
        return Configured(*parts, self.settings)

    def _forward(self, x):
        with config(**self.settings):
            return apply(self.op, x)

    def _transposed(self, y):
        with config(**self.settings):
            return apply(self.op.H, y)

    def _adjoint(self):
        return self.rebuild([self.op.H])

    def linearize(self, x, wrt=None) -> Linearization:
        """``op @ x`` with its derivative, under the operator's settings."""
        with config(**self.settings):
            return self.op.linearize(x, wrt)

    def derivative(self, this, tail: LinearOperator | None, x, wrt) -> LinearOperator | None:
        with config(**self.settings):
            inner = derivative(self.op if this is self else this.op, tail, np.asarray(x), wrt)
        return None if inner is None else self.rebuild([inner])

    @property
    def sentence(self) -> str:
        return f"({self.op.sentence}).configured({', '.join(self.settings)})"


def configured(op: SeismicOperator, **settings) -> Configured:
    """This operator under settings of its own, those of :func:`seisops.config`, wherever it is used."""
    return Configured(op, settings)
