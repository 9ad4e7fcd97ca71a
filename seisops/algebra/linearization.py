"""A product and its derivatives around one input, on marches done once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pylops import LinearOperator

from seisops.algebra.core import Chain, SeismicOperator, Sum, _sum, apply, product


class Linearization:
    """A product ``op @ x`` and its derivatives around it, on marches done once.

    The value leaves the background wavefield that J needs; one transposed march gives the gradients
    with respect to both x and m.

    Parameters
    ----------
    op : SeismicOperator
    x : array of ``op.dims``

    Attributes
    ----------
    value : array of ``op.dimsd``
    """

    def __init__(self, op: SeismicOperator, x: NDArray) -> None:
        self.op, self.x = op, x
        if isinstance(op, Sum):
            self.terms = [Linearization(t, x) if isinstance(t, SeismicOperator) else t for t in op.terms]
            values = (t.value if isinstance(t, Linearization) else apply(t, x) for t in self.terms)
            self.value = sum(value.reshape(op.dimsd) for value in values)
            return
        self.chain = op if isinstance(op, Chain) else Chain([op])
        self.parts = dict(self.chain._derivatives(None, x))
        self.value = self._run().reshape(op.dimsd)

    def _steps(self):
        """The factors as they run, each with the position of its derivative, that derivative and its background."""
        end = len(self.chain.factors)
        for f in reversed(self.chain.running()):
            end -= getattr(f, "length", 1)
            position = end + getattr(f, "position", 0)
            d = self.parts.get(position)
            # The derivative of what propagates ends in the adjoint of what keeps its background.
            # That of a complex wavefield is a sum, of the derivatives at its two parts.
            background = d.factors[-1].op if isinstance(d, Chain) and hasattr(f, "forward_keeping") else None
            yield f, position, d, background

    def _run(self) -> NDArray:
        z = self.x
        for f, _, _, background in self._steps():
            z = apply(f, z) if background is None else f.forward_keeping(z.reshape(f.dims), background)
        return self.chain._scaled(z)

    def __iter__(self):
        return iter((self.value, self.J))

    @cached_property
    def J(self) -> LinearOperator:
        """The Jacobian at x, on the background this product left."""
        if isinstance(self.op, Sum):
            found = [t.J for t in self.terms if isinstance(t, Linearization) and t.varies]
        else:
            factors = self.chain.factors
            found = [product(*factors[:i], d, scale=self.chain.scale) for i, d in self.parts.items()]
        if not found:
            raise ValueError(f"{self.op} does not depend on m: its Jacobian is zero.")
        return _sum(found)

    @property
    def varies(self) -> bool:
        """Whether the operator depends on m."""
        if isinstance(self.op, Sum):
            return any(isinstance(t, Linearization) and t.varies for t in self.terms)
        return bool(self.parts)

    def pull(self, y: NDArray) -> tuple[NDArray, NDArray]:
        """``op.H @ y`` and ``J.H @ y``, the gradients in x and in m, in the marches of the first.

        Of a complex `y` there are two, as wavefields are real.
        """
        y = self.op.H._as_input(y)
        y = y.astype(np.result_type(y, self.op.dtype.type(0).real), copy=False)
        if np.iscomplexobj(y) and not np.issubdtype(self.op.dtype, np.complexfloating):
            (x, m), (ix, im) = self.pull(y.real), self.pull(y.imag)
            return x + 1j * ix, m + 1j * im
        constant = np.zeros(() if self.op.model is None else self.op.model.shape, self.op.dtype)
        if isinstance(self.op, Sum):
            pulled = [t.pull(y) if isinstance(t, Linearization) else (apply(t.H, y), constant) for t in self.terms]
            return sum(gx.reshape(self.op.dims) for gx, _ in pulled), sum(gm for _, gm in pulled)
        if np.issubdtype(self.op.dtype, np.complexfloating):
            # Wavefields are real: those of the adjoint's two parts are marched for each product.
            return apply(self.op.H, y), apply(self.J.H, y) if self.varies else constant
        gradient = constant
        steps = list(self._steps())
        # A sampler that depends on m is inside a fused factor: its part of the product rule runs by itself.
        for i in self.parts.keys() - {position for _, position, _, _ in steps}:
            part = product(*self.chain.factors[:i], self.parts[i], scale=self.chain.scale)
            gradient = gradient + apply(part.H, y)
        y = self.chain.H._scaled(y)
        for f, _, d, background in reversed(steps):
            if background is not None:
                y, part = f.transposed_imaging(y.reshape(f.dimsd), background)
                gradient = gradient + part
                continue
            if d is not None:
                gradient = gradient + apply(d.H, y)
            y = apply(f.H, y)
        return y.reshape(self.op.dims), gradient
