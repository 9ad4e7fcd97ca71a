r"""The calculus: derivatives with respect to the model, by the product rule over a flat product.

.. math:: d(f_1 \cdots f_k)\,x = \sum_i f_1 \cdots f_{i-1}\; df_i\; (f_{i+1} \cdots f_k\, x)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pylops import LinearOperator

from seisops.algebra.nodes import Chain, Sum
from seisops.algebra.operator import SeismicOperator, check_finite
from seisops.algebra.rules import dependent, product, total
from seisops.algebra.tree import check_constant, check_one_grid, conj


def derivative(op: LinearOperator, tail: LinearOperator | None, x: NDArray) -> LinearOperator | None:
    """Operator dm -> d(op(m)) @ (tail @ x), or None where `op` is constant."""
    if isinstance(op, Sum):
        return total([d for t in op.terms if (d := derivative(t, tail, x)) is not None])
    if isinstance(op, Chain):
        return total([behind(op, i, d) for i, d in derivatives(op, tail, x)])
    if not isinstance(op, SeismicOperator):
        check_constant(op)
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


def derivatives(chain: Chain, tail: LinearOperator | None, x: NDArray) -> list[tuple[int, LinearOperator]]:
    """For every factor that depends on m, its position and dm -> d(factor) @ (what stands behind it)."""
    found = []
    for i, f in enumerate(chain.factors):
        rest = [*chain.factors[i + 1 :], *([] if tail is None else [tail])]
        d = derivative(f, product(*rest) if rest else None, x)
        if d is not None:
            found.append((i, d))
    return found


def behind(chain: Chain, i: int, d: LinearOperator) -> LinearOperator:
    """The derivative `d` of factor `i` behind the factors in front of it: its part of the product rule."""
    return product(*chain.factors[:i], d, scale=chain.scale)


def differentiable(op: SeismicOperator, x: ArrayLike) -> NDArray:
    """A copy of the input `x` at which `op` can be differentiated; refused where it cannot."""
    x = op._as_input(x, copy=True)
    check_finite(op, x)
    check_one_grid(op, op.model)
    return x


def Jacobian(op: LinearOperator, x: ArrayLike, wrt: str = "m") -> SeismicOperator:
    r"""The derivative of a composed operator: Born modelling, whose adjoint is reverse-time migration.

    .. math:: J\,dm = \frac{\partial\, (op(m)\, x)}{\partial m}\, dm

    Parameters
    ----------
    op : operator
        Any composition; PyLops factors count as constant.
    x : array of ``op.dims``
        The source q of ``F = Pr @ A @ Ps.H``, the weights of an extended source, data for an adjoint.
    wrt : {"m"}
        The parameter: squared slowness, s²/km².

    Returns
    -------
    operator from ``model.shape`` to ``op.dimsd``
        It keeps the background wavefield while memory allows, so that J and J.H cost one march a shot.

    Raises
    ------
    ValueError
        If `op` does not depend on the parameter.

    Examples
    --------
    >>> import numpy as np, seisops as so
    >>> model = so.Model(v=np.full((51, 41), 2.0), spacing=10)
    >>> src = so.Geometry([[[250, 20]]], dt=2, t=200)
    >>> rec = so.Geometry([[[100, 55.5], [400, 55.5]]], dt=2, t=200)
    >>> F = so.Projection(model, rec) @ so.Modeling(model, rec) @ so.Projection(model, src).H
    >>> so.Jacobian(F, so.ricker(src, f0=0.02))
    Pr @ A @ S.H: (51, 41) -> (1, 2, 101)
    """
    if wrt != "m":
        raise ValueError(f"Derivatives are known with respect to 'm', not {wrt!r}.")
    op = dependent(op)
    result = derivative(op, None, differentiable(op, x))
    if result is None:
        raise ValueError(f"{op} does not depend on m: its Jacobian is zero.")
    return result
