r"""The calculus: derivatives with respect to the model, by the product rule over a flat product.

.. math:: d(f_1 \cdots f_k)\,x = \sum_i f_1 \cdots f_{i-1}\; df_i\; (f_{i+1} \cdots f_k\, x)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike, NDArray
from pylops import LinearOperator

from seisops.algebra.nodes import Chain, Sum
from seisops.algebra.operator import SeismicOperator, check_finite
from seisops.algebra.rules import dependent, product, total
from seisops.algebra.tree import check_constant, check_one_grid, conj

Wrt = str | Sequence[str] | None


def asked(op: SeismicOperator, wrt: Wrt) -> tuple[str, ...]:
    """The parameters that a derivative is with respect to, checked: those named, or the medium's own choice.

    Raises
    ------
    ValueError
        For a name that the medium does not have.
    TypeError
        For values of parameters in the place of their names.
    """
    if isinstance(wrt, Mapping):
        raise TypeError(
            f"Derivatives are with respect to names, got values of {', '.join(wrt)}: write op.at(**p) for the medium, "
            "wrt=P.names and, for those in the unknowns of a parametrisation, a product with p.jacobian."
        )
    if op.model is None:
        return ()
    wrt = op.model.medium.wrt if wrt is None else (wrt,) if isinstance(wrt, str) else tuple(wrt)
    op.model.medium.meanings(wrt)
    return wrt


def derivative(
    op: LinearOperator, tail: LinearOperator | None, x: NDArray, wrt: tuple[str, ...]
) -> LinearOperator | None:
    """Operator dp -> d(op(p)) @ (tail @ x), or None where `op` is constant."""
    if isinstance(op, Sum):
        return total([d for t in op.terms if (d := derivative(t, tail, x, wrt)) is not None])
    if isinstance(op, Chain):
        return total([behind(op, i, d) for i, d in derivatives(op, tail, x, wrt)])
    if not isinstance(op, SeismicOperator):
        check_constant(op)
        return None
    if tail is None or tail.dtype.kind != "c":
        return op.derivative(op, tail, x, wrt)
    # Wavefields are real: what meets a complex one is the sum of what meets its two parts, x being real.
    conjugate = conj(tail)
    parts = (
        product(Sum([tail, conjugate]), scale=0.5),
        product(Sum([tail, product(conjugate, scale=-1)]), scale=-0.5j),
    )
    real, imag = (op.derivative(op, part, x, wrt) for part in parts)
    return None if real is None else Sum([real, product(imag, scale=1j)])


def derivatives(
    chain: Chain, tail: LinearOperator | None, x: NDArray, wrt: tuple[str, ...]
) -> list[tuple[int, LinearOperator]]:
    """For every factor that depends on p, its position and dp -> d(factor) @ (what stands behind it)."""
    found = []
    for i, f in enumerate(chain.factors):
        if not getattr(f, "varies", True):
            continue
        rest = [*chain.factors[i + 1 :], *([] if tail is None else [tail])]
        d = derivative(f, product(*rest) if rest else None, x, wrt)
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


def Jacobian(op: LinearOperator, x: ArrayLike, wrt: Wrt = None) -> SeismicOperator:
    r"""The derivative of a composed operator: Born modelling, whose adjoint is reverse-time migration.

    .. math:: J\,dp = \frac{\partial\, (op(p)\, x)}{\partial p}\, dp

    Parameters
    ----------
    op : operator
        Any composition; PyLops factors count as constant.
    x : array of ``op.dims``
        The source q of ``F = Pr @ A @ Ps.H``, the weights of an extended source, data for an adjoint.
    wrt : str or sequence of str, optional
        The parameters p, by any name that ``model.at`` takes. By default the squared slowness m (s²/km²), and all
        parameters of a medium without one.

    Returns
    -------
    operator from ``model.shape``, or ``(len(wrt), *model.shape)`` for several parameters, to ``op.dimsd``
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
    op = dependent(op)
    names = asked(op, wrt)
    result = derivative(op, None, differentiable(op, x), names)
    if result is None:
        raise ValueError(f"{op} does not depend on {' and '.join(names) or 'm'}: its Jacobian is zero.")
    return result
