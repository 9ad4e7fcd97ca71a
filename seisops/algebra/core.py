r"""Products, sums and adjoints of seismic operators: flat, immutable, and recognised.

A product is a flat tuple of factors and a scalar. Before it runs, :func:`fuse` replaces every
``[sampler] A [sampler.H]`` in it by the one operator that computes it without a wavefield in memory.
Calculus follows the product rule over the same tuple:

.. math:: d(f_1 \cdots f_k)\,x = \sum_i f_1 \cdots f_{i-1}\; df_i\; (f_{i+1} \cdots f_k\, x)

There is no physics here. An operator takes part by answering whether it ``samples`` or
``propagates``, at which interval the data of its wavefields are ``sampled``, what it is ``at`` another model, which
``shots`` of it remain, and its ``derivative``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, partial
from itertools import pairwise
from math import isclose
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pylops import BlockDiag, HStack, LinearOperator, VStack
from pylops.linearoperator import (
    _AdjointLinearOperator,
    _ConjLinearOperator,
    _PowerLinearOperator,
    _ProductLinearOperator,
    _ScaledLinearOperator,
    _SumLinearOperator,
    _TransposedLinearOperator,
    aslinearoperator,
)
from scipy.sparse.linalg import LinearOperator as SciPyOperator

if TYPE_CHECKING:
    from seisops.algebra.linearization import Linearization

ShotIndex = int | slice | Sequence[int]

_fusion: ContextVar[bool] = ContextVar("fusion", default=True)


@contextmanager
def no_fusion():
    """Run every factor by itself, through wavefields in memory: slow, and the oracle for fused products.

    Examples
    --------
    >>> import seisops as so
    >>> with so.no_fusion():
    ...     pass
    """
    token = _fusion.set(False)
    try:
        yield
    finally:
        _fusion.reset(token)


class SeismicOperator(LinearOperator):
    """A PyLops operator that composes flatly and knows its model.

    Subclasses define ``_forward`` and ``_transposed`` on arrays of ``dims`` and ``dimsd``.

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
    # Whether it adds up what comes from different shots.
    sums_shots = False
    # Whether it is another operator for other shots.
    knows_shots = True
    # Shots, where it has any to select.
    nsrc = 1
    # What it takes and gives: "data", arrays on the model's "grid", "wavefields", or something foreign.
    takes = gives = "something foreign"
    # Sampling intervals (ms) of the data that the wavefields it gives and takes belong to; None where any will do.
    sampled: tuple[float | None, float | None] = (None, None)
    # Its name on the source side of a propagation, where that differs.
    source_name: str | None = None

    def __init__(self, dims: Sequence[int], dimsd: Sequence[int], dtype: np.dtype, model=None) -> None:
        dims, dimsd = tuple(int(n) for n in dims), tuple(int(n) for n in dimsd)
        super().__init__(dtype=np.dtype(dtype), dims=dims, dimsd=dimsd)
        self.model = model

    # ------------------------------------------------------------------ what a subclass may say

    def _forward(self, x: NDArray) -> NDArray:
        raise TypeError(f"{type(self).__name__} has no forward product.")

    def _transposed(self, y: NDArray) -> NDArray:
        raise TypeError(f"{type(self).__name__} has no adjoint product.")

    def at(self, *, m: ArrayLike) -> SeismicOperator:
        """The same operator in the model with squared slowness `m` (s²/km²)."""
        return self._at(self.model.at(m=m))

    def _at(self, model) -> SeismicOperator:
        return self

    def within(self, window) -> SeismicOperator:
        """The same operator on a part of its model, a :class:`seisops.imaging.aperture.Window`."""
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

    def derivative(self, this: SeismicOperator, tail: LinearOperator | None, x: NDArray) -> LinearOperator | None:
        """Operator dm -> d(this(m)) @ (tail @ x), `this` being the operator or its adjoint; None where constant."""
        return None

    # ------------------------------------------------------------------ calculus

    def jacobian(self, x: ArrayLike, wrt: str = "m") -> LinearOperator:
        """The linear operator dm -> d(op(m) @ x)/dm dm.

        Parameters
        ----------
        x : array of `dims` (or flat)
            What the operator is applied to.
        wrt : {"m"}
            The parameter: squared slowness, s²/km².

        Returns
        -------
        operator from `model.shape` to `dimsd`

        Raises
        ------
        ValueError
            If the operator does not depend on the parameter.
        """
        if wrt != "m":
            raise ValueError(f"Derivatives are known with respect to 'm', not {wrt!r}.")
        x = self._as_input(x, copy=True)
        check_finite(self, x)
        _check_one_grid(self, self.model)
        result = derivative(self, None, x)
        if result is None:
            raise ValueError(f"{self} does not depend on m: its Jacobian is zero.")
        return result

    def linearize(self, x: ArrayLike) -> Linearization:
        """``op @ x`` with its derivative, sharing the marches that the value, J and J.H have in common.

        Parameters
        ----------
        x : array of `dims` (or flat)

        Returns
        -------
        Linearization
            ``value, J = op.linearize(x)``, or see :class:`Linearization`.
        """
        from seisops.algebra.linearization import Linearization

        x = self._as_input(x, copy=True)
        check_finite(self, x)
        _check_one_grid(self, self.model)
        return Linearization(self, x)

    def check(self, **kwargs) -> float:
        """Run :func:`seisops.checks.dot_test` on this operator."""
        from seisops.checks import dot_test

        return dot_test(self, **kwargs)

    def conj(self) -> SeismicOperator:
        """The complex conjugate."""
        if np.issubdtype(self.dtype, np.complexfloating):
            raise NotImplementedError(f"{self} is complex and does not know its conjugate: take that of its factors.")
        return self

    def configured(self, **settings) -> SeismicOperator:
        """This operator under settings of its own, those of :func:`seisops.config`, wherever it is used."""
        from seisops.algebra.configured import Configured

        return Configured(self, settings)

    def memory(self, **kwargs):
        """Print what a product with this operator takes in memory, see :func:`seisops.operators.memory.memory`."""
        from seisops.operators.memory import memory

        return memory(self, **kwargs)

    # ------------------------------------------------------------------ products with arrays

    def _as_input(self, x: ArrayLike, *, copy: bool = False) -> NDArray:
        x = np.asarray(x)
        if x.size != self.shape[1] or x.shape not in (self.dims, (self.shape[1],), (1, *self.dims)):
            raise ValueError(f"{self} takes an array of shape {self.dims} or ({self.shape[1]},), got {x.shape}.")
        if copy and np.iscomplexobj(x):
            raise TypeError(
                f"Derivatives of {self} are known at real input: take the real and the imaginary part apart."
            )
        return (own(x.astype(_real(self.dtype), copy=False)) if copy else x).reshape(self.dims)

    def _matvec(self, x: NDArray) -> NDArray:
        return self._apply(self._forward, x, self.dims)

    def _rmatvec(self, y: NDArray) -> NDArray:
        return self._apply(self._transposed, y, self.dimsd)

    def _apply(self, product, x: NDArray, dims: tuple[int, ...]) -> NDArray:
        if np.iscomplexobj(x):
            return self._apply(product, x.real, dims) + 1j * self._apply(product, x.imag, dims)
        check_finite(self, x)
        x = x.astype(_real(self.dtype), copy=False)
        return np.asarray(product(x.reshape(dims))).reshape(-1)

    def dot(self, x):
        """Product with an operator, a scalar, or an array of `dims`, flat or with columns."""
        if isinstance(x, (LinearOperator, SciPyOperator)):
            return product(self, compose(x))
        if np.isscalar(x):
            return product(self, scale=x)
        x = np.asarray(x)
        columns = x.ndim > 1 and (x.shape[:-1] == self.dims or (x.ndim == 2 and x.shape[0] == self.shape[1]))
        if columns and x.shape != self.dims:
            return super().dot(x)
        if x.shape == (1, *self.dims):
            return self.dot(x[0])[None]
        self._as_input(x)
        return super().dot(x)

    # ------------------------------------------------------------------ products with operators

    def __rmul__(self, x):
        return product(self, scale=x) if np.isscalar(x) else NotImplemented

    def __truediv__(self, x):
        # By anything else PyLops divides as a solver does.
        return product(self, scale=1 / x) if np.isscalar(x) else super().__truediv__(x)

    def __neg__(self):
        return product(self, scale=-1)

    def __add__(self, x):
        if not isinstance(x, (LinearOperator, SciPyOperator)):
            return NotImplemented
        return Sum([self, compose(x)])

    def __sub__(self, x):
        return self.__add__(-x) if isinstance(x, LinearOperator) else NotImplemented

    def _adjoint(self):
        return Adjoint(self)

    def _transpose(self):
        return self.H.conj()

    # ------------------------------------------------------------------ words

    @property
    def sentence(self) -> str:
        """The operator as it was written."""
        return self.name or type(self).__name__

    def __repr__(self) -> str:
        return f"{self.sentence}: {self.dims} -> {self.dimsd}"


class Adjoint(SeismicOperator):
    """The conjugate transpose of an operator that is no product."""

    def __init__(self, op: SeismicOperator) -> None:
        super().__init__(op.dimsd, op.dims, op.dtype, op.model)
        self.op, self.takes, self.gives = op, op.gives, op.takes

    @property
    def propagates(self) -> bool:
        return self.op.propagates

    @property
    def separable(self) -> bool:
        return self.op.separable

    @property
    def sampled(self) -> tuple[float | None, float | None]:
        return self.op.sampled[::-1]

    @property
    def nsrc(self) -> int:
        return self.op.nsrc

    def propagation(self, left, right):
        return self.op.propagation(left, right, adjoint=True)

    def _forward(self, x):
        return self.op._transposed(x)

    def _transposed(self, y):
        return self.op._forward(y)

    def _adjoint(self):
        return self.op

    def _at(self, model):
        return Adjoint(self.op._at(model))

    def within(self, window):
        return Adjoint(self.op.within(window))

    def __getitem__(self, index):
        return Adjoint(self.op[index])

    def shots_in(self, x, index):
        return self.op.shots_out(x, index)

    def shots_out(self, y, index):
        return self.op.shots_in(y, index)

    def derivative(self, this, tail, x):
        return self.op.derivative(this, tail, x)

    @property
    def sentence(self) -> str:
        return f"{self.op.sentence}.H"


class Sum(SeismicOperator):
    """A sum of operators of one shape."""

    def __init__(self, terms: Sequence[LinearOperator]) -> None:
        flat = [t for term in terms for t in (term.terms if isinstance(term, Sum) else (term,))]
        first = flat[0]
        for t in flat[1:]:
            if t.shape != first.shape:
                raise ValueError(f"Cannot add {describe(first)} and {describe(t)}: the shapes differ.")
        shaped = max(flat, key=lambda t: (len(t.dims), len(t.dimsd)))
        super().__init__(shaped.dims, shaped.dimsd, np.result_type(*(t.dtype for t in flat)), _model(flat))
        self.terms = tuple(flat)
        self.sampled = (None, None)
        for t in flat:
            self.sampled = tuple(map(partial(_agreed, self), self.sampled, _sampled(t)))
        self.takes, self.gives = (getattr(shaped, end, "something foreign") for end in ("takes", "gives"))

    @property
    def separable(self) -> bool:
        return all(getattr(part, "separable", False) for part in self.terms)

    @property
    def sums_shots(self) -> bool:
        return any(getattr(part, "sums_shots", False) for part in self.terms)

    @property
    def nsrc(self) -> int:
        return max(getattr(part, "nsrc", 1) for part in self.terms)

    def _forward(self, x):
        return sum(apply(t, x).reshape(self.dimsd) for t in self.terms)

    def _transposed(self, y):
        return sum(apply(t.H, y).reshape(self.dims) for t in self.terms)

    def conj(self):
        return Sum([conj(t) for t in self.terms])

    def _adjoint(self):
        return Sum([t.H for t in self.terms])

    def _transpose(self):
        return Sum([t.T for t in self.terms])

    def _at(self, model):
        return Sum([_at(t, model) for t in self.terms])

    def within(self, window):
        return Sum([_within(t, window) for t in self.terms])

    def __getitem__(self, index):
        return Sum([shotwise(t, self)[index] for t in self.terms])

    def shots_in(self, x, index):
        return shotwise(self.terms[0], self).shots_in(x, index)

    def shots_out(self, y, index):
        return shotwise(self.terms[0], self).shots_out(y, index)

    @property
    def sentence(self) -> str:
        return "(" + " + ".join(_sentence(t) for t in self.terms) + ")"


class Chain(SeismicOperator):
    """A product: a scalar and a flat tuple of factors, the last of which acts first."""

    def __init__(self, factors: Sequence[LinearOperator], scale: complex = 1) -> None:
        for left, right in pairwise(factors):
            _check_product(left, right)
        dtype = np.result_type(*(f.dtype for f in factors))
        if np.iscomplexobj(scale):
            dtype = np.result_type(dtype, np.complex64)
        super().__init__(factors[-1].dims, factors[0].dimsd, dtype, _model(factors))
        self.factors, self.scale = tuple(factors), scale
        self.sampled = self._sampled()
        self.takes = getattr(factors[-1], "takes", "something foreign")
        self.gives = getattr(factors[0], "gives", "something foreign")

    @property
    def separable(self) -> bool:
        return all(getattr(part, "separable", False) for part in self.factors)

    @property
    def sums_shots(self) -> bool:
        return any(getattr(part, "sums_shots", False) for part in self.factors)

    @property
    def nsrc(self) -> int:
        return max(getattr(part, "nsrc", 1) for part in self.factors)

    def _sampled(self) -> tuple[float | None, float | None]:
        """The sampling intervals at both ends, refused where wavefields on the way are of two."""
        stretches: list[float | None] = [None]
        for f in self.factors:
            gives, takes = _sampled(f)
            stretches[-1] = _agreed(self, stretches[-1], gives)
            if gives or takes or f.shape[0] != f.shape[1]:
                stretches.append(takes)
        return stretches[0], stretches[-1]

    @cached_property
    def fused(self) -> tuple[LinearOperator, ...]:
        """The factors as they run."""
        return fuse(self.factors)

    def running(self) -> tuple[LinearOperator, ...]:
        """The factors to run now, fused unless that is switched off."""
        return self.fused if _fusion.get() else self.factors

    def _forward(self, x):
        for f in reversed(self.running()):
            x = apply(f, x)
        return self._scaled(x)

    def _scaled(self, x):
        return x if self.scale == 1 else _as_dtype(self.scale, x) * x

    def _derivatives(self, tail, x) -> list[tuple[int, LinearOperator]]:
        """For every factor that depends on m, its position and dm -> d(factor) @ (what stands behind it)."""
        found = []
        for i, f in enumerate(self.factors):
            behind = [*self.factors[i + 1 :], *([] if tail is None else [tail])]
            d = derivative(f, product(*behind) if behind else None, x)
            if d is not None:
                found.append((i, d))
        return found

    def _transposed(self, y):
        for f in self.running():
            y = apply(f.H, y)
        return y if self.scale == 1 else _as_dtype(np.conj(self.scale), y) * y

    def _adjoint(self):
        return Chain([f.H for f in reversed(self.factors)], np.conj(self.scale))

    def _transpose(self):
        return Chain([f.T for f in reversed(self.factors)], self.scale)

    def conj(self):
        return Chain([conj(f) for f in self.factors], np.conj(self.scale))

    def _at(self, model):
        return Chain([_at(f, model) for f in self.factors], self.scale)

    def within(self, window):
        return Chain([_within(f, window) for f in self.factors], self.scale)

    def __getitem__(self, index):
        for f in self.factors:
            shotwise(f, self)
        for i, f in enumerate(self.factors):
            if f.sums_shots and any(left.knows_shots for left in self.factors[:i]):
                raise TypeError(f"Cannot select shots of {self}: {f.sentence} in the middle adds up all of them.")
        return Chain([f[index] for f in self.factors], self.scale)

    def shots_in(self, x, index):
        return shotwise(self.factors[-1], self).shots_in(x, index)

    def shots_out(self, y, index):
        return shotwise(self.factors[0], self).shots_out(y, index)

    @property
    def sentence(self) -> str:
        words = phrase(self.factors)
        return words if self.scale == 1 else f"-{words}" if self.scale == -1 else f"{self.scale:g} * {words}"


class Block(SeismicOperator):
    """One block of an array in which those of several operators follow one another; the adjoint puts it there."""

    def __init__(self, dims: Sequence[int], dimsd: Sequence[int], start: int, dtype: np.dtype) -> None:
        super().__init__(dims, dimsd, dtype)
        self.start, self.name = start, "block"

    @property
    def slice(self) -> slice:
        """Where the block stands in the flat array."""
        return slice(self.start, self.start + self.shape[0])

    def _forward(self, x):
        return x.ravel()[self.slice]

    def _transposed(self, y):
        x = np.zeros(self.shape[1], y.dtype)
        x[self.slice] = y.ravel()
        return x

    def within(self, window):
        raise ValueError("An aperture is of one survey: stack what is under apertures of its own.")

    def __getitem__(self, index):
        raise TypeError("Cannot select shots of a stack of operators: stack those of the shots.")


# ---------------------------------------------------------------------- rules


def product(*operators: LinearOperator, scale: complex = 1) -> SeismicOperator:
    """The flat product of `operators`, the last of which acts first."""
    factors: list[LinearOperator] = []
    for op in operators:
        if isinstance(op, Chain):
            factors += op.factors
            scale = scale * op.scale
        else:
            factors.append(op)
    if len(factors) == 1 and scale == 1:
        return factors[0]
    return Chain(factors, scale)


def compose(op: LinearOperator | SciPyOperator) -> LinearOperator:
    """`op` with PyLops' own products, sums, adjoints and stacks read through, so that what is inside fuses.

    Parameters
    ----------
    op : LinearOperator
        Any PyLops or SciPy operator.

    Returns
    -------
    operator
        Equal to `op`; a flat product where `op` holds operators of this library.

    Examples
    --------
    >>> import numpy as np, pylops, seisops as so
    >>> model = so.Model(v=np.full((21, 21), 2.0), spacing=10)
    >>> rec = so.Geometry([[[50.0, 50.0]]], dt=2, t=100)
    >>> Pr, A = so.Projection(model, rec), so.Modeling(model, rec)
    >>> M = pylops.Identity(Pr.shape[0], dtype="float32")
    >>> len(so.compose(M @ (Pr @ A)).factors)
    3
    """
    if isinstance(op, SeismicOperator):
        return op
    op = aslinearoperator(op)
    if not _holds_seismic(op):
        return op
    match op:
        case _ProductLinearOperator(args=(a, b)):
            result = product(compose(a), compose(b))
        case _ScaledLinearOperator(args=(a, alpha)):
            result = product(compose(a), scale=alpha)
        case _SumLinearOperator(args=(a, b)):
            result = Sum([compose(a), compose(b)])
        case _AdjointLinearOperator(args=(a,)):
            result = compose(a).H
        case _TransposedLinearOperator(args=(a,)):
            result = compose(a).T
        case _PowerLinearOperator(args=(a, p)) if p > 0:
            result = product(*[compose(a)] * p)
        case _ConjLinearOperator(Op=a):
            result = conj(compose(a))
        case VStack() | HStack() | BlockDiag():
            result = _unstacked(op)
        case _:
            result = op
    return result


def _unstacked(stack: VStack | HStack | BlockDiag) -> Sum:
    """A stack as the sum over its blocks, each between its parts of the input and of the output."""
    dtype, row, column, terms = _real(stack.dtype), 0, 0, []
    for op in map(compose, stack.ops):
        left, right = _block(stack.dimsd, op.dimsd, row, dtype), _block(stack.dims, op.dims, column, dtype)
        terms.append(product(*([] if left is None else [left.H]), op, *([] if right is None else [right])))
        row += 0 if isinstance(stack, HStack) else op.shape[0]
        column += 0 if isinstance(stack, VStack) else op.shape[1]
    return Sum(terms)


def _block(dims: Sequence[int], dimsd: Sequence[int], start: int, dtype: np.dtype) -> Block | None:
    return None if tuple(dims) == tuple(dimsd) else Block(dims, dimsd, start, dtype)


def blocks(op: LinearOperator) -> list[tuple[slice, LinearOperator]]:
    """The operators whose outputs `op` stacks, in order, each with its part of the flat output; `op` itself else."""
    last = op
    while isinstance(last, Chain) and not _places(last.factors[0]):
        last = last.factors[0]
    terms = [t.factors for t in getattr(last, "terms", [last]) if isinstance(t, Chain)]
    found = {f[0].op.start: (f[0].op.slice, product(*f[1:])) for f in terms if _places(f[0]) and len(f) > 1}
    result = [found[start] for start in sorted(found)]
    whole = sum(part.stop - part.start for part, _ in result) == op.shape[0]
    return result if whole else [(slice(None), op)]


def _places(op: LinearOperator) -> bool:
    return isinstance(op, Adjoint) and isinstance(op.op, Block)


def dependent(op: LinearOperator) -> SeismicOperator:
    """`op` composed; refused where it cannot depend on a model, or where that is not read.

    Raises
    ------
    ValueError, NotImplementedError
    """
    op = compose(op)
    if not isinstance(op, SeismicOperator):
        _check_constant(op)
        raise ValueError(f"{describe(op)} holds no operator of this library: it does not depend on m.")
    return op


def fuse(factors: Sequence[LinearOperator]) -> tuple[LinearOperator, ...]:
    """Replace every ``[sampler] A [sampler.H]`` by the propagation that computes it in one go."""
    result: list[LinearOperator] = []
    waiting = list(factors)
    while waiting:
        f = waiting.pop(0)
        if isinstance(f, SeismicOperator) and f.propagates:
            left = result.pop() if result and getattr(result[-1], "samples", False) else None
            injects = waiting and isinstance(waiting[0], Adjoint) and waiting[0].op.samples
            right = waiting.pop(0).op if injects else None
            f = f.propagation(left, right)
        result.append(f)
    return tuple(result)


def derivative(op: LinearOperator, tail: LinearOperator | None, x: NDArray) -> LinearOperator | None:
    """Operator dm -> d(op(m)) @ (tail @ x), or None where `op` is constant."""
    if isinstance(op, Sum):
        return _sum([d for t in op.terms if (d := derivative(t, tail, x)) is not None])
    if isinstance(op, Chain):
        return _sum([product(*op.factors[:i], d, scale=op.scale) for i, d in op._derivatives(tail, x)])
    if not isinstance(op, SeismicOperator):
        _check_constant(op)
        return None
    if tail is None or not np.issubdtype(tail.dtype, np.complexfloating):
        return op.derivative(op, tail, x)
    # Wavefields are real: what meets a complex one is the sum of what meets its two parts, x being real.
    conjugate = conj(tail)
    parts = (
        product(Sum([tail, conjugate]), scale=0.5),
        product(Sum([tail, product(conjugate, scale=-1)]), scale=-0.5j),
    )
    real, imag = (op.derivative(op, part, x) for part in parts)
    return None if real is None else Sum([real, product(imag, scale=1j)])


def conj(op: LinearOperator) -> LinearOperator:
    """The operator x -> conj(op @ conj(x)), whose dependence on m is kept."""
    return op.conj() if isinstance(op, SeismicOperator) or np.issubdtype(op.dtype, np.complexfloating) else op


def _sum(terms: list[LinearOperator]) -> LinearOperator | None:
    return Sum(terms) if len(terms) > 1 else terms[0] if terms else None


def apply(op: LinearOperator, x: NDArray) -> NDArray:
    """`op` times an array of its size, in its precision at least, as an array of its dimsd."""
    x = x.astype(np.result_type(x, _real(op.dtype)), copy=False)
    if isinstance(op, SeismicOperator) and not np.iscomplexobj(x):
        return op._forward(x.reshape(op.dims)).reshape(op.dimsd)
    return op.matvec(x.reshape(-1)).reshape(op.dimsd)


def own(x: ArrayLike, dtype: np.dtype | None = None) -> NDArray:
    """A copy of `x`, in `dtype` at least, that does not change when `x` does; `x` itself where that cannot change."""
    x = np.asarray(x)
    dtype = x.dtype if dtype is None else np.result_type(x, dtype)
    base: object = x
    while isinstance(base, np.ndarray) and not base.flags.writeable:
        base = base.base
    if base is None and x.dtype == dtype:
        return x
    x = np.array(x, dtype)
    x.flags.writeable = False
    return x


def check_finite(op: LinearOperator, x: NDArray) -> None:
    """Refuse NaN and infinity before anything runs."""
    if not np.all(np.isfinite(x)):
        raise ValueError(f"The input of {op!r} has {int(np.sum(~np.isfinite(x)))} values that are not finite.")


def _real(dtype: np.dtype) -> np.dtype:
    return np.zeros(0, dtype).real.dtype


def describe(op: LinearOperator) -> str:
    """An operator with its shapes, for messages."""
    return repr(op) if isinstance(op, SeismicOperator) else f"{type(op).__name__}: {op.dims} -> {op.dimsd}"


def phrase(factors: Sequence[LinearOperator]) -> str:
    """A product as it is written, with the source's name for what stands on the source side of A or A.H."""

    def word(i: int, f: LinearOperator) -> str:
        before, after = factors[i - 1] if i else None, factors[i + 1] if i + 1 < len(factors) else None
        if isinstance(f, Adjoint) and getattr(before, "propagates", False) and not isinstance(before, Adjoint):
            return f"{f.op.source_name or f.op.sentence}.H"
        if getattr(f, "source_name", None) and getattr(after, "propagates", False) and isinstance(after, Adjoint):
            return f.source_name
        return _sentence(f)

    return " @ ".join(word(i, f) for i, f in enumerate(factors))


def _sentence(op: LinearOperator) -> str:
    return op.sentence if isinstance(op, SeismicOperator) else type(op).__name__.strip("_")


def _at(op: LinearOperator, model) -> LinearOperator:
    if not isinstance(op, SeismicOperator):
        _check_constant(op)
        return op
    _check_one_grid(op, model)
    return op._at(model)


def _model(parts: Sequence[LinearOperator]):
    """The model that the waves of a composition travel in; without waves, that of the first part that has one."""
    travelled = (f.model for part in parts for f in _leaves(part) if getattr(f, "propagates", False))
    known = (m for part in parts if (m := getattr(part, "model", None)) is not None)
    return next(travelled, next(known, None))


def _leaves(op: LinearOperator) -> Iterator[LinearOperator]:
    """What an operator is made of, operators whose products it holds among them."""
    held = (*getattr(op, "factors", ()), *getattr(op, "terms", ()), *filter(None, [getattr(op, "op", None)]))
    for part in held:
        yield from _leaves(part)
    if not held:
        yield op


def _check_one_grid(op: LinearOperator, model) -> None:
    """Refuse operators on other grids or time steps than the `model` whose squared slowness is asked about."""
    for part in (*getattr(op, "factors", ()), *getattr(op, "terms", ())):
        _check_one_grid(part, model)
    if isinstance(op, SeismicOperator) and op.model is not None and op.model.grid_key != model.grid_key:
        raise ValueError(
            f"{op} is on another grid or time step than {model}, and a squared slowness is of one of them: put "
            "the parts of each grid in their model by themselves."
        )


def _check_constant(op: LinearOperator) -> None:
    """Refuse an operator of PyLops that holds one that depends on m where no product or sum shows it."""
    for inner in _held(op):
        if isinstance(inner, SeismicOperator) and inner.model is not None:
            raise NotImplementedError(
                f"{type(op).__name__} holds {inner}, whose dependence on m is not read there: make products, sums, "
                "adjoints and stacks of it instead."
            )
        _check_constant(inner)


def _held(op: LinearOperator) -> list[LinearOperator]:
    """What an operator of PyLops is made of."""
    held = [v for value in vars(op).values() for v in (value if isinstance(value, (list, tuple)) else [value])]
    return [v for v in held if isinstance(v, LinearOperator)]


def shotwise(part: LinearOperator, whole: LinearOperator) -> SeismicOperator:
    """A part of an operator whose shots are selected."""
    if isinstance(part, SeismicOperator):
        return part
    raise TypeError(
        f"Cannot select shots of {describe(whole)}: {describe(part)} does not say what a shot is. Make it of one "
        "operator for every shot with so.preconditioners.ShotWise, or select the shots of its other factors and "
        "terms before."
    )


def _sampled(op: LinearOperator) -> tuple[float | None, float | None]:
    return getattr(op, "sampled", (None, None))


def _agreed(op: SeismicOperator, a: float | None, b: float | None) -> float | None:
    """The one sampling interval of wavefields that meet in `op`."""
    if a is not None and b is not None and not isclose(a, b, rel_tol=1e-6):
        raise ValueError(
            f"In {op} wavefields of data every {a:g} ms meet those of data every {b:g} ms: amplitudes would be wrong "
            f"by a factor of {max(a / b, b / a) ** 0.5:.4g}. Make one of the samplers with geometry.resampled(dt), and "
            "its series with so.resample(q, geometry, dt)."
        )
    return b if a is None else a


def _within(op: LinearOperator, window) -> LinearOperator:
    if not isinstance(op, SeismicOperator):
        raise ValueError(f"{describe(op)} does not say what it is on a part of the model: put it outside the aperture.")
    return op.within(window)


def _as_dtype(scale: complex, x: NDArray):
    """A scalar that does not promote `x`, as PyLops scales."""
    return scale if np.iscomplexobj(scale) else x.dtype.type(scale)


def _holds_seismic(op: LinearOperator) -> bool:
    if isinstance(op, SeismicOperator):
        return True
    return any(map(_holds_seismic, _held(op)))


def _check_product(left: LinearOperator, right: LinearOperator) -> None:
    if left.shape[1] != right.shape[0]:
        raise ValueError(
            f"Cannot multiply {describe(left)} by {describe(right)}: the left takes {left.dims}, the right gives "
            f"{right.dimsd}. Operators of one product need the same shots, model grid and recording time t."
        )
    keys = [m.grid_key for op in (left, right) if (m := getattr(op, "model", None)) is not None]
    if len(keys) == 2 and keys[0] != keys[1]:
        raise ValueError(
            f"Cannot multiply {describe(left)} by {describe(right)}: their models have different grids, "
            f"{left.model} and {right.model}."
        )
