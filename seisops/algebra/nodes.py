"""The nodes of a composition: adjoints, sums, products and blocks of operators, flat and immutable."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.algebra import tree
from seisops.algebra.fusion import agreed, check_neighbours, fuse, fuses, phrase, sampled, sampled_along
from seisops.algebra.operator import Constant, SeismicOperator, apply, describe, word
from seisops.arrays import number


class Node(SeismicOperator):
    """An operator made of others, its ``parts``: it passes on what is asked of it, and is rebuilt of the answers."""

    @abstractmethod
    def rebuild(self, parts: Sequence[LinearOperator]) -> SeismicOperator:
        """The same made of other parts."""

    def _at(self, model):
        return self.rebuild([tree.at(part, model) for part in self.parts])

    def within(self, window):
        return self.rebuild([tree.within(part, window) for part in self.parts])

    def conj(self):
        return self.rebuild([tree.conj(part) for part in self.parts])

    def __getitem__(self, index):
        return self.rebuild([tree.shotwise(part, self)[index] for part in self.parts])

    def shots_in(self, x, index):
        return tree.shotwise(self.parts[-1], self).shots_in(x, index)

    def shots_out(self, y, index):
        return tree.shotwise(self.parts[0], self).shots_out(y, index)

    def derivative(self, this, tail, x, wrt):
        return self._derivative(this, tail, x, wrt)

    def running(self):
        return self.parts

    @property
    def separable(self) -> bool:
        """Whether all parts are."""
        return all(getattr(part, "separable", False) for part in self.parts)

    @property
    def sums_shots(self) -> bool:
        """Whether any part does."""
        return any(getattr(part, "sums_shots", False) for part in self.parts)

    @property
    def nsrc(self) -> int:
        """Number of shots."""
        return max(getattr(part, "nsrc", 1) for part in self.parts)


class Adjoint(Node):
    """The conjugate transpose of an operator that is no product."""

    sums_shots = False

    def __init__(self, op: SeismicOperator) -> None:
        super().__init__(op.dimsd, op.dims, op.dtype, op.model)
        self.op = self.adjoint_of = op
        self.parts, self.takes, self.gives, self.sampled = (op,), op.gives, op.takes, op.sampled[::-1]
        self.propagates, self.varies = op.propagates, op.varies

    @property
    def knows_shots(self) -> bool:
        """Whether the operator does."""
        return self.op.knows_shots

    def rebuild(self, parts):
        return Adjoint(*parts)

    def _at(self, model):
        op = tree.at(self.op, model)
        return self._copied(op=op, adjoint_of=op, parts=(op,), model=op.model)

    def propagation(self, left, right):
        """The march of the transpose between two samplers."""
        return self.op.propagation(left, right, adjoint=True)

    def _forward(self, x):
        return self.op._transposed(x)

    def _transposed(self, y):
        return self.op._forward(y)

    def _adjoint(self):
        return self.op

    def shots_in(self, x, index):
        return self.op.shots_out(x, index)

    def shots_out(self, y, index):
        return self.op.shots_in(y, index)

    def derivative(self, this, tail, x, wrt):
        return self.op.derivative(this, tail, x, wrt)

    @property
    def sentence(self) -> str:
        return f"{self.op.sentence}.H"


class Sum(Node):
    """A sum of operators of one shape."""

    def __init__(self, terms: Sequence[LinearOperator]) -> None:
        flat = [t for term in terms for t in (term.terms if isinstance(term, Sum) else (term,))]
        first = flat[0]
        for t in flat[1:]:
            if t.shape != first.shape:
                raise ValueError(f"Cannot add {describe(first)} and {describe(t)}: the shapes differ.")
        shaped = max(flat, key=lambda t: (len(t.dims), len(t.dimsd)))
        super().__init__(shaped.dims, shaped.dimsd, np.result_type(*(t.dtype for t in flat)), tree.common_model(flat))
        self.terms = self.parts = tuple(flat)
        self.sampled = (None, None)
        for t in flat:
            self.sampled = tuple(map(partial(agreed, self), self.sampled, sampled(t)))
        self.takes, self.gives = (getattr(shaped, end, "something foreign") for end in ("takes", "gives"))

    def rebuild(self, parts):
        return Sum(parts)

    def _forward(self, x):
        return sum(apply(t, x).reshape(self.dimsd) for t in self.terms)

    def _transposed(self, y):
        return sum(apply(t.H, y).reshape(self.dims) for t in self.terms)

    def _adjoint(self):
        return Sum([t.H for t in self.terms])

    def _transpose(self):
        return Sum([t.T for t in self.terms])

    def shots_in(self, x, index):
        return tree.shotwise(self.terms[0], self).shots_in(x, index)

    @property
    def sentence(self) -> str:
        return "(" + " + ".join(map(word, self.terms)) + ")"


class Chain(Node):
    """A product: a scalar and a flat tuple of factors, the last of which acts first.

    ``F @ x`` applies it, ``F.H`` is its adjoint; ``F.at(m=...)`` puts it in another model, ``F.jacobian(x)`` is its
    derivative and ``F.linearize(x)`` both at once; ``F[i]`` selects shots, ``F.check()`` is its dot test,
    ``F.memory()`` says what it takes.
    """

    def __init__(self, factors: Sequence[LinearOperator], scale: complex = 1) -> None:
        for left, right in pairwise(factors):
            check_neighbours(left, right)
        scale = scale if isinstance(scale, int) else number(scale)
        dtype = np.result_type(*[f.dtype for f in factors])
        if isinstance(scale, complex):
            dtype = np.result_type(dtype, np.complex64)
        super().__init__(factors[-1].dims, factors[0].dimsd, dtype, tree.common_model(factors))
        self.factors = self.parts = tuple(factors)
        self.scale = scale
        self.sampled = sampled_along(self, factors)
        self.takes = getattr(factors[-1], "takes", "something foreign")
        self.gives = getattr(factors[0], "gives", "something foreign")

    def rebuild(self, parts):
        return Chain(parts, self.scale)

    def _at(self, model):
        # Its factors fit as they did, and whichever had a model is in this one.
        factors = tuple([tree.at(f, model) for f in self.factors])
        return self._copied(["fused"], factors=factors, parts=factors, model=self.model and model)

    @cached_property
    def fused(self) -> tuple[LinearOperator, ...]:
        """The factors as they run."""
        return fuse(self.factors)

    def running(self) -> tuple[LinearOperator, ...]:
        """The factors to run now, fused unless that is switched off."""
        return self.fused if fuses() else self.factors

    def _forward(self, x):
        for f in reversed(self.running()):
            x = apply(f, x)
        return self.scaled(x)

    def _transposed(self, y):
        for f in self.running():
            y = apply(f.H, y)
        return self.scaled(y, adjoint=True)

    def scaled(self, x: NDArray, *, adjoint: bool = False) -> NDArray:
        """`x` times the scalar of the product, or of its adjoint."""
        if self.scale == 1:
            return x
        scale = np.conj(self.scale) if adjoint else self.scale
        # It does not promote `x`, as PyLops scales.
        return (scale if np.iscomplexobj(scale) else x.dtype.type(scale)) * x

    def _adjoint(self):
        return Chain([f.H for f in reversed(self.factors)], np.conj(self.scale))

    def _transpose(self):
        return Chain([f.T for f in reversed(self.factors)], self.scale)

    def conj(self):
        return Chain([tree.conj(f) for f in self.factors], np.conj(self.scale))

    def __getitem__(self, index):
        for f in self.factors:
            tree.shotwise(f, self)
        for i, f in enumerate(self.factors):
            if f.sums_shots and any(left.knows_shots for left in self.factors[:i]):
                raise TypeError(f"Cannot select shots of {self}: {f.sentence} in the middle adds up all of them.")
        return super().__getitem__(index)

    @property
    def sentence(self) -> str:
        words = phrase(self.factors)
        return words if self.scale == 1 else f"-{words}" if self.scale == -1 else f"{self.scale:g} * {words}"


class Block(Constant):
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
