"""The contract: what an operator of this library says of itself, and the arithmetic it gets for that.

There is no physics here. An operator takes part by answering whether it ``samples`` or ``propagates``, how the data of
its wavefields are ``sampled``, what it is in another model, which shots of it remain, and its
``derivative``.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pylops import LinearOperator, get_ndarray_multiplication
from scipy.sparse.linalg import LinearOperator as SciPyOperator

from seisops.arrays import number, own, real_type
from seisops.checks import dot_test
from seisops.storage import Wave

ShotIndex = int | slice | Sequence[int]
TimeAxis = tuple[float, float]


@dataclass(frozen=True)
class Footprint:
    """What an operator that runs holds in memory: bytes that march at once, its wavefield, the backgrounds it keeps."""

    marching: int = 0
    wave: Wave | None = None
    backgrounds: Sequence[SeismicOperator] = ()


class _Abstract(ABCMeta):
    """Abstract methods alone: without virtual subclasses an instance is recognised as quickly as any other."""

    __instancecheck__ = type.__instancecheck__


class SeismicOperator(LinearOperator, metaclass=_Abstract):
    """A PyLops operator that composes flatly and knows its model.

    A new one defines ``_forward`` and ``_transposed`` on arrays of ``dims`` and ``dimsd``, ``_at`` and ``derivative``;
    ``within`` if it can stand under an aperture, and ``__getitem__`` if it has shots. One that no model has a part in
    is a :class:`Constant` and defines the first two. Its sums, products and adjoints, and all walks through them,
    follow.

    Attributes
    ----------
    model : Model or None
        The one its waves travel in, whichever its samplers were made for; of a composition whose waves travel in
        several, such as ``F.at(m=m1) - F``, the first from the left, while :meth:`at` puts all of them in one.
    """

    # Whether it records from wavefields, so that a propagation can end in it.
    samples = False
    # Whether it solves the wave equation, so that samplers around it fuse with it.
    propagates = False
    # Whether what it gives for a shot depends on what it takes for that shot alone.
    separable = False
    # Whether it is another operator in another model.
    varies = True
    # Whether it adds up what comes from different shots.
    sums_shots = False
    # Whether it is another operator for other shots.
    knows_shots = True
    # Shots, where it has any to select.
    nsrc = 1
    # What it takes and gives: "data", arrays on the model's "grid", "wavefields", or something foreign.
    takes = gives = "something foreign"
    # Sampling interval of the data that the wavefields it gives and takes belong to, and when these set out (ms); None
    # where any will do.
    sampled: tuple[TimeAxis | None, TimeAxis | None] = (None, None)
    # Its name on the source side of a propagation, where that differs.
    source_name: str | None = None
    # The operator it is the adjoint of, where it was made so.
    adjoint_of: SeismicOperator | None = None
    # PyLops finds them out whenever they are asked for, and they never change.
    dims: tuple[int, ...] = ()
    dimsd: tuple[int, ...] = ()
    shape: tuple[int, int] = (0, 0)
    name: str | None = None
    # The operators it is made of, or that make what it holds.
    parts: tuple[LinearOperator, ...] = ()

    # What is made of operators stands in the files above, which the package's __init__ makes methods of this class:
    # _product, _compose, _sum, _adjoint and _derivative, and jacobian, linearize, configured and memory.

    def __init__(self, dims: Sequence[int], dimsd: Sequence[int], dtype: np.dtype, model=None) -> None:
        super().__init__(dtype=np.dtype(dtype), dims=tuple(map(int, dims)), dimsd=tuple(map(int, dimsd)))
        self.shape = (prod(self.dimsd), prod(self.dims))
        self.model = model

    # ------------------------------------------------------------------ what a subclass says

    @abstractmethod
    def _forward(self, x: NDArray) -> NDArray:
        """The product with an array of ``dims``."""

    @abstractmethod
    def _transposed(self, y: NDArray) -> NDArray:
        """The product of the transpose with an array of ``dimsd``."""

    @abstractmethod
    def _at(self, model) -> SeismicOperator:
        """The same operator in another model of the same grid."""

    @abstractmethod
    def derivative(
        self, this: SeismicOperator, tail: LinearOperator | None, x: NDArray, wrt: tuple[str, ...]
    ) -> LinearOperator | None:
        """Operator dp -> d(this(p)) @ (tail @ x), `this` being the operator or its adjoint; None where constant.

        `wrt` names the parameters p that are perturbed; of several there is an axis of them before those of the grid.
        """

    def within(self, window) -> SeismicOperator:
        """The same operator on a part of its model, a :class:`seisops.imaging.window.Window`."""
        if self.model is not None:
            raise NotImplementedError(f"{self} does not say what it is on a part of its model: leave the aperture out.")
        return self

    def __getitem__(self, index: ShotIndex) -> SeismicOperator:
        """The same operator for the shots `data[index]` holds."""
        raise TypeError(f"{self} has no shots to select.")

    def shots_in(self, x: NDArray, index: ShotIndex) -> NDArray:
        """What ``op[index]`` takes of an input `x` of all shots."""
        raise TypeError(f"{self} has no shots to select.")

    def shots_out(self, y: NDArray, index: ShotIndex) -> NDArray:
        """What ``op[index]`` gives of an output `y` of all shots."""
        raise TypeError(f"{self} has no shots to select.")

    # ------------------------------------------------------------------ what it gets

    def at(self, **parameters: ArrayLike) -> SeismicOperator:
        """Put the operator in the model with other parameters, such as the squared slowness m (s²/km²)."""
        return self._at(self.model.at(**parameters))

    def check(self, **kwargs) -> float:
        """Run :func:`seisops.checks.dot_test` on this operator."""
        return dot_test(self, **kwargs)

    def conj(self) -> SeismicOperator:
        """The complex conjugate."""
        if self.dtype.kind == "c":
            raise NotImplementedError(f"{self} is complex and does not know its conjugate: take that of its factors.")
        return self

    def running(self) -> tuple[LinearOperator, ...]:
        """The operators that run for a product with it; of one that is made of none, itself."""
        return (self,)

    def footprint(self, nsrc: int) -> Footprint:
        """What it holds in memory as one of the operators that run for `nsrc` shots."""
        return Footprint()

    def _copied(self, without: Sequence[str] = (), **changes) -> SeismicOperator:
        """The same with other attributes, and without those that were found out of what changes."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, **changes)
        for name in without:
            other.__dict__.pop(name, None)
        return other

    # ------------------------------------------------------------------ products with arrays

    def _as_input(self, x: ArrayLike, *, copy: bool = False) -> NDArray:
        x = np.asarray(x)
        if x.size != self.shape[1] or x.shape not in (self.dims, (self.shape[1],), (1, *self.dims)):
            raise ValueError(f"{self} takes an array of shape {self.dims} or ({self.shape[1]},), got {x.shape}.")
        if copy and x.dtype.kind == "c":
            raise TypeError(
                f"Derivatives of {self} are known at real input: take the real and the imaginary part apart."
            )
        return (own(x.astype(real_type(self.dtype), copy=False)) if copy else x).reshape(self.dims)

    def _matvec(self, x: NDArray) -> NDArray:
        return self._apply(self._forward, x, self.dims)

    def _rmatvec(self, y: NDArray) -> NDArray:
        return self._apply(self._transposed, y, self.dimsd)

    def _apply(self, product, x: NDArray, dims: tuple[int, ...]) -> NDArray:
        if x.dtype.kind == "c":
            return self._apply(product, x.real, dims) + 1j * self._apply(product, x.imag, dims)
        check_finite(self, x)
        x = x.astype(real_type(self.dtype), copy=False)
        return np.asarray(product(x.reshape(dims))).reshape(-1)

    def dot(self, x):
        """Product with an operator, a scalar, or an array of `dims`, flat or with columns."""
        if not isinstance(x, np.ndarray):
            if isinstance(x, (LinearOperator, SciPyOperator)):
                return self._product(self, self._compose(x))
            if np.isscalar(x):
                return self._product(self, scale=x)
        x, dims = np.asarray(x), self.dims
        if x.shape == dims and x.dtype.kind != "c" and get_ndarray_multiplication():
            # The way most products go, without the detours for columns and imaginary parts.
            self.matvec_count += 1
            check_finite(self, x)
            x = x if x.dtype == self.dtype else x.astype(real_type(self.dtype))
            return np.asarray(self._forward(x)).reshape(self.dimsd)
        columns = x.ndim > 1 and (x.shape[:-1] == dims or (x.ndim == 2 and x.shape[0] == self.shape[1]))
        if columns and x.shape != dims:
            return super().dot(x)
        if x.shape == (1, *dims):
            return self.dot(x[0])[None]
        self._as_input(x)
        return super().dot(x)

    def __matmul__(self, x):
        if not isinstance(x, np.ndarray) and np.isscalar(x):
            raise ValueError("Scalar not allowed, use * instead")
        return self.dot(x)

    # ------------------------------------------------------------------ products with operators

    def __rmul__(self, x):
        return self._product(self, scale=x) if np.isscalar(x) else NotImplemented

    def __truediv__(self, x):
        # By anything else PyLops divides as a solver does.
        return self._product(self, scale=1 / number(x)) if np.isscalar(x) else super().__truediv__(x)

    def __neg__(self):
        return self._product(self, scale=-1)

    def __add__(self, x):
        if not isinstance(x, (LinearOperator, SciPyOperator)):
            return NotImplemented
        return self._sum([self, self._compose(x)])

    def __sub__(self, x):
        return self.__add__(-x) if isinstance(x, LinearOperator) else NotImplemented

    def _transpose(self):
        return self.H.conj()

    # ------------------------------------------------------------------ words

    @property
    def sentence(self) -> str:
        """The operator as it was written."""
        return self.name or type(self).__name__

    def __repr__(self) -> str:
        return f"{self.sentence}: {self.dims} -> {self.dimsd}"


class Constant(SeismicOperator):
    """An operator that is the same in every model."""

    varies = False

    def _at(self, model):
        return self

    def derivative(self, this, tail, x, wrt):
        return None


def apply(op: LinearOperator, x: NDArray) -> NDArray:
    """`op` times an array of its size, in its precision at least, as an array of its dimsd."""
    if x.dtype != op.dtype:
        x = x.astype(np.result_type(x, real_type(op.dtype)), copy=False)
    if isinstance(op, SeismicOperator) and x.dtype.kind != "c":
        return op._forward(x.reshape(op.dims)).reshape(op.dimsd)
    if x.dtype.kind == "c" and op.dtype.kind != "c":
        # Real operators of PyLops drop what is imaginary.
        return apply(op, x.real) + 1j * apply(op, x.imag)
    return op.matvec(x.reshape(-1)).reshape(op.dimsd)


def check_finite(op: LinearOperator, x: NDArray) -> None:
    """Refuse NaN and infinity before anything runs."""
    if not np.logical_and.reduce(np.isfinite(x), axis=None):
        raise ValueError(f"The input of {op!r} has {int(np.sum(~np.isfinite(x)))} values that are not finite.")


def describe(op: LinearOperator) -> str:
    """An operator with its shapes, for messages."""
    return repr(op) if isinstance(op, SeismicOperator) else f"{type(op).__name__}: {op.dims} -> {op.dimsd}"


def word(op: LinearOperator) -> str:
    """How a product shows an operator."""
    return op.sentence if isinstance(op, SeismicOperator) else type(op).__name__.strip("_")
