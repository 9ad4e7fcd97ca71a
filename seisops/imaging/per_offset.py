"""Operators on images that are extended by offset, one image after another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pylops import LinearOperator

from seisops.algebra import apply, derivative, product
from seisops.algebra.nodes import Node
from seisops.algebra.operator import Constant
from seisops.algebra.rules import total


class PerOffset(Node):
    """The same operator on the image of every offset, along the first axis.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> PerOffset(so.imaging.laplacian(model), 5)
    L: (5, 51, 41) -> (5, 51, 41)
    """

    takes = gives = "grid"

    def __init__(self, op: LinearOperator, n: int) -> None:
        super().__init__((n, *op.dims), (n, *op.dimsd), op.dtype, op.model)
        self.op, self.n, self.parts, self.name = op, n, (op,), op.sentence

    @property
    def knows_shots(self) -> bool:
        """Whether the operator is another for other shots."""
        return self.op.knows_shots

    def rebuild(self, parts: Sequence[LinearOperator]) -> PerOffset:
        return PerOffset(*parts, self.n)

    def running(self):
        return (self,)

    def _forward(self, x):
        return np.stack([apply(self.op, image) for image in x])

    def _transposed(self, y):
        return np.stack([apply(self.op.H, image) for image in y])

    def _derivative(self, this, tail, x, wrt):
        op = self.op if this is self else self.op.H
        terms = []
        for i in range(self.n):
            given = Image(op.dims, self.n, i, self.dtype)
            d = derivative(op, product(given, tail) if tail is not None else given, x, wrt)
            if d is not None:
                terms.append(product(Image(op.dimsd, self.n, i, self.dtype).H, d))
        return total(terms)


class Image(Constant):
    """The image of one offset; the adjoint is zero at all others."""

    takes = gives = "grid"
    knows_shots = False

    def __init__(self, dimsd: tuple[int, ...], n: int, i: int, dtype: np.dtype) -> None:
        super().__init__((n, *dimsd), dimsd, dtype)
        self.i, self.name = i, f"I{i}"

    def _forward(self, x):
        return x[self.i]

    def _transposed(self, y):
        x = np.zeros(self.dims, y.dtype)
        x[self.i] = y
        return x

    def within(self, window):
        raise NotImplementedError("An aperture of a second derivative by offset is not known: leave the aperture out.")

    def __getitem__(self, index):
        return self

    def shots_in(self, x, index):
        return x

    def shots_out(self, y, index):
        return y
