"""The medium at some unknowns, with its derivatives there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seisops.algebra import Constant


class Point(Mapping):
    """The parameters of the medium by name at some unknowns, ``F.at(**P(x))``, with their derivatives there.

    Parameters
    ----------
    P : Parametrisation
    x : array of ``P.shape``, or flat
    """

    def __init__(self, P: Any, x: ArrayLike) -> None:
        self.P, self.x = P, P.parts(x)
        if not np.isfinite(self.x).all():
            raise ValueError(f"{int((~np.isfinite(self.x)).sum())} of the unknowns are not finite.")
        self._values = P.forward(self.x)

    def __getitem__(self, name: str) -> NDArray:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @cached_property
    def jacobian(self) -> Pointwise:
        """The derivative, an operator from ``P.shape`` to perturbations of the parameters."""
        n = len(self.P.unknowns)
        return Pointwise(np.stack([self.P.derivatives(self.x, i) for i in range(n)], 1))

    def curvature(self, g: ArrayLike) -> Pointwise:
        r"""The second derivative weighed with a gradient g in the parameters, a symmetric operator on ``P.shape``.

        .. math:: C_{ij} = \sum_k g_k\, \frac{\partial^2 p_k}{\partial x_i\, \partial x_j}
        """
        g = np.reshape(g, (len(self.P.names), *self.P.model.shape)).astype(np.float64)
        n = range(len(self.P.unknowns))
        rows = [[(g * self.P.derivatives(self.x, i, j)).sum(0) for j in n] for i in n]
        return Pointwise(np.array(rows))

    def __repr__(self) -> str:
        ranges = ", ".join(f"{name} {p.min():.4g}-{p.max():.4g}" for name, p in self.items())
        return f"Point({ranges})"


class Pointwise(Constant):
    r"""A matrix at every node: the derivative of a change of variables.

    .. math:: y_k(x) = \sum_i M_{ki}(x)\, x_i(x)

    Parameters
    ----------
    matrices : array (n, m, \*shape)
        Of every node; m arrays of `shape` come in and n go out, without an axis of one.
    name : str
        How a product shows it.

    Examples
    --------
    >>> import numpy as np
    >>> P = Pointwise(np.ones((1, 2, 5, 4)))
    >>> P, float((P @ np.ones((2, 5, 4)))[0, 0])
    (P: (2, 5, 4) -> (5, 4), 2.0)
    """

    takes = gives = "grid"

    def __init__(self, matrices: NDArray, name: str = "P") -> None:
        self.matrices = matrices
        n, m, *shape = matrices.shape
        super().__init__(_without_one(m, shape), _without_one(n, shape), matrices.dtype)
        self.name = name

    def _forward(self, x):
        return np.einsum("ki...,i...->k...", self.matrices, self._parts(x, 1)).reshape(self.dimsd)

    def _transposed(self, y):
        return np.einsum("ki...,k...->i...", self.matrices, self._parts(y, 0)).reshape(self.dims)

    def _parts(self, x, axis):
        return x.reshape(self.matrices.shape[axis], *self.matrices.shape[2:])


def _without_one(n: int, shape) -> tuple[int, ...]:
    return tuple(shape) if n == 1 else (n, *shape)
