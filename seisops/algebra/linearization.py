"""A product and its derivatives around one input, on marches done once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pylops import LinearOperator

from seisops.algebra.calculus import Wrt, asked, behind, derivatives, differentiable
from seisops.algebra.nodes import Chain, Sum
from seisops.algebra.operator import SeismicOperator, apply
from seisops.algebra.rules import total
from seisops.arrays import real_type


class Linearization:
    """A product ``op @ x`` and its derivatives around it, on marches done once: ``value, J = op.linearize(x)``.

    The value leaves the background wavefield that J needs; one transposed march gives the gradients with respect to
    both x and m. Each way in which operators are composed has its own subclass.

    Parameters
    ----------
    op : SeismicOperator
    x : array of ``op.dims``
    wrt : tuple of str
        The parameters of the derivatives.

    Attributes
    ----------
    value : array of ``op.dimsd``
    varies : bool
        Whether the operator depends on m.
    """

    varies = True

    def __init__(self, op: SeismicOperator, x: NDArray, wrt: tuple[str, ...]) -> None:
        self.op, self.x, self.wrt = op, x, wrt
        self.value = self._run().reshape(op.dimsd)

    def __iter__(self) -> Iterator:
        return iter((self.value, self.J))

    @cached_property
    def J(self) -> LinearOperator:
        """The Jacobian at x, on the background this product left."""
        found = self._jacobian()
        if found is None:
            raise ValueError(f"{self.op} does not depend on {' and '.join(self.wrt) or 'm'}: its Jacobian is zero.")
        return found

    def pull(self, y: NDArray) -> tuple[NDArray, NDArray]:
        """``op.H @ y`` and ``J.H @ y``, the gradients in x and in m, in the marches of the first.

        Of a complex `y` there are two, as wavefields are real.
        """
        y = self.op.H._as_input(y)
        y = y.astype(np.result_type(y, real_type(self.op.dtype)), copy=False)
        if y.dtype.kind == "c" and self.op.dtype.kind != "c":
            (x, m), (ix, im) = self.pull(y.real), self.pull(y.imag)
            return x + 1j * ix, m + 1j * im
        gx, gm = self._pull(y)
        return gx.reshape(self.op.dims), gm

    @property
    def constant(self) -> NDArray:
        """The gradient in the parameters of what does not depend on them."""
        if self.op.model is None:
            return np.zeros((), self.op.dtype)
        n = len(self.wrt)
        return np.zeros((*([n] if n > 1 else []), *self.op.model.shape), self.op.dtype)

    def _run(self) -> NDArray:
        raise NotImplementedError

    def _jacobian(self) -> LinearOperator | None:
        raise NotImplementedError

    def _pull(self, y: NDArray) -> tuple[NDArray, NDArray]:
        raise NotImplementedError


class OfSum(Linearization):
    """The linearisations of all terms."""

    def _run(self):
        self.terms = [
            linearization(t, self.x, self.wrt) if isinstance(t, SeismicOperator) else t for t in self.op.terms
        ]
        self.known = [t for t in self.terms if isinstance(t, Linearization)]
        values = (t.value if isinstance(t, Linearization) else apply(t, self.x) for t in self.terms)
        return sum(value.reshape(self.op.dimsd) for value in values)

    @property
    def varies(self) -> bool:
        """Whether any term does."""
        return any(t.varies for t in self.known)

    def _jacobian(self):
        return total([t.J for t in self.known if t.varies])

    def _pull(self, y):
        constant = self.constant
        pulled = [t.pull(y.ravel()) if isinstance(t, Linearization) else (apply(t.H, y), constant) for t in self.terms]
        return sum(gx.reshape(self.op.dims) for gx, _ in pulled), sum(gm for _, gm in pulled)


class OfProduct(Linearization):
    """The marches of a product, each of which keeps the background of its derivative."""

    def _run(self):
        self.chain = self.op if isinstance(self.op, Chain) else Chain([self.op])
        self.parts = dict(derivatives(self.chain, None, self.x, self.wrt))
        z = self.x
        for f, _, _, background in self._steps():
            z = apply(f, z) if background is None else f.forward_keeping(z.reshape(f.dims), background)
        return self.chain.scaled(z)

    @property
    def varies(self) -> bool:
        """Whether any factor does."""
        return bool(self.parts)

    def _steps(self):
        """The factors as they run, each with the position of its derivative, that derivative and its background."""
        end = len(self.chain.factors)
        for f in reversed(self.chain.running()):
            end -= getattr(f, "length", 1)
            position = end + getattr(f, "position", 0)
            d = self.parts.get(position)
            # In the derivative of what propagates is the adjoint of what keeps its background.
            # That of a complex wavefield is a sum, of the derivatives at its two parts.
            background = _background(d)[0] if isinstance(d, Chain) and hasattr(f, "forward_keeping") else None
            yield f, position, d, background

    def _jacobian(self):
        return total([behind(self.chain, i, d) for i, d in self.parts.items()])

    def _pull(self, y):
        if self.op.dtype.kind == "c":
            # Wavefields are real: those of the adjoint's two parts are marched for each product.
            return apply(self.op.H, y), apply(self.J.H, y) if self.varies else self.constant
        gradient = self.constant
        steps = list(self._steps())
        # A sampler that depends on m is inside a fused factor: its part of the product rule runs by itself.
        for i in self.parts.keys() - {position for _, position, _, _ in steps}:
            gradient = gradient + apply(behind(self.chain, i, self.parts[i]).H, y)
        y = self.chain.scaled(y, adjoint=True)
        for f, _, d, background in reversed(steps):
            if background is not None:
                y, part = f.transposed_imaging(y.reshape(f.dimsd), background)
                for change in _background(d)[1]:
                    part = apply(change.H, part)
                gradient = gradient + part
                continue
            if d is not None:
                gradient = gradient + apply(d.H, y)
            y = apply(f.H, y)
        return y, gradient


def _background(d: Chain) -> tuple[SeismicOperator, Sequence[LinearOperator]]:
    """What keeps the background in the derivative of a propagation, and what changes a perturbation before it."""
    i = next(i for i, f in enumerate(d.factors) if hasattr(getattr(f, "adjoint_of", None), "background"))
    return d.factors[i].adjoint_of, d.factors[i + 1 :]


def linearization(op: SeismicOperator, x: NDArray, wrt: tuple[str, ...]) -> Linearization:
    """The linearisation of any operator at an array that it takes as it is."""
    return (OfSum if isinstance(op, Sum) else OfProduct)(op, x, wrt)


def linearize(op: SeismicOperator, x: ArrayLike, wrt: Wrt = None) -> Linearization:
    """``op @ x`` with its derivative, sharing the marches that the value, J and J.H have in common.

    Parameters
    ----------
    x : array of `dims` (or flat)
    wrt : str or sequence of str, optional
        The parameters of the derivatives, as in :func:`seisops.Jacobian`.

    Returns
    -------
    Linearization
        ``value, J = op.linearize(x)``, or see :class:`Linearization`.
    """
    return linearization(op, differentiable(op, x), asked(op, wrt))
